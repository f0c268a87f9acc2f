/**
 * The node's nftables table: pods and strangers send in their own name alone; pods that talk to the outside of the
 * cluster carry the node's address, and nothing else does; and what stays inside need not be tracked for that.
 */

import { type Cidr, cidrContains, cidrFamily, hostCidr, largestCidrs } from '../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import type { Chain, Element, NftSet, Rule, Table } from '../../edge/nftables/objects.ts';
import {
  hostPortChains,
  hostPortSets,
  hostPortSources,
  hostPortTracking,
  LOCALHOST_GUARD,
  type PodPorts,
  serviceSets,
  TRACKED_SETS,
} from '../../plan/hostport/plan.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { ATTACHMENT_GROUP, DELETING_GROUP } from '../../plan/pod/attachment.ts';
import { podGuard, ROUTER_ADVERTISEMENT, SPOOFED_SOURCE } from './pod-guard.ts';
import {
  TUNNEL_INNER_SOURCE,
  TUNNEL_STRANGER,
  type TunnelGuardInput,
  tunnelGuard,
  tunnelTracking,
} from './tunnel-guard.ts';

export const TABLE = { family: 'inet', name: 'fairlead' } as const;

export type NodeTableInput = {
  ranges: readonly Cidr[];
  podNetwork: readonly Cidr[];
  /** Of attached pods that are in neither: the node had another range when they came. */
  strays: readonly Ip[];
  /** All nodes, this one among them: a packet to a node keeps its source. */
  nodes: readonly ClusterNode[];
  exclude: readonly Cidr[];
  /**
   * Whether packets between pods bypass connection tracking, which masquerading switches on for the whole node. Not
   * where others translate addresses (a service's, say): their answers would not be translated back.
   */
  untracked: boolean;
  /** Addresses of pods whose connections must be tracked for other reasons: policies. */
  tracked: readonly Ip[];
  /** Present where ports of the node may lead to pods. */
  hostPorts?: { pods: readonly PodPorts[]; nodeIps: readonly Ip[]; services: readonly Cidr[] };
  /** Whether pods that talk to the outside carry the node's address. */
  masquerade: boolean;
  /** Present where there is a tunnel. */
  tunnel?: TunnelGuardInput;
};

const MULTICAST = { 4: '224.0.0.0/4', 6: 'ff00::/8' } as const;

/**
 * For one who plans again whenever a few of many nodes have changed: the elements of a node that is the same object as
 * before are the same objects as before.
 */
export function createNodeTablePlanner(): (input: NodeTableInput) => Table {
  const inside = { 4: createInside(4), 6: createInside(6) };
  return (input) => planTable(input, inside);
}

function planTable(input: NodeTableInput, inside: Record<IpFamily, Inside>): Table {
  const sets: NftSet[] = [];
  const rules: Rule[] = [];
  const families = [...new Set(input.ranges.map(cidrFamily))];
  const hostPorts = input.hostPorts === undefined ? undefined : { ...input.hostPorts, families };
  if (hostPorts !== undefined) {
    sets.push(
      ...hostPortSets(hostPorts).map((set) => withTracked(set, input.tracked)),
      ...serviceSets(hostPorts),
    );
    rules.push(...hostPortSources(hostPorts));
  }
  for (const range of input.masquerade ? input.ranges : []) {
    const family = cidrFamily(range);
    const [ip, set] = family === 4 ? ['ip', 'inside4'] : ['ip6', 'inside6'];
    if (!sets.some(({ name }) => name === set))
      sets.push({ name: set, key: [`ipv${family}_addr`], interval: true, elements: inside[family](input) });
    rules.push({
      match: `${ip} saddr ${range} ${ip} daddr != @${set} masquerade fully-random`,
      comment: 'pods to the outside',
    });
  }
  const outside: Chain = {
    name: 'outside',
    hook: { type: 'nat', hook: 'postrouting', priority: 'srcnat' },
    rules,
  };
  const ports = hostPorts === undefined ? [] : hostPortChains(hostPorts);
  const { tunnel } = input;
  return {
    ...TABLE,
    counters: [
      SPOOFED_SOURCE,
      ROUTER_ADVERTISEMENT,
      ...(tunnel === undefined ? [] : [TUNNEL_STRANGER, TUNNEL_INNER_SOURCE]),
    ],
    sets: [...sets, ...(tunnel?.sets ?? [])],
    chains: [
      ...earlyChains(input, families),
      ...(tunnel === undefined ? [] : tunnelGuard(tunnel)),
      ...ports,
      ...(rules.length > 0 ? [outside] : []),
    ],
  };
}

