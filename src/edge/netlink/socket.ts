/** A netlink socket that belongs to one namespace, whichever namespace the process is in. */
import type { NetworkNamespace } from './namespace.ts';
import { native, type Transaction } from './native.ts';

const NOTHING = Buffer.alloc(0);

/** The protocol of nftables, conntrack and nflog (linux/netlink.h). */
export const NETLINK_NETFILTER = 12;

export class NetlinkSocket {
  /** Names this socket in the notifications of what it changed. */
  readonly portId: number;
  #fd: number | undefined;
  /** The last of the calls that are under way; absent when none is. */
  #last: Promise<unknown> | undefined;

  /**
   * @param protocol NETLINK_* of linux/netlink.h.
   * @param namespace the process' own where absent; it may be disposed afterwards.
   * @param groups multicast groups to listen to.
   */
  constructor(protocol: number, namespace?: Pick<NetworkNamespace, 'fd'>, groups: readonly number[] = []) {
    const { fd, portId } = native.openSocket(protocol, namespace?.fd ?? -1, groups);
    this.#fd = fd;
    this.portId = portId;
  }

  /** See {@link native}. Not while a `transactAsync` of the same socket runs: their answers would mix. */
  transact(messages: Buffer): Transaction {
    return native.transact(this.#open(), messages);
  }

  /** On a thread of the pool; several calls run one after the other. */
  transactAsync(messages: Buffer): Promise<Transaction> {
    const fd = this.#open();
    const transaction = (this.#last ?? Promise.resolve()).then(() => native.transactAsync(fd, messages));
    const settled = transaction
      .catch(() => undefined)
      .then(() => {
        if (this.#last === settled) this.#last = undefined;
      });
    this.#last = settled;
    return transaction;
  }

  /**
   * The replies of one dump in pieces of this many bytes, so that what is large is never in memory as a whole. It has its
   * turn among the calls of `transactAsync`; one that is left early is read to its end.
   */
  async *dump(message: Buffer, piece: number): AsyncGenerator<Buffer> {
    const fd = this.#open();
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = promise;
    await before;
    const dump = { asked: message, sequence: 0, more: true };
    const next = async () => {
      dump.more = false;
      const { replies, firstSequence, more } = await native.dumpAsync(fd, dump.asked, piece, dump.sequence);
      Object.assign(dump, { asked: NOTHING, sequence: firstSequence, more });
      return replies;
    };
    try {
      while (dump.more) yield await next();
    } finally {
      try {
        while (dump.more) await next();
      } finally {
        if (this.#last === promise) this.#last = undefined;
        resolve();
      }
    }
  }

  /**
   * @param callback see {@link native}.
   * @returns a function that ends the watch; until then the socket must not be disposed.
   */
  watch(callback: (datagram: Buffer | null, ended?: string) => void): () => void {
    return native.watch(this.#open(), callback);
  }

  /** Closes the socket as soon as nothing runs on it. */
  [Symbol.dispose](): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    if (this.#last === undefined) native.closeFd(fd);
    else void this.#last.then(() => native.closeFd(fd));
  }

  /** A closed descriptor's number may be another's by now. */
  #open(): number {
    if (this.#fd === undefined) throw new TypeError('the netlink socket is closed');
    return this.#fd;
  }
}
