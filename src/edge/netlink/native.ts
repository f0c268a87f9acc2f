/** The addon (native/addon), typed. Failures are errors with `code`, the errno's name. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { FairleadError } from '../../base/errors/errors.ts';
import { nativePart } from '../../base/native-part.ts';

export type Native = {
  /** Opens a network namespace file; EINVAL for any other kind of file. */
  openNamespace(path: string): { fd: number; device: number; inode: number };
  closeFd(fd: number): void;
  /** Writes a file that is there as it is seen from inside of the namespace, as those under /proc/sys/net are. */
  writeInNamespace(namespaceFd: number, path: string, text: string): void;
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
  /**
   * One dump in pieces, on a thread of the pool: the kernel goes on with it as it is read. An empty message asks for the
   * next piece of the dump of that sequence number. Each piece has `piece` bytes at least, or is the last one.
   */
  dumpAsync(fd: number, message: Buffer, piece: number, sequence: number): Promise<Transaction>;
  /**
   * Calls back with each datagram, or null when some were lost; with null and the name of an errno when the watch has
   * ended by itself, for the last time. Keep the returned function: it stops the watch.
   */
  watch(fd: number, callback: (datagram: Buffer | null, ended?: string) => void): () => void;
  /** SO_PEERCRED of a connected unix socket. */
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
  /** Opens a socket for ICMP echoes; EPERM or EACCES without CAP_NET_RAW and outside of net.ipv4.ping_group_range. */
  openEcho(family: 4 | 6): number;
  /** @param address 4 or 16 bytes. @param token 32 bits, which the answer brings back. */
  sendEcho(fd: number, address: Buffer, token: number): void;
  /** Answers that have arrived since, with the time between sending and arrival, however late this is called. */
  receiveEchoes(fd: number): { token: number; seconds: number; from: Buffer }[];
};

/**
 * `interrupted`: what was dumped changed meanwhile, so the dump may lack objects or hold one twice. `more`: this is a piece,
 * and not the last one.
 */
export type Transaction = { replies: Buffer; interrupted: boolean; more: boolean; firstSequence: number };

const PATH = nativePart('fairlead.node');
const FUNCTIONS: readonly (keyof Native)[] = [
  'openNamespace',
  'closeFd',
  'writeInNamespace',
  'openSocket',
  'transact',
  'transactAsync',
  'dumpAsync',
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
