/** What the kernel's table of connections says of services: who lingers, and what is stale. */
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import type { Connection } from '../../edge/conntrack/list.ts';
import { type Lingering, stillUsed } from '../../plan/service/linger.ts';
import { SERVICE_PROTOCOLS } from '../../plan/service/objects.ts';
import { staleFlows } from '../../plan/service/stale.ts';
import type { ServiceTable } from '../../plan/service/table.ts';

/** Endpoints of connections that were led somewhere, by whichever program: an earlier agent, or another proxy. */
export async function readLingering(
  conntrack: Conntrack,
  table: ServiceTable,
): Promise<readonly Lingering[]> {
  const found = new Map<string, Lingering>();
  for await (const some of conntrack.walk())
    for (const { protocol, destination, destinationPort, target, targetPort } of some) {
      const known = SERVICE_PROTOCOLS.find((one) => one.toLowerCase() === protocol);
      if (known === undefined || (destination === target && destinationPort === targetPort)) continue;
      found.set(`${target} ${known} ${targetPort}`, { ip: target, protocol: known, port: targetPort });
    }
  for (const { ports } of table.services)
    for (const { protocol, serving, lists } of ports)
      for (const { ip, port } of [...serving, ...lists.cluster, ...lists.local])
        found.delete(`${ip} ${protocol} ${port}`);
  return [...found.values()];
}

export async function dropUnused(
  conntrack: Conntrack,
  lingering: readonly Lingering[],
): Promise<readonly Lingering[]> {
  const used = new Set<Lingering>();
  for await (const some of conntrack.walk()) for (const one of stillUsed(lingering, some)) used.add(one);
  return used.size === lingering.length ? lingering : lingering.filter((one) => used.has(one));
}

/** One pass, whatever has changed. @returns how many were cut. */
export async function cutStale(
  conntrack: Conntrack,
  now: ServiceTable,
  before: ServiceTable | undefined,
): Promise<number> {
  const stale: Connection[] = [];
  for await (const some of conntrack.walk()) stale.push(...staleFlows(now, before, some));
  await conntrack.cut(stale);
  return stale.length;
}
