/** What in a namespace is Fairlead's own: read from the kernel, everything else left out and so never touched. */
import { type Cidr, cidrContains } from '../../base/ip/cidr.ts';
import { ipFamily } from '../../base/ip/ip.ts';
import { isTunnelLink, ROUTE_PROTOCOL, VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import {
  type Address,
  type Link,
  NUD_PERMANENT,
  SCOPE_LINK,
  SCOPE_UNIVERSE,
} from '../../edge/netlink/objects.ts';
import type { Entries, NetworkState } from '../../edge/netlink/state/state.ts';
import { ATTACHMENT_GROUP, SHAPER_GROUP } from '../../plan/pod/attachment.ts';
import { parseBandwidthNames } from '../../plan/pod/bandwidth-record.ts';

/** @param links the namespace's links, dumped just before. */
export function readOwnState(
  kernel: Kernel,
  links: readonly Link[],
  podNetwork: readonly Cidr[],
): NetworkState<Link> {
  const entries = {
    routes: kernel.routes({ protocol: ROUTE_PROTOCOL }),
    neighbors: kernel.neighbors(),
    fdb: links.filter(isTunnelLink).flatMap(({ index }) => kernel.fdb(index)),
  };
  return {
    ...readOwnLinks(kernel, links, kernel.addresses(), podNetwork),
    ...ownEntries(entries, links),
  };
}

/** All but the entries. @param links, addresses dumped just before. */
export function readOwnLinks(
  kernel: Kernel,
  links: readonly Link[],
  addresses: readonly Address[],
  podNetwork: readonly Cidr[],
): Omit<NetworkState<Link>, keyof Entries> {
  const limited = links.flatMap(({ index, group, name, altNames }) => {
    const bandwidth = group === ATTACHMENT_GROUP ? parseBandwidthNames(name, altNames) : undefined;
    return bandwidth === undefined ? [] : [{ index, ...bandwidth }];
  });
  const loopback = links.find((link) => link.loopback)?.index;
  return {
    links: [...links.filter(isTunnelLink), ...links.filter(({ group }) => group === SHAPER_GROUP)],
    addresses: addresses.filter(
      ({ linkIndex, scope, ip }) =>
        linkIndex === loopback &&
        scope === (ipFamily(ip) === 4 ? SCOPE_LINK : SCOPE_UNIVERSE) &&
        podNetwork.some((range) => cidrContains(range, ip)),
    ),
    rules: kernel.rules().filter(({ protocol }) => protocol === ROUTE_PROTOCOL),
    qdiscs: limited.length === 0 ? [] : kernel.qdiscs(),
    redirects: limited.flatMap(({ index, egress }) => (egress === undefined ? [] : kernel.redirects(index))),
  };
}

/** All entries, others' too, in turns with others. */
export function readEntries(kernel: Kernel): Promise<Entries> {
  const fdbOf = Object.values(VXLAN_LINKS).flatMap((name) => kernel.link(name)?.index ?? []);
  return kernel.readEntries(fdbOf);
}

/** Of one link. */
export function readEntriesOf(kernel: Kernel, linkIndex: number): Entries {
  return {
    routes: kernel.routes({ protocol: ROUTE_PROTOCOL, linkIndex }),
    neighbors: kernel.neighbors(linkIndex),
    fdb: [],
  };
}

/** Those of the entries that are ours. */
export function ownEntries({ routes, neighbors, fdb }: Entries, links: readonly Link[]): Entries {
  const ours = new Set([
    ...links.filter(isTunnelLink).map(({ index }) => index),
    ...links.filter(({ group }) => group === ATTACHMENT_GROUP).map(({ index }) => index),
  ]);
  return {
    routes: routes.filter(({ protocol }) => protocol === ROUTE_PROTOCOL),
    neighbors: neighbors.filter(({ linkIndex, state }) => state === NUD_PERMANENT && ours.has(linkIndex)),
    fdb: fdb.filter(({ destination }) => destination !== undefined),
  };
}
