/** The kernel's table of connections, in the namespace of this process. */
import { FairleadError } from '../../base/errors/errors.ts';
import { NLMSG_ERROR, readError, readMessages } from '../netlink/codec/message.ts';
import type { NetworkNamespace } from '../netlink/namespace.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/socket.ts';
import { encodeFlush, type FlowFilter } from './flush.ts';
import { type Connection, type EndFilter, encodeCuts, encodeList, readList } from './list.ts';

/** Connections of one request. */
const AT_ONCE = 500;
/** Bytes of a piece of a walk: some hundred connections, which are read in a millisecond. */
const PIECE = 65_536;

export type Conntrack = {
  /**
   * Forgets all connections that match one of the filters, off the event loop: the kernel walks its whole table. That
   * none matches is success.
   * @throws FairleadError FL_CONNTRACK when the kernel refuses.
   */
  readonly forget: (filters: readonly FlowFilter[]) => Promise<void>;
  /**
   * Connections, of one address or all of them, some at a time, however many there are. Such as come or go meanwhile may be
   * among them or not.
   * @throws FairleadError FL_CONNTRACK when the kernel refuses.
   */
  readonly walk: (filter?: EndFilter) => AsyncGenerator<Connection[]>;
  /** Forgets these; one that has ended meanwhile is fine. @throws as {@link Conntrack.forget}. */
  readonly cut: (connections: readonly Connection[]) => Promise<void>;
  [Symbol.dispose](): void;
};

/** @param namespace the process' own where absent; not to be disposed before something is first forgotten. */
export function openConntrack(namespace?: NetworkNamespace): Conntrack {
  // Kept for the same reason as the one of openNftables: whichever netfilter socket is closed waits.
  let kept: NetlinkSocket | undefined;
  // A socket of its own: connections are cut while others are still being read.
  let walking: NetlinkSocket | undefined;
  const open = () => {
    kept ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
    return kept;
  };
  return {
    forget: async (filters) => {
      for (const filter of filters)
        check((await open().transactAsync(encodeFlush(filter))).replies, `connections of ${filter.protocol}`);
    },
    walk: async function* (filter) {
      walking ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
      for await (const replies of walking.dump(encodeList(filter), PIECE)) {
        check(replies, 'connections', 'listed');
        yield readList(replies);
      }
    },
    cut: async (connections) => {
      for (let start = 0; start < connections.length; start += AT_ONCE) {
        const some = connections.slice(start, start + AT_ONCE);
        check((await open().transactAsync(encodeCuts(some))).replies, 'connections');
      }
    },
    [Symbol.dispose]: () => {
      kept?.[Symbol.dispose]();
      walking?.[Symbol.dispose]();
    },
  };
}

function check(replies: Buffer, what: string, done = 'forgotten'): void {
  for (const message of readMessages(replies)) {
    const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
    if (refusal === undefined || refusal.errno === 'ENOENT') continue;
    throw new FairleadError(
      'FL_CONNTRACK',
      `${what} could not be ${done}: ${refusal.errno}; this needs Linux 5.8 or later`,
    );
  }
}
