/**
 * The endpoints of a service's port out of its slices, and which of them count: ready ones, and where there are none at
 * all those that end but still serve (KEP-1669); near ones where every ready one has a hint (KEP-2433, KEP-4444).
 */
import type { Ip, IpFamily } from '../../base/ip/ip.ts';
import type { ServicePort, SliceEndpoint, SliceObject } from './objects.ts';
import type { Endpoint } from './table.ts';

export type ServiceNode = { name: string; zone?: string; ips: readonly Ip[] };

export type Candidate = Endpoint & Omit<SliceEndpoint, 'ip' | 'nodeName'>;

/** Which of the lists a port asks for. */
export type Wanted = { cluster: boolean; local: boolean };

/** @property usable whether any endpoint in the cluster is of use. */
export type Categorized = { cluster: readonly Candidate[]; local: readonly Candidate[]; usable: boolean };

/** An endpoint that is in two slices, since it moves, is one; a local one is meant before one that is not. */
export function candidatesOf(
  slices: readonly SliceObject[],
  family: IpFamily,
  port: Pick<ServicePort, 'name' | 'protocol'>,
  node: ServiceNode,
): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.family !== family) continue;
    for (const { name, protocol, port: number } of slice.ports) {
      if (name !== port.name || protocol !== port.protocol) continue;
      for (const { nodeName, ...endpoint } of slice.endpoints) {
        const key = `${endpoint.ip} ${number}`;
        const candidate = { ...endpoint, port: number, local: nodeName === node.name };
        const known = found.get(key);
        if (known === undefined || precedes(candidate, known)) found.set(key, candidate);
      }
    }
  }
  return [...found.values()];
}

/** Slices come in any order: of two words about one endpoint the better one counts. */
function precedes(a: Candidate, b: Candidate): boolean {
  if (a.local !== b.local) return a.local;
  return rank(a) > rank(b);
}

function rank({ ready, serving, terminating }: Candidate): number {
  return ready ? 2 : serving && terminating ? 1 : 0;
}

export function categorize(candidates: readonly Candidate[], wanted: Wanted, node: ServiceNode): Categorized {
  const cluster = wanted.cluster ? orEnding(nearest(candidates.filter(isReady), node), candidates) : [];
  const own = wanted.local ? candidates.filter(({ local }) => local) : [];
  const usable =
    cluster.length > 0 ||
    (wanted.local && candidates.some((candidate) => isReady(candidate) || isEnding(candidate)));
  return { cluster, local: orEnding(own.filter(isReady), own), usable };
}

function orEnding(ready: readonly Candidate[], all: readonly Candidate[]): readonly Candidate[] {
  return ready.length > 0 ? ready : all.filter(isEnding);
}

/** One endpoint without a hint switches the rule off, and so does a list that would be empty. */
function nearest(ready: readonly Candidate[], { name, zone }: ServiceNode): readonly Candidate[] {
  const here = ready.filter(({ forNodes }) => forNodes.includes(name));
  if (here.length > 0 && ready.every(({ forNodes }) => forNodes.length > 0)) return here;
  const near = zone === undefined ? [] : ready.filter(({ forZones }) => forZones.includes(zone));
  return near.length > 0 && ready.every(({ forZones }) => forZones.length > 0) ? near : ready;
}

function isReady({ ready }: Candidate): boolean {
  return ready;
}

function isEnding({ serving, terminating }: Candidate): boolean {
  return serving && terminating;
}
