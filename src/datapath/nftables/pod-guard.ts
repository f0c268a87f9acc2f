/**
 * What pods may not send, whatever it is meant for: in the name of others, and what would configure the node. Before
 * routing, so that it holds for what is forwarded as for what is for the node itself.
 */
import type { IpFamily } from '../../base/ip/ip.ts';
import type { Rule } from '../../edge/nftables/objects.ts';

/** Names of counters in the kernel, which the doctor and metrics read. */
export const SPOOFED_SOURCE = 'spoofed-source';
export const ROUTER_ADVERTISEMENT = 'router-advertisement';

const SPOOFED = `counter name "${SPOOFED_SOURCE}" drop`;

/**
 * For a chain that packets from pods' links alone come through. A source is a pod's own where the route to it leads
 * back by the same link. That does not depend on the reverse path filter, which IPv6 has not, and which others set.
 */
export function podGuard(families: readonly IpFamily[]): Rule[] {
  return [
    // The lookup takes these for what a host without an address sends.
    { match: `ip saddr 0.0.0.0/8 ${SPOOFED}`, comment: 'an address that no pod has' },
    {
      match: `meta nfproto ipv4 fib saddr . iif oif missing ${SPOOFED}`,
      comment: 'an address that the pod has not',
    },
    // Duplicate address detection and multicast listener reports have no source.
    { match: `ip6 saddr :: meta l4proto != ipv6-icmp ${SPOOFED}`, comment: 'an address that no pod has' },
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
