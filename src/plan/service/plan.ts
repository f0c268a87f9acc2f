/** Services × slices × this node → what the node does with packets to them. */
import type { Cidr } from '../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import { runToEnd, type Slices } from '../../base/run/slices.ts';
import { type Claims, settleClaims } from './claims.ts';
import { type Candidate, candidatesOf, categorize, type ServiceNode } from './endpoints.ts';
import { frontendsOf, isExternal } from './frontends.ts';
import { claimKey, nameOf } from './name.ts';
import type { ServiceObject, ServicePort, SliceObject } from './objects.ts';
import type { Endpoint, PlannedPort, PlannedService, ServiceTable, Way } from './table.ts';
import { isUnreachable, type Taken } from './taken.ts';

export type ServicesInput = {
  services: readonly ServiceObject[];
  /** By service: `default/web`. */
  slices: ReadonlyMap<string, readonly SliceObject[]>;
  node: ServiceNode;
  families: readonly IpFamily[];
  nodePortIps: readonly Ip[];
  serviceRanges: readonly Cidr[];
  /** Addresses that no service may have for its own. */
  taken: Taken;
  /** Whether pods that use a cluster address carry the node's address too. */
  masqueradeAll?: boolean;
};

export function planServices(input: ServicesInput): ServiceTable {
  return runToEnd(createServicePlanner()(input));
}

/**
 * For one who plans again whenever a few of many services have changed: a service whose objects are the same as before
 * has the same plan as before, the very object; and while the list of services is the very same one, nothing is asked
 * about those whose slices have not changed.
 */
export function createServicePlanner(): (input: ServicesInput) => Slices<ServiceTable> {
  let known = new Map<string, Known>();
  let knownSettings = '';
  let settled: { services: ServicesInput['services']; taken: Taken; claims: Claims } | undefined;
  return function* (input) {
    const { node, families, nodePortIps, serviceRanges, services, taken } = input;
    const settings = JSON.stringify([node, families, input.masqueradeAll]);
    if (settings !== knownSettings) known = new Map();
    knownSettings = settings;
    if (settled?.services !== services || settled.taken !== taken)
      settled = { services, taken, claims: yield* settleClaims(services, taken) };
    const { claims } = settled;
    const next: typeof known = new Map();
    let planning = 0;
    for (const service of services) {
      if (service.notServed !== undefined) continue;
      const name = nameOf(service);
      const before = known.get(name);
      const plan = planAgain(before, service, input.slices.get(name) ?? NO_SLICES, claims, input);
      next.set(name, plan);
      planning += before === plan ? 1 : PLANNED_COST;
      if (planning < STEP) continue;
      planning = 0;
      yield;
    }
    known = next;
    const planned = [...next.values()].map((each) => each.planned);
    const named = planned
      .filter(({ problems }) => problems.length > 0)
      .flatMap(({ name, problems }) => problems.map((problem) => ({ service: name, problem })));
    const problems = [...claims.problems, ...named];
    return { families, services: planned, nodePortIps, serviceRanges, problems };
  };
}

/** Services that are looked at in one step; planning one costs as much as looking at so many. */
const STEP = 1024;
const PLANNED_COST = 64;

const NO_SLICES: readonly SliceObject[] = [];

/** What a service was planned from, and the plan. @property claims of which `denied` and `foreign` were taken. */
type Known = {
  service: ServiceObject;
  slices: readonly SliceObject[];
  claims: Claims;
  denied: string;
  foreign: string;
  planned: PlannedService;
};

function planAgain(
  before: Known | undefined,
  service: ServiceObject,
  slices: readonly SliceObject[],
  claims: Claims,
  input: ServicesInput,
): Known {
  const same = before?.service === service && sameItems(before.slices, slices);
  if (same && before.claims === claims) return before;
  const name = nameOf(service);
  const denied = claims.denied.get(name) ?? '';
  const foreign = unreachable(slices, claims.serviceIps, name);
  const from = { service, slices, claims, denied, foreign };
  if (same && before.denied === denied && before.foreign === foreign) return { ...before, claims };
  return { ...from, planned: planService(service, slices, denied, foreign, input) };
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a === b || (a.length === b.length && a.every((item, index) => item === b[index]));
}

