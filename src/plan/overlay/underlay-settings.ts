/** Settings of the interface that carries the cluster's packets: the administrator's, so named and never changed. */
import type { Link } from '../../edge/netlink/objects.ts';
import type { Underlay } from './underlay.ts';

/** @returns one sentence for each that keeps packets from pods or to them. */
export function underlayProblems(links: readonly Link[], underlays: readonly Underlay[]): string[] {
  const carriers = new Set(underlays.map(({ linkIndex }) => linkIndex));
  return links.flatMap(({ index, name, ipv4 }) =>
    // IPv6 asks `all` alone whether to forward (net/ipv6/ip6_output.c, ip6_forward).
    carriers.has(index) && ipv4?.forwarding === false
      ? [
          `net.ipv4.conf.${name}.forwarding is 0, so what comes by ${name} for pods is dropped: set it to 1, and find what ` +
            'sets it (grep -r forwarding /etc/sysctl.d /usr/lib/sysctl.d)',
        ]
      : [],
  );
}
