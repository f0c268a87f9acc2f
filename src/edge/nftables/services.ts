/** Rendered services in the kernel. */
import { spawn } from 'node:child_process';
import { FairleadError } from '../../errors/errors.ts';
import { NLMSG_ERROR, readError, readMessages } from '../../netlink/message.ts';
import type { NetworkNamespace } from '../../netlink/namespace.ts';
import { NetlinkSocket } from '../../netlink/socket.ts';
import { encodeElementChanges } from '../../nftables/elements.ts';
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
  const put = async (name: ServiceTableName, stages: readonly ElementStage[]) => {
    kept ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
    for (const stage of stages) {
      // On a thread of the pool: a stage of 1,500 elements takes the kernel milliseconds.
      const { replies } = await kept.transactAsync(encodeElementChanges({ family: 'inet', name }, stage));
      for (const message of readMessages(replies)) {
        const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
        if (refusal === undefined) continue;
        const sets = [...new Set(stage.map(({ set }) => set.name))].join(', ');
        throw new FairleadError(
          'FL_NFT',
          `elements of ${sets} in table ${name} were refused: ${refusal.errno}`,
        );
      }
    }
  };
  return {
    load: async (name, { prepare, fill, fillText, activate }) => {
      await nft(prepare);
      await put(name, fill);
      await nft(fillText);
      await nft(activate);
    },
    update: async (name, { chains = '', stages, text = '' }) => {
      await nft(chains);
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
