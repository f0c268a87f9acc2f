/** The kernel's table of connections, in the namespace of this process. */
import { FairleadError } from '../../base/errors/errors.ts';
import { inTurns } from '../../base/run/sliced.ts';
import { NLMSG_ERROR, readError, readMessages } from '../netlink/codec/message.ts';
import type { NetworkNamespace } from '../netlink/namespace.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { encodeFlush, type FlowFilter } from './flush.ts';
import { type Connection, encodeCuts, encodeList, readList } from './list.ts';

const NETLINK_NETFILTER = 12;
/** Connections of one request. */
const AT_ONCE = 500;

export type Conntrack = {
  /**
   * Forgets all connections that match one of the filters, off the event loop: the kernel walks its whole table. That
   * none matches is success.
   * @throws FairleadError FL_CONNTRACK when the kernel refuses.
   */
  readonly forget: (filters: readonly FlowFilter[]) => Promise<void>;
  /** All connections, off the event loop. */
  readonly list: () => Promise<Connection[]>;
  /** Forgets these; one that has ended meanwhile is fine. @throws as {@link Conntrack.forget}. */
  readonly cut: (connections: readonly Connection[]) => Promise<void>;
  [Symbol.dispose](): void;
};

/** @param namespace the process' own where absent; not to be disposed before something is first forgotten. */
export function openConntrack(namespace?: NetworkNamespace): Conntrack {
  // Kept for the same reason as the one of openNftables: whichever netfilter socket is closed waits.
  let kept: NetlinkSocket | undefined;
  const open = () => {
    kept ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
    return kept;
  };
  return {
    forget: async (filters) => {
      for (const filter of filters)
        check((await open().transactAsync(encodeFlush(filter))).replies, `connections of ${filter.protocol}`);
    },
    list: async () => inTurns(readList((await open().transactAsync(encodeList())).replies)),
    cut: async (connections) => {
      for (let start = 0; start < connections.length; start += AT_ONCE) {
        const some = connections.slice(start, start + AT_ONCE);
        check((await open().transactAsync(encodeCuts(some))).replies, 'connections');
      }
    },
    [Symbol.dispose]: () => kept?.[Symbol.dispose](),
  };
}

function check(replies: Buffer, what: string): void {
  for (const message of readMessages(replies)) {
    const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
    if (refusal === undefined || refusal.errno === 'ENOENT') continue;
    throw new FairleadError(
      'FL_CONNTRACK',
      `${what} could not be forgotten: ${refusal.errno}; this needs Linux 5.8 or later`,
    );
  }
}
