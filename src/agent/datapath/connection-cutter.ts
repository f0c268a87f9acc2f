/** Cuts connections that were let through once and would not be now: behind the change of the policies, which does not wait. */

import type { Ip } from '../../base/ip/ip.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import type { Connection, EndFilter } from '../../edge/conntrack/list.ts';
import type { Compiled } from '../../plan/policy/compile/compile.ts';
import { evaluate } from '../../plan/policy/compile/evaluate.ts';
import { PROTOCOLS } from '../../plan/policy/parse/objects.ts';

/** Addresses that are asked for one by one; for more of them the whole table is read once. */
const MOST_ADDRESSES = 4;

/** Addresses of pods of which something else is said than before. A ruling that no change has touched is the same object. */
export function changedAddresses(before: Compiled, after: Compiled): Ip[] {
  const former = new Map(before.pods.map((compiled) => [compiled.pod, compiled]));
  return after.pods.flatMap((now) => {
    const was = former.get(now.pod);
    return was?.ingress === now.ingress && was?.egress === now.egress ? [] : now.pod.podIPs;
  });
}

/**
 * @param ips of pods whose connections are looked into.
 * @param judge calls back with what is valid at that moment; what it does to it must be done when it returns.
 * @returns how many were cut.
 */
export async function cutForbidden(
  ips: readonly Ip[],
  conntrack: Conntrack,
  judge: <T>(by: (compiled: Compiled) => T) => Promise<T>,
): Promise<number> {
  let cut = 0;
  for (const filter of filtersOf(ips)) {
    for await (const connections of conntrack.walk(filter)) {
      const forbidden = await judge((compiled) => connections.filter((one) => isForbidden(compiled, one)));
      await conntrack.cut(forbidden);
      cut += forbidden.length;
    }
  }
  return cut;
}

function filtersOf(ips: readonly Ip[]): (EndFilter | undefined)[] {
  if (ips.length > MOST_ADDRESSES) return [undefined];
  return ips.flatMap((ip) => [{ source: ip }, { target: ip }]);
}

function isForbidden(compiled: Compiled, connection: Connection): boolean {
  const { byIp } = compiled;
  const { protocol, source, target, targetPort } = connection;
  if (!byIp.has(source) && !byIp.has(target)) return false;
  const flow = { source, destination: target };
  // Of a running ping, too, only the first packet was asked about.
  if (protocol === 'other') return !evaluate(compiled, { ...flow, protocol: 'ICMP' }).allowed;
  const known = PROTOCOLS.find((one) => one.toLowerCase() === protocol)!;
  return !evaluate(compiled, { ...flow, protocol: known, port: targetPort }).allowed;
}
