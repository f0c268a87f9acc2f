/** The kernel's table of connections, in the namespace of this process. */
import { FairleadError } from '../errors/errors.ts';
import { NLMSG_ERROR, readError, readMessages } from '../netlink/message.ts';
import type { NetworkNamespace } from '../netlink/namespace.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { encodeFlush, type FlowFilter } from './flush.ts';

const NETLINK_NETFILTER = 12;

/**
 * Forgets all connections that match one of the filters, off the event loop: the kernel walks its whole table. That
 * none matches is success.
 * @param namespace the process' own where absent.
 * @throws FairleadError FL_CONNTRACK when the kernel refuses.
 */
export async function flushFlows(
  filters: readonly FlowFilter[],
  namespace?: NetworkNamespace,
): Promise<void> {
  if (filters.length === 0) return;
  using socket = new NetlinkSocket(NETLINK_NETFILTER, namespace);
  for (const filter of filters) {
    const { replies } = await socket.transactAsync(encodeFlush(filter));
    for (const message of readMessages(replies)) {
      const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
      if (refusal === undefined || refusal.errno === 'ENOENT') continue;
      throw new FairleadError(
        'FL_CONNTRACK',
        `connections of ${filter.protocol} could not be forgotten: ${refusal.errno}; this needs Linux 5.8 or later`,
      );
    }
  }
}
