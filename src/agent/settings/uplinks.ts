/** By which devices the node itself reaches others. */
import type { Ip } from '../../base/ip/ip.ts';
import { isTunnelLink } from '../../edge/marks/marks.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import { ATTACHMENT_GROUP, DELETING_GROUP, SHAPER_GROUP } from '../../plan/pod/attachment.ts';

const OURS: ReadonlySet<number> = new Set([ATTACHMENT_GROUP, SHAPER_GROUP, DELETING_GROUP]);
/** RTPROT_RA of linux/rtnetlink.h. */
const ADVERTISED = 9;

/**
 * Names of the devices with a route from a router advertisement; and, since one may come only after this was looked at,
 * with a default route or with an address by which the cluster knows the node. None of them is Fairlead's own.
 */
export function uplinkNames(kernel: Kernel, nodeIps: readonly Ip[]): string[] {
  const routes = kernel
    .routes()
    .filter(({ protocol, destination }) => protocol === ADVERTISED || destination.endsWith('/0'))
    .map(({ linkIndex }) => linkIndex);
  const addresses = kernel
    .addresses()
    .filter(({ ip }) => nodeIps.includes(ip))
    .map(({ linkIndex }) => linkIndex);
  const used = new Set([...routes, ...addresses]);
  return kernel
    .links()
    .filter(({ index, loopback, group, name }) => {
      const isOurs = OURS.has(group) || isTunnelLink({ name });
      return used.has(index) && !loopback && !isOurs;
    })
    .map(({ name }) => name);
}
