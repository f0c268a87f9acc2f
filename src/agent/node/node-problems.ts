/** What is wrong with the node's part of the network although the kernel took everything: one sentence each. */
import { type Cidr, cidrContains } from '../../base/ip/cidr.ts';
import type { PeerPaths } from '../../plan/overlay/plan.ts';
import { describeAttachment } from '../../plan/pod/attachment.ts';
import type { LiveAttachment } from './attachments.ts';

/** Of thousands of peers most are reached: no list is made for each. */
export function unreachedPeers(peers: readonly PeerPaths[]): string[] {
  const reasons: string[] = [];
  for (const { paths } of peers)
    for (const { path } of paths) if (path.mode === 'none') reasons.push(path.reason);
  return reasons;
}

/** Pods whose node has another range now: others do not find them any more. */
export function strandedPods(
  attachments: Iterable<LiveAttachment>,
  ranges: readonly Cidr[] | undefined,
): string[] {
  if (ranges === undefined) return [];
  return [...attachments].flatMap((attachment) => {
    const lost = attachment.ips.filter((ip) => !ranges.some((range) => cidrContains(range, ip)));
    return lost.length === 0
      ? []
      : [
          `${describeAttachment(attachment)} has ${lost.join(', ')}, which is of none of the ranges ${ranges.join(', ')} of this node: ` +
            'other nodes do not find it; create it anew',
        ];
  });
}