/** @returns addresses of other services among its endpoints, as one text. */
function unreachable(
  slices: readonly SliceObject[],
  serviceIps: ReadonlyMap<Ip, string>,
  own: string,
): string {
  const found = new Set<string>();
  for (const { endpoints } of slices)
    for (const { ip } of endpoints) {
      const owner = serviceIps.get(ip);
      if (owner !== undefined || isUnreachable(ip))
        found.add(`${ip} ${owner === own ? 'its own' : (owner ?? '')}`);
    }
  return [...found].toSorted().join(',');
}

/** @param denied frontends that others have, by {@link claimKey}, with commas. */
function planService(
  service: ServiceObject,
  slices: readonly SliceObject[],
  denied: string,
  foreign: string,
  { node, families, masqueradeAll = false }: Pick<ServicesInput, 'node' | 'families' | 'masqueradeAll'>,
): PlannedService {
  const served = families.filter((family) => service.clusterIPs.some((ip) => ipFamily(ip) === family));
  const left = new Map(foreign === '' ? [] : foreign.split(',').map((item) => splitOnce(item)));
  const context = { node, masqueradeAll, denied: new Set(denied.split(',')), left };
  const ports = served.flatMap((family) =>
    service.ports.map((port) => planPort(service, slices, family, port, context)),
  );
  const health =
    service.healthCheckNodePort === undefined
      ? {}
      : {
          health: { port: service.healthCheckNodePort, localEndpoints: countLocal(service, slices, node) },
        };
  return {
    name: nameOf(service),
    clusterIps: service.clusterIPs.filter(
      (ip) => served.includes(ipFamily(ip)) && !context.denied.has(String(ip)),
    ),
    ports,
    ...health,
    problems: [...left].map(
      ([ip, owner]) =>
        `endpoint ${ip} is ${owner === '' ? 'no address that another node could reach' : owner === 'its own' ? 'the service’s own address' : `an address of service ${owner}`}; it is left out`,
    ),
  };
}

type Context = {
  node: ServiceNode;
  masqueradeAll: boolean;
  denied: ReadonlySet<string>;
  left: ReadonlyMap<string, string>;
};

function planPort(
  service: ServiceObject,
  slices: readonly SliceObject[],
  family: IpFamily,
  port: ServicePort,
  { node, masqueradeAll, denied, left }: Context,
): PlannedPort {
  const all = candidatesOf(slices, family, port, node);
  const candidates = left.size === 0 ? all : all.filter(({ ip }) => !left.has(ip));
  const external = isExternal(service, family, port);
  const [internalLocal, externalLocal] = [
    service.internalTrafficPolicy === 'Local',
    service.externalTrafficPolicy === 'Local',
  ];
  const { cluster, local, usable } = categorize(
    candidates,
    { cluster: !internalLocal || external, local: internalLocal || (externalLocal && external) },
    node,
  );
  const lists = { cluster: cluster.map(toEndpoint), local: local.map(toEndpoint) };
  const way = (list: 'cluster' | 'local'): Way => {
    if (lists[list].length > 0) return { list };
    if (!usable) return { refused: 'reject', why: 'it has no endpoint that is ready' };
    return {
      refused: 'drop',
      why: 'none of its endpoints is on this node, as its traffic policy Local asks',
    };
  };
  return {
    name: port.name,
    protocol: port.protocol,
    port: port.port,
    family,
    lists,
    usable,
    serving: candidates.filter(({ serving }) => serving).map(toEndpoint),
    ...(service.affinitySeconds === undefined ? {} : { affinitySeconds: service.affinitySeconds }),
    frontends: frontendsOf(service, family, port, { nodeIps: node.ips, masqueradeAll, way }).filter(
      ({ ip, port: number }) =>
        ip === undefined
          ? !denied.has(claimKey(undefined, port.protocol, number))
          : !denied.has(ip) && !denied.has(claimKey(ip, port.protocol, number)),
    ),
  };
}

function toEndpoint({ ip, port, local }: Candidate): Endpoint {
  return { ip, port, local };
}

/** Distinct addresses, of ready ones alone: a balancer shall turn away from a node whose last endpoint ends. */
function countLocal(service: ServiceObject, slices: readonly SliceObject[], node: ServiceNode): number {
  const ips = new Set<Ip>();
  for (const { family, endpoints } of slices)
    if (family !== undefined && service.clusterIPs.some((ip) => ipFamily(ip) === family))
      for (const { ip, ready, nodeName } of endpoints) if (ready && nodeName === node.name) ips.add(ip);
  return ips.size;
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf(' ');
  return [text.slice(0, at), text.slice(at + 1)];
}
