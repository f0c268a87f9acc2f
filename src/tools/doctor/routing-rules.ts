/** Rules of others that choose how packets are routed. */

import { ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import type { Rule } from '../../edge/netlink/objects.ts';

/** Priorities of the kernel's own rules: local, main and default (net/ipv4/fib_rules.c, net/ipv6/fib6_rules.c). */
const OF_KERNEL: ReadonlySet<number> = new Set([0, 32_766, 32_767]);

/** @param listing as `ip rule show` prints it. @returns each as in `rule 77 “from 10.244.0.0/24 blackhole”`. */
export function foreignRules(listing: string): string[] {
  return listing.split('\n').flatMap((line) => {
    const [, priority, rule = ''] = /^(\d+):\s+(.*?)\s*$/.exec(line) ?? [];
    if (priority === undefined || rule.endsWith(` proto ${ROUTE_PROTOCOL}`)) return [];
    const isKernel = OF_KERNEL.has(Number(priority)) && /^from all lookup (local|main|default)$/.test(rule);
    return isKernel ? [] : [`rule ${priority} “${rule}”`];
  });
}

export function isForeign({ protocol, priority, table, from, to, fwmark }: Rule): boolean {
  const isGeneral = from === undefined && to === undefined && fwmark === undefined && table > 252;
  return protocol !== ROUTE_PROTOCOL && !(isGeneral && OF_KERNEL.has(priority));
}

export function describeRule({ priority, from, to, table, inputLink, fwmark }: Rule): string {
  const parts = [
    `from ${from ?? 'all'}`,
    ...(to === undefined ? [] : [`to ${to}`]),
    ...(inputLink === undefined ? [] : [`iif ${inputLink}`]),
    ...(fwmark === undefined ? [] : [`fwmark 0x${fwmark.toString(16)}`]),
  ];
  return `rule ${priority} “${parts.join(' ')} lookup ${table}”`;
}
