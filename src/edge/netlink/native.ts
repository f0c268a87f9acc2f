/** The addon (native/addon), typed. Failures are errors with `code`, the errno's name. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { FairleadError } from '../../base/errors/errors.ts';

export type Native = {
  /** Opens a network namespace file; EINVAL for any other kind of file. */
  openNamespace(path: string): { fd: number; device: number; inode: number };
  closeFd(fd: number): void;
  /** Opens a netlink socket inside the namespace; −1 is the process' own. */
  openSocket(
    protocol: number,
    namespaceFd: number,
    groups: readonly number[],
  ): { fd: number; portId: number };
  /**
   * Sends complete messages in one go and waits until each that asks for an acknowledgement, and each dump, has had
   * its end. Sequence numbers are assigned from `firstSequence` on. One call at a time per socket.
   */
  transact(fd: number, messages: Buffer): Transaction;
  /** The same on a thread of the pool. */
  transactAsync(fd: number, messages: Buffer): Promise<Transaction>;
  /** Calls back with each datagram, or null when some were lost. Keep the returned function: it stops the watch. */
  watch(fd: number, callback: (datagram: Buffer | null) => void): () => void;
  /** SO_PEERCRED of a connected unix socket. */
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
  /** Opens a socket for ICMP echoes; EPERM or EACCES without CAP_NET_RAW and outside of net.ipv4.ping_group_range. */
  openEcho(family: 4 | 6): number;
  /** @param address 4 or 16 bytes. @param token 32 bits, which the answer brings back. */
  sendEcho(fd: number, address: Buffer, token: number): void;
  /** Answers that have arrived since, with the time between sending and arrival, however late this is called. */
  receiveEchoes(fd: number): { token: number; seconds: number }[];
};

/** `interrupted`: what was dumped changed meanwhile, so the dump may lack objects or hold one twice. */
export type Transaction = { replies: Buffer; interrupted: boolean; firstSequence: number };

const PATH = fileURLToPath(new URL('../../../build/fairlead.node', import.meta.url));
const FUNCTIONS: readonly (keyof Native)[] = [
  'openNamespace',
  'closeFd',
  'openSocket',
  'transact',
  'transactAsync',
  'watch',
  'peerCredentials',
  'openEcho',
  'sendEcho',
  'receiveEchoes',
];

export const native: Native = load();

function load(): Native {
  const addon: unknown = existsSync(PATH) ? createRequire(import.meta.url)(PATH) : undefined;
  if (isNative(addon)) return addon;
  throw new FairleadError(
    'FL_ADDON_MISSING',
    `the native addon ${PATH} is ${addon === undefined ? 'not built' : 'of an older version'}; run 'make -C native' in the project's folder`,
  );
}

function isNative(addon: unknown): addon is Native {
  return (
    typeof addon === 'object' &&
    addon !== null &&
    FUNCTIONS.every((name) => typeof Reflect.get(addon, name) === 'function')
  );
}
