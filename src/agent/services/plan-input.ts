/** What the planner of services is asked, from what the cluster says and what the node is. */
import { type Cidr, cidrContains, cidrFamily } from '../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import type { KubeNode } from '../../cluster/kinds/node.ts';
import type { ServiceState } from '../../cluster/service-source.ts';
import type { ServiceNode } from '../../plan/service/endpoints.ts';
import type { ServiceObject } from '../../plan/service/objects.ts';
import type { ServicesInput } from '../../plan/service/plan.ts';
import type { Taken } from '../../plan/service/taken.ts';

export type PlanSources = {
  state: Extract<ServiceState, { known: true }>;
  podNetwork: readonly Cidr[];
  /** Empty: primary addresses. */
  nodePortAddresses: readonly Cidr[];
  masqueradeAll: boolean;
  serviceRanges: readonly Cidr[];
  /** Addresses of this node's devices. */
  localIps: readonly Ip[];
  /** Those of all nodes. */
  nodeIps: Iterable<Ip>;
  /** Those of pods of the whole cluster. */
  podIps: Iterable<Ip>;
};

const ZONE_LABEL = 'topology.kubernetes.io/zone';
const LOOPBACK = ['127.0.0.0/8', '::1/128'] as readonly string[] as readonly Cidr[];

/** For one that asks again and again: what is as before is the same object as before, and is not planned anew. */
export function createPlanInput(): (sources: PlanSources) => ServicesInput {
  const findTaken = createTaken();
  return (sources) => {
    const { state, podNetwork, nodePortAddresses, masqueradeAll, serviceRanges, localIps } = sources;
    const families = [...new Set(podNetwork.map(cidrFamily))].toSorted((a, b) => a - b);
    const node = nodeOf(state.node, families);
    return {
      services: state.services,
      slices: state.slices,
      node,
      families,
      nodePortIps:
        nodePortAddresses.length === 0 ? primaries(node.ips) : withinOf(localIps, nodePortAddresses),
      serviceRanges,
      taken: findTaken(state.services, sources),
      masqueradeAll,
    };
  };
}

export function nodeOf({ name, labels, internalIps }: KubeNode, families: readonly IpFamily[]): ServiceNode {
  const zone = Object.hasOwn(labels, ZONE_LABEL) ? labels[ZONE_LABEL] : undefined;
  const ips = internalIps.filter((ip) => families.includes(ipFamily(ip)));
  return { name, ...(zone === undefined ? {} : { zone }), ips };
}

/** The first of each family. */
function primaries(ips: readonly Ip[]): readonly Ip[] {
  return ips.filter((ip, index) => ips.findIndex((other) => ipFamily(other) === ipFamily(ip)) === index);
}

function withinOf(ips: readonly Ip[], ranges: readonly Cidr[]): readonly Ip[] {
  const fits = (ip: Ip) => ranges.some((range) => cidrContains(range, ip));
  const isLoopback = (ip: Ip) => LOOPBACK.some((range) => cidrContains(range, ip));
  return [...new Set(ips)].filter((ip) => fits(ip) && !isLoopback(ip)).toSorted();
}

/** Of all pods and nodes only those whose address a service claims count: pods come and go all the time. */
function createTaken(): (services: readonly ServiceObject[], sources: PlanSources) => Taken {
  let claimed: { services: readonly ServiceObject[]; ips: ReadonlySet<Ip> } | undefined;
  let known: Taken = { podIps: new Set(), nodeIps: new Set() };
  return (services, { podIps, nodeIps }) => {
    if (claimed?.services !== services) claimed = { services, ips: claimedIps(services) };
    const { ips } = claimed;
    const now = { podIps: within(podIps, ips), nodeIps: within(nodeIps, ips) };
    if (!sameSet(now.podIps, known.podIps) || !sameSet(now.nodeIps, known.nodeIps)) known = now;
    return known;
  };
}

function claimedIps(services: readonly ServiceObject[]): ReadonlySet<Ip> {
  const ips = new Set<Ip>();
  for (const { clusterIPs, externalIPs, loadBalancerIPs } of services)
    for (const list of [clusterIPs, externalIPs, loadBalancerIPs]) for (const ip of list) ips.add(ip);
  return ips;
}

function within(ips: Iterable<Ip>, claimed: ReadonlySet<Ip>): ReadonlySet<Ip> {
  const found = new Set<Ip>();
  for (const ip of ips) if (claimed.has(ip)) found.add(ip);
  return found;
}

function sameSet(a: ReadonlySet<Ip>, b: ReadonlySet<Ip>): boolean {
  return a.size === b.size && [...a].every((ip) => b.has(ip));
}
