/**
 * The node's nftables table: pods that talk to the outside of the cluster carry the node's address, nobody else does;
 * and what stays inside need not be tracked for that.
 */
import type { ClusterNode } from '../cluster/node.ts';
import { type Cidr, cidrContainsCidr, cidrFamily, hostCidr } from '../ip/cidr.ts';
import type { IpFamily } from '../ip/ip.ts';
import type { Chain, NftSet, Rule, Table } from '../nftables/objects.ts';

export const TABLE = { family: 'inet', name: 'fairlead' } as const;

export type NodeTableInput = {
  ranges: readonly Cidr[];
  podNetwork: readonly Cidr[];
  /** All nodes, this one among them: a packet to a node keeps its source. */
  nodes: readonly ClusterNode[];
  exclude: readonly Cidr[];
  /**
   * Whether packets between pods bypass connection tracking, which masquerading switches on for the whole node. Not
   * where others translate addresses (a service's, say): their answers would not be translated back.
   */
  untracked: boolean;
};

const MULTICAST = { 4: '224.0.0.0/4', 6: 'ff00::/8' } as const;

export function planNodeTable(input: NodeTableInput): Table {
  const sets: NftSet[] = [];
  const rules: Rule[] = [];
  for (const range of input.ranges) {
    const family = cidrFamily(range);
    const [ip, set] = family === 4 ? ['ip', 'inside4'] : ['ip6', 'inside6'];
    if (!sets.some(({ name }) => name === set)) sets.push(insideSet(set, family, input));
    rules.push({
      match: `${ip} saddr ${range} ${ip} daddr != @${set} masquerade fully-random`,
      comment: 'pods to the outside',
    });
  }
  const chain: Chain = {
    name: 'outside',
    hook: { type: 'nat', hook: 'postrouting', priority: 'srcnat' },
    rules,
  };
  return { ...TABLE, sets, chains: input.untracked ? [untrackedChain(input.podNetwork), chain] : [chain] };
}

function untrackedChain(podNetwork: readonly Cidr[]): Chain {
  return {
    name: 'untracked',
    hook: { type: 'filter', hook: 'prerouting', priority: 'raw' },
    rules: podNetwork.map((range) => {
      const ip = cidrFamily(range) === 4 ? 'ip' : 'ip6';
      return { match: `${ip} saddr ${range} ${ip} daddr ${range} notrack`, comment: 'between pods' };
    }),
  };
}

function insideSet(name: string, family: IpFamily, { podNetwork, nodes, exclude }: NodeTableInput): NftSet {
  const hosts = nodes.flatMap(({ internalIps }) => internalIps.map(hostCidr));
  const all = [...podNetwork, ...exclude, ...hosts, MULTICAST[family] as Cidr].filter(
    (cidr) => cidrFamily(cidr) === family,
  );
  return {
    name,
    key: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
    interval: true,
    elements: withoutInner(all).map((cidr) => ({ key: [cidr] })),
  };
}

/** An interval set refuses ranges that overlap: of two the larger stays. */
function withoutInner(ranges: readonly Cidr[]): Cidr[] {
  return [...new Set(ranges)].filter(
    (range, _, all) => !all.some((other) => other !== range && cidrContainsCidr(other, range)),
  );
}
