/**
 * A pod that stands in for others: attached by the agent like any, in a namespace that one process holds. When that
 * ends, by whatever cause, namespace, interface and address are gone with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { FairleadError } from '../../base/errors/errors.ts';
import { type Ip, parseIp } from '../../base/ip/ip.ts';
import { decodeReply, encodeRequest } from '../../edge/cni/frame.ts';
import type { CniReply } from '../../edge/cni/result/reply.ts';
import { PROBER } from './prober.ts';

export type StandIn = {
  /** Path of its network namespace. */
  namespace: string;
  ips: readonly Ip[];
  [Symbol.asyncDispose](): Promise<void>;
};

/** Not that of pods: what a runtime says of its attachments is not said of this one. */
const NETWORK = 'fairlead-doctor';
const IFNAME = 'eth0';
const PATIENCE_MS = 10_000;

/**
 * @param socket of the agent for plugins; it must see the same processes as this one does.
 * @throws FairleadError FL_AGENT with what the agent said.
 */
export async function attachStandIn(socket: string, name: string): Promise<StandIn> {
  const holder = spawn(PROBER, ['hold'], { stdio: ['pipe', 'pipe', 'pipe'] });
  holder.stdin.on('error', () => undefined);
  try {
    await held(holder);
    const namespace = `/proc/${holder.pid}/ns/net`;
    const containerId = `${NETWORK}-${process.pid}-${name}`;
    const call = (command: 'ADD' | 'DEL') =>
      ask(socket, {
        environment: {
          CNI_COMMAND: command,
          CNI_CONTAINERID: containerId,
          CNI_NETNS: namespace,
          CNI_IFNAME: IFNAME,
          CNI_PATH: '/opt/cni/bin',
        },
        stdin: JSON.stringify({ cniVersion: '1.1.0', name: NETWORK, type: 'fairlead-cni' }),
      });
    const { exitCode, stdout } = await call('ADD');
    const answer = JSON.parse(stdout) as { ips?: { address: string }[]; msg?: string };
    if (exitCode !== 0)
      throw new FairleadError('FL_AGENT', `the agent attaches no pod: ${answer.msg ?? stdout}`);
    return {
      namespace,
      ips: (answer.ips ?? []).map(({ address }) => parseIp(address.split('/')[0]!)),
      [Symbol.asyncDispose]: async () => {
        // What it leaves undone goes with the namespace.
        await call('DEL').catch(() => undefined);
        await end(holder);
      },
    };
  } catch (error) {
    await end(holder);
    throw error;
  }
}

async function held(holder: ChildProcess): Promise<void> {
  let said = '';
  holder.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ready = once(holder.stdout!, 'data');
  const ended = once(holder, 'close').then(() => {
    throw new FairleadError('FL_AGENT', `no network namespace can be made here: ${said.trim()}`);
  });
  await Promise.race([ready, ended]);
  ended.catch(() => undefined);
}

async function end(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.pid === undefined) return;
  const closed = once(holder, 'close');
  holder.stdin?.end();
  await closed;
}

function ask(path: string, request: Parameters<typeof encodeRequest>[0]): Promise<CniReply> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const fail = (reason: string) =>
      reject(new FairleadError('FL_AGENT', `no agent answers at ${path} (${reason}); look whether it runs`));
    const socket = connect(path, () => socket.write(encodeRequest(request)));
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer in time')));
    socket.on('error', ({ message }) => fail(message));
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const reply = decodeReply(bytes);
      if (reply === undefined) return;
      resolve(reply);
      socket.end();
    });
    socket.on('close', () => fail('it closed the connection'));
  });
}
