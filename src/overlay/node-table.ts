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
  /** UDP port of the tunnel where there is one: what is tunnelled is tracked, or not, by what is inside. */
  tunnelPort?: number;
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
  return { ...TABLE, sets, chains: [...untrackedChains(input), chain] };
}

/** Every flow has a source port of its own in the tunnel: tracked, they would fill the table with what nobody asks for. */
function untrackedChains({ podNetwork, untracked, tunnelPort }: NodeTableInput): Chain[] {
  const pods = (untracked ? podNetwork : []).map((range): Rule => {
    const ip = cidrFamily(range) === 4 ? 'ip' : 'ip6';
    return { match: `${ip} saddr ${range} ${ip} daddr ${range} notrack accept`, comment: 'between pods' };
  });
  const tunnel: Rule[] =
    tunnelPort === undefined
      ? []
      : [{ match: `udp dport ${tunnelPort} notrack accept`, comment: 'the tunnel' }];
  const chain = (hook: 'prerouting' | 'output', rules: Rule[]): Chain[] =>
    rules.length === 0
      ? []
      : [{ name: `untracked-${hook}`, hook: { type: 'filter', hook, priority: 'raw' }, rules }];
  return [...chain('prerouting', [...pods, ...tunnel]), ...chain('output', tunnel)];
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
