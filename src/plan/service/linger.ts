/**
 * Endpoints that are in no list any more, and still have connections: those go on (a pod that ends finishes what it began),
 * so their packets have to be tracked as before.
 */
import type { Ip } from '../../base/ip/ip.ts';
import type { ServiceProtocol } from './objects.ts';
import type { PlannedService, ServiceTable } from './table.ts';

export type Lingering = { ip: Ip; protocol: ServiceProtocol; port: number };

/** @returns who lingers now: who did and has not come back, and who was an endpoint until now. */
export function linger(
  known: readonly Lingering[],
  before: ServiceTable | undefined,
  now: ServiceTable,
): readonly Lingering[] {
  const current = new Map(now.services.map((service) => [service.name, service]));
  const former = (before?.services ?? []).filter((service) => current.get(service.name) !== service);
  const left = new Map<string, Lingering>(known.map((endpoint) => [keyOf(endpoint), endpoint]));
  for (const service of former)
    for (const endpoint of endpointsOf(service)) left.set(keyOf(endpoint), endpoint);
  if (left.size === 0) return [];
  for (const service of now.services)
    for (const endpoint of endpointsOf(service)) left.delete(keyOf(endpoint));
  return [...left.values()];
}

/** @param connections all that are tracked. @returns those of the endpoints that one of them leads to. */
export function stillUsed(
  lingering: readonly Lingering[],
  connections: Iterable<{ protocol: string; target: Ip; targetPort: number }>,
): readonly Lingering[] {
  const used = new Set<string>();
  for (const { protocol, target, targetPort } of connections)
    used.add(`${target} ${protocol.toUpperCase()} ${targetPort}`);
  return lingering.filter((endpoint) => used.has(keyOf(endpoint)));
}

function keyOf({ ip, protocol, port }: Lingering): string {
  return `${ip} ${protocol} ${port}`;
}

function* endpointsOf({ ports }: PlannedService): Generator<Lingering> {
  for (const { protocol, serving, lists } of ports)
    for (const { ip, port } of [...serving, ...lists.cluster, ...lists.local]) yield { ip, protocol, port };
}
