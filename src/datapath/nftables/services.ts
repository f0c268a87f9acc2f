/** Rendered services in the kernel. */
import { spawn } from 'node:child_process';
import { FairleadError } from '../../base/errors/errors.ts';
import { NLMSG_ERROR, readError, readMessages } from '../../edge/netlink/codec/message.ts';
import type { NetworkNamespace } from '../../edge/netlink/namespace.ts';
import { NetlinkSocket } from '../../edge/netlink/socket.ts';
import { encodeStage } from './service/encode.ts';
import { encodeNotes, type NoteRule } from './service/notes.ts';
import type { ElementStage, ServiceTableName } from './service/objects.ts';
import { removeServices, type ServiceLoad, type ServiceUpdate } from './service/write.ts';

export type ServiceTables = {
  /** Packets meet the services of before until they meet these, and all of these. */
  load(name: ServiceTableName, load: ServiceLoad): Promise<void>;
  /** @param name of the table that was loaded last. */
  update(name: ServiceTableName, update: ServiceUpdate): Promise<void>;
  remove(): Promise<void>;
  [Symbol.dispose](): void;
};

const NETLINK_NETFILTER = 12;

/** @param namespace the process' own where absent; not to be disposed before this. */
export function openServiceTables(namespace?: NetworkNamespace): ServiceTables {
  const command = namespace === undefined ? ['nft'] : ['nsenter', `--net=${namespace.path}`, 'nft'];
  let kept: NetlinkSocket | undefined;
  const nft = (text: string) => (text === '' ? Promise.resolve() : run([...command, '-f', '-'], text));
  // On a thread of the pool: 1,500 elements take the kernel milliseconds.
  const send = async (messages: Buffer, what: string) => {
    kept ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
    const { replies } = await kept.transactAsync(messages);
    for (const message of readMessages(replies)) {
      const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
      if (refusal !== undefined) throw new FairleadError('FL_NFT', `${what} were refused: ${refusal.errno}`);
    }
  };
  const put = async (name: ServiceTableName, stages: readonly ElementStage[]) => {
    for (const stage of stages) {
      const sets = [...new Set(stage.map(({ set }) => set.name))].join(', ');
      const messages = encodeStage(name, stage);
      await send(messages, `elements of ${sets} in table ${name}`);
    }
  };
  const note = async (name: ServiceTableName, rules: readonly NoteRule[]) => {
    if (rules.length > 0) await send(encodeNotes(name, rules), `rules of affinity in table ${name}`);
  };
  return {
    load: async (name, { prepare, notes, fill, fillText, activate }) => {
      await nft(prepare);
      await note(name, notes);
      await put(name, fill);
      await nft(fillText);
      await nft(activate);
    },
    update: async (name, { chains = '', notes, stages, text = '' }) => {
      await nft(chains);
      await note(name, notes);
      await put(name, stages);
      await nft(text);
    },
    remove: () => nft(removeServices()),
    [Symbol.dispose]: () => kept?.[Symbol.dispose](),
  };
}

function run([program = '', ...args]: readonly string[], input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (cause) =>
      reject(new FairleadError('FL_NFT', `${program} cannot be run: ${cause.message}`, { cause })),
    );
    // A child that ends before it has read everything says why on stderr.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('close', (status) => {
      if (status === 0) return resolve();
      const said = stderr.trim().split('\n').slice(0, 3).join(' ');
      reject(new FairleadError('FL_NFT', `nft refused the services: ${said}`));
    });
  });
}
