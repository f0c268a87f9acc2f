/** The kernel's table of connections, in the namespace of this process. */
import { FairleadError } from '../errors/errors.ts';
import { NLMSG_ERROR, readError, readMessages } from '../netlink/message.ts';
import type { NetworkNamespace } from '../netlink/namespace.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { encodeFlush, type FlowFilter } from './flush.ts';
import { type Connection, encodeList, readList } from './list.ts';

const NETLINK_NETFILTER = 12;

export type Conntrack = {
  /**
   * Forgets all connections that match one of the filters, off the event loop: the kernel walks its whole table. That
   * none matches is success.
   * @throws FairleadError FL_CONNTRACK when the kernel refuses.
   */
  readonly forget: (filters: readonly FlowFilter[]) => Promise<void>;
  /** All connections of TCP, UDP and SCTP, off the event loop. */
  readonly list: () => Promise<Connection[]>;
  [Symbol.dispose](): void;
};

/** @param namespace the process' own where absent; not to be disposed before something is first forgotten. */
export function openConntrack(namespace?: NetworkNamespace): Conntrack {
  // Kept for the same reason as the one of openNftables: whichever netfilter socket is closed waits.
  let kept: NetlinkSocket | undefined;
  return {
    forget: async (filters) => {
      for (const filter of filters) {
        kept ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
        const { replies } = await kept.transactAsync(encodeFlush(filter));
        for (const message of readMessages(replies)) {
          const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
          if (refusal === undefined || refusal.errno === 'ENOENT') continue;
          throw new FairleadError(
            'FL_CONNTRACK',
            `connections of ${filter.protocol} could not be forgotten: ${refusal.errno}; this needs Linux 5.8 or later`,
          );
        }
      }
    },
    list: async () => {
      kept ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
      return readList((await kept.transactAsync(encodeList())).replies);
    },
    [Symbol.dispose]: () => kept?.[Symbol.dispose](),
  };
}
