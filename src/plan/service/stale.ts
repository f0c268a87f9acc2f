/**
 * UDP has no end: a flow whose sender goes on stays with an endpoint that serves no more, or with none at all, for as long
 * as it lasts. TCP and SCTP notice, and finish. Policies and topology count for nothing here: an endpoint that serves is
 * as good as it was (what is asked of kube-proxy, too).
 */
import { type Cidr, cidrContains } from '../../base/ip/cidr.ts';
import { type Ip, ipFamily } from '../../base/ip/ip.ts';
import { claimKey } from './name.ts';
import type { PlannedPort, ServiceTable } from './table.ts';

/** A tracked connection; `target` is who answers. */
export type TrackedFlow = {
  protocol: string;
  destination: Ip;
  destinationPort: number;
  target: Ip;
  targetPort: number;
};

/**
 * @param before the table until now: what is served no more is in this alone. @param flows all of them, of one dump.
 * @returns those that have to go, so that their next packet is led anew.
 */
export function staleFlows<T extends TrackedFlow>(
  now: ServiceTable,
  before: ServiceTable | undefined,
  flows: Iterable<T>,
): T[] {
  const serving = new Map<string, ReadonlySet<string>>();
  for (const table of before === undefined ? [now] : [before, now])
    for (const { ports } of table.services)
      for (const port of ports)
        if (port.protocol === 'UDP')
          for (const { ip, port: number } of port.frontends)
            serving.set(keyOf(port.family, ip, number), table === now ? targetsOf(port) : NONE);
  const nodeIps = new Set([...now.nodePortIps, ...(before?.nodePortIps ?? [])]);
  const stale: T[] = [];
  for (const flow of flows) {
    if (flow.protocol !== 'udp') continue;
    const { destination, destinationPort, target, targetPort } = flow;
    const family = ipFamily(destination);
    const targets =
      serving.get(keyOf(family, destination, destinationPort)) ??
      (nodeIps.has(destination) ? serving.get(keyOf(family, undefined, destinationPort)) : undefined) ??
      (isServiceAddress(destination, now.serviceRanges) ? NONE : undefined);
    if (targets !== undefined && !targets.has(`${target} ${targetPort}`)) stale.push(flow);
  }
  return stale;
}

/**
 * Whether a change can have made a flow stale: only then is the table of connections read.
 * Endpoints that come count as well: a flow to a service that had none is kept alive by what its sender repeats.
 */
export function mayMakeStale(before: PlannedPort | undefined, after: PlannedPort | undefined): boolean {
  if ((before ?? after)?.protocol !== 'UDP') return false;
  if (before === undefined || after === undefined) return true;
  const [old, now] = [targetsOf(before), targetsOf(after)];
  return old.size !== now.size || [...old].some((target) => !now.has(target));
}

const NONE: ReadonlySet<string> = new Set();

function targetsOf({ serving }: PlannedPort): ReadonlySet<string> {
  return new Set(serving.map(({ ip, port }) => `${ip} ${port}`));
}

function keyOf(family: 4 | 6, ip: Ip | undefined, port: number): string {
  return `${family} ${claimKey(ip, 'UDP', port)}`;
}

function isServiceAddress(ip: Ip, ranges: readonly Cidr[]): boolean {
  return ranges.some((range) => cidrContains(range, ip));
}
