/**
 * What pods may not send, whatever it is meant for: in the name of others, and what would configure the node. Before
 * routing, so that it holds for what is forwarded as for what is for the node itself.
 */
import { type Cidr, cidrFamily, largestCidrs } from '../../base/ip/cidr.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import type { Rule } from '../../edge/nftables/objects.ts';

/** Names of counters in the kernel, which the doctor and metrics read. */
export const SPOOFED_SOURCE = 'spoofed-source';
export const ROUTER_ADVERTISEMENT = 'router-advertisement';

/** linux/in6.h. */
const IPPROTO_ICMPV6 = 58;
const SPOOFED = `counter name "${SPOOFED_SOURCE}" drop`;

const FAMILIES = [4, 6] as const;

/** What an interface of a pod has beside its addresses; `::` is judged by a rule of its own. */
const OF_LINKS: Readonly<Record<IpFamily, readonly Cidr[]>> = { 4: [], 6: ['::/128', 'fe80::/10'] as Cidr[] };

/**
 * For a chain that packets from pods' links alone come through. A source is a pod's own where the route to it leads
 * back by the same link. That does not depend on the reverse path filter, which IPv6 has not, and which others set.
 * The route alone would also let pass what a DHCP client or avahi gave the link (169.254.0.0/16), which no policy knows.
 * @param sources all that pods of this node may have as addresses.
 */
export function podGuard(families: readonly IpFamily[], sources: readonly Cidr[]): Rule[] {
  return [
    // The lookup takes these for what a host without an address sends.
    { match: `ip saddr 0.0.0.0/8 ${SPOOFED}`, comment: 'an address that no pod has' },
    {
      match: `meta nfproto ipv4 fib saddr . iif oif missing ${SPOOFED}`,
      comment: 'an address that the pod has not',
    },
    ...FAMILIES.map((family) => ({
      match: `${notOfPods(family, sources)} ${SPOOFED}`,
      comment: 'an address that no pod has',
    })),
    // Duplicate address detection and multicast listener reports have no source.
    // By number: a container has no /etc/protocols, and nft no name of its own for this one.
    {
      match: `ip6 saddr :: meta l4proto != ${IPPROTO_ICMPV6} ${SPOOFED}`,
      comment: 'an address that no pod has',
    },
    ...(families.includes(6)
      ? [
          {
            match: `ip6 saddr != :: fib saddr . iif oif missing ${SPOOFED}`,
            comment: 'an address that the pod has not',
          },
        ]
      : []),
    {
      match: `icmpv6 type { nd-router-advert, nd-redirect } counter name "${ROUTER_ADVERTISEMENT}" drop`,
      comment: 'pods do not configure the node',
    },
  ];
}

/** In a family that pods have no addresses of, nothing but what their interfaces say by themselves. */
function notOfPods(family: IpFamily, sources: readonly Cidr[]): string {
  const ranges = [...OF_LINKS[family], ...sources.filter((range) => cidrFamily(range) === family)];
  if (ranges.length === 0) return `meta nfproto ipv${family}`;
  return `${family === 4 ? 'ip' : 'ip6'} saddr != { ${largestCidrs(ranges).join(', ')} }`;
}
