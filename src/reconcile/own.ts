/** What in a namespace is Fairlead's own: read from the kernel, everything else left out and so never touched. */
import { type Cidr, cidrContains } from '../ip/cidr.ts';
import { ipFamily } from '../ip/ip.ts';
import type { Kernel } from '../netlink/kernel.ts';
import { type Link, NUD_PERMANENT, SCOPE_LINK, SCOPE_UNIVERSE } from '../netlink/objects.ts';
import { ROUTE_PROTOCOL, VXLAN_LINKS } from '../overlay/identity.ts';
import { ATTACHMENT_GROUP, SHAPER_GROUP } from '../pod/attachment.ts';
import { parseBandwidthNames } from '../pod/bandwidth-record.ts';
import type { NetworkState } from './state.ts';

/** @param links the namespace's links, dumped just before. */
export function readOwnState(
  kernel: Kernel,
  links: readonly Link[],
  podNetwork: readonly Cidr[],
): NetworkState<Link> {
  const tunnels = links.filter(({ name }) => name === VXLAN_LINKS[4] || name === VXLAN_LINKS[6]);
  const onTunnel = new Set(tunnels.map(({ index }) => index));
  const toPods = new Set(links.filter(({ group }) => group === ATTACHMENT_GROUP).map(({ index }) => index));
  const limited = links.flatMap(({ index, group, name, altNames }) => {
    const bandwidth = group === ATTACHMENT_GROUP ? parseBandwidthNames(name, altNames) : undefined;
    return bandwidth === undefined ? [] : [{ index, ...bandwidth }];
  });
  const loopback = links.find((link) => link.loopback)?.index;
  return {
    links: [...tunnels, ...links.filter(({ group }) => group === SHAPER_GROUP)],
    addresses: kernel
      .addresses()
      .filter(
        ({ linkIndex, scope, ip }) =>
          linkIndex === loopback &&
          scope === (ipFamily(ip) === 4 ? SCOPE_LINK : SCOPE_UNIVERSE) &&
          podNetwork.some((range) => cidrContains(range, ip)),
      ),
    routes: kernel.routes({ protocol: ROUTE_PROTOCOL }),
    neighbors: kernel
      .neighbors()
      .filter(
        ({ linkIndex, state }) =>
          state === NUD_PERMANENT && (onTunnel.has(linkIndex) || toPods.has(linkIndex)),
      ),
    fdb: tunnels.flatMap(({ index }) =>
      kernel.fdb(index).filter(({ destination }) => destination !== undefined),
    ),
    rules: kernel.rules().filter(({ protocol }) => protocol === ROUTE_PROTOCOL),
    qdiscs: limited.length === 0 ? [] : kernel.qdiscs(),
    redirects: limited.flatMap(({ index, egress }) => (egress === undefined ? [] : kernel.redirects(index))),
  };
}