/** Before connections are tracked: what pods may not send, and what need not be tracked. */
function earlyChains(
  { ranges, podNetwork, strays, untracked, tunnel, hostPorts }: NodeTableInput,
  families: readonly IpFamily[],
): Chain[] {
  const sources = [...podNetwork, ...ranges, ...strays.map(hostCidr)];
  const guard = [...(hostPorts === undefined ? [] : [LOCALHOST_GUARD]), ...podGuard(families, sources)];
  const tracked = hostPorts === undefined || !untracked ? [] : hostPortTracking({ families });
  const pods = (untracked ? podNetwork : []).map((range): Rule => {
    const ip = cidrFamily(range) === 4 ? 'ip' : 'ip6';
    return { match: `${ip} saddr ${range} ${ip} daddr ${range} notrack accept`, comment: 'between pods' };
  });
  const tunnelled = tunnel === undefined ? { prerouting: [], output: [] } : tunnelTracking(tunnel);
  const early = (hook: 'prerouting' | 'output', rules: Rule[]): Chain[] =>
    rules.length === 0
      ? []
      : [{ name: `early-${hook}`, hook: { type: 'filter', hook, priority: 'raw' }, rules }];
  return [
    { name: 'from-pods', rules: guard },
    ...early('prerouting', [
      // A pod that was deleted is off the network at once, though its link lives on for a moment.
      { match: `iifgroup vmap { ${ATTACHMENT_GROUP} : jump from-pods, ${DELETING_GROUP} : drop }` },
      ...tracked,
      ...pods,
      ...tunnelled.prerouting,
    ]),
    ...early('output', tunnelled.output),
  ];
}

/** What of the cluster is no outside: its ranges, and all its nodes. */
type Inside = (input: NodeTableInput) => Element[];

function createInside(family: IpFamily): Inside {
  let known = new WeakMap<ClusterNode, readonly Element[]>();
  let knownRanges = '';
  return ({ podNetwork, exclude, nodes }) => {
    const ranges = largestCidrs(
      [...podNetwork, ...exclude, MULTICAST[family] as Cidr].filter((range) => cidrFamily(range) === family),
    );
    if (knownRanges !== String(ranges)) known = new WeakMap();
    knownRanges = String(ranges);
    const hosts = new Map<string, Element>();
    for (const node of nodes) {
      const elements = known.get(node) ?? hostsOutside(node, family, ranges);
      known.set(node, elements);
      for (const element of elements) hosts.set(element.key[0]!, element);
    }
    return [...ranges.map((range) => ({ key: [range] })), ...hosts.values()];
  };
}

/** Addresses of a node that are in none of the ranges. */
function hostsOutside({ internalIps }: ClusterNode, family: IpFamily, ranges: readonly Cidr[]): Element[] {
  return internalIps
    .filter((ip) => ipFamily(ip) === family && !ranges.some((range) => cidrContains(range, ip)))
    .map((ip) => ({ key: [hostCidr(ip)] }));
}

/** Each of them once, and only those of the set's family. */
function withTracked(set: NftSet, tracked: readonly Ip[]): NftSet {
  const family = TRACKED_SETS.indexOf(set.name) === 0 ? 4 : 6;
  if (!TRACKED_SETS.includes(set.name)) return set;
  const ips = new Set([
    ...set.elements.map(({ key }) => key[0]!),
    ...tracked.filter((ip) => ipFamily(ip) === family),
  ]);
  return { ...set, elements: [...ips].map((ip) => ({ key: [ip] })) };
}
