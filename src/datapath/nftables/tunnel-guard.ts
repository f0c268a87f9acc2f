/**
 * Who may send through the tunnel: nodes that are known, each in the name of its own pods and of itself. VXLAN has no
 * other proof of a sender than the outer source; what is inside is compared with it while the packet is still whole, by
 * one lookup per length of ranges. On the way in only, after fragments were put together.
 */

import { cidrFamily, cidrNetwork, cidrPrefixLength } from '../../base/ip/cidr.ts';
import { familyBits, type Ip, type IpFamily, ipFamily, ipToBigInt } from '../../base/ip/ip.ts';
import type { Chain, Element, NftSet, Rule } from '../../edge/nftables/objects.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { ATTACHMENT_GROUP } from '../../plan/pod/attachment.ts';

/** Names of counters in the kernel, which the doctor and metrics read. */
export const TUNNEL_STRANGER = 'tunnel-stranger';
export const TUNNEL_INNER_SOURCE = 'tunnel-inner-source';

export type TunnelGuardInput = {
  /** UDP port, and number of the network. */
  port: number;
  vni: number;
  /** This node's own ends. */
  localIps: readonly Ip[];
  /** By {@link createTunnelSets}; none where the nodes are not known yet: then only pods are kept out. */
  sets: readonly NftSet[];
};

const FAMILIES = [4, 6] as const;
const ADDRESSES = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const;
const WORDS = { 4: 'ip', 6: 'ip6' } as const;
const ETHER_TYPES = { 4: '0x0800', 6: '0x86dd' } as const;
/**
 * In bits behind the outer UDP header begin: VXLAN's number, type and source of the inner packet (RFC 7348, figure 1).
 * nft's own words for it (`vxlan ip saddr`) came with 1.0.7 and Linux 6.2.
 */
const VNI_AT = '@th,96,24';
const ETHER_TYPE_AT = '@th,224,16';
const SOURCE_AT = { 4: '@th,336,32', 6: '@th,304,128' } as const;
const SOURCE_TYPES = { 4: 'payload32', 6: 'payload128' } as const;

const PEERS = /^tunnel-peers([46])$/;
const SOURCES = /^tunnel-sources-([46])-([46])-(\d+)$/;

export function isTunnelSet(name: string): boolean {
  return PEERS.test(name) || SOURCES.test(name);
}

/** A set that holds nothing yet, by its name. */
export function tunnelSet(name: string): NftSet {
  const [, family] = PEERS.exec(name) ?? [];
  if (family !== undefined) return { name, key: [ADDRESSES[familyFrom(family)]], elements: [] };
  const { outer, inner } = readSources(name)!;
  return {
    name,
    key: [ADDRESSES[outer], SOURCE_TYPES[inner]],
    typeOf: [`${WORDS[outer]} saddr`, SOURCE_AT[inner]],
    elements: [],
  };
}

/**
 * For one who plans again and again: the sets of the same nodes are the same sets, and the elements of a node that is the
 * same object as before are the same objects as before.
 */
export function createTunnelSets(): (nodes: readonly ClusterNode[], self: string) => readonly NftSet[] {
  const known = new WeakMap<ClusterNode, readonly Placed[]>();
  let last: { nodes: readonly ClusterNode[]; self: string; sets: readonly NftSet[] } | undefined;
  return (nodes, self) => {
    if (last?.nodes === nodes && last.self === self) return last.sets;
    const elements = new Map<string, Map<string, Element>>();
    for (const family of FAMILIES) elements.set(`tunnel-peers${family}`, new Map());
    for (const node of nodes) {
      if (node.name === self) continue;
      const placed = known.get(node) ?? placesOf(node);
      known.set(node, placed);
      for (const { set, element } of placed) {
        const there = elements.get(set) ?? new Map<string, Element>();
        elements.set(set, there);
        there.set(element.key.length === 1 ? element.key[0]! : element.key.join(' '), element);
      }
    }
    const sets = [...elements]
      .toSorted(([a], [b]) => byName(a, b))
      .map(([name, of]) => ({ ...tunnelSet(name), elements: [...of.values()] }));
    last = { nodes, self, sets };
    return sets;
  };
}

export function tunnelGuard({ port, vni, localIps, sets }: TunnelGuardInput): Chain[] {
  const stranger = `counter name "${TUNNEL_STRANGER}" drop`;
  const names = sets.map(({ name }) => name);
  const peers = names.filter((name) => PEERS.test(name));
  const rules: Rule[] = [
    { match: `iifgroup ${ATTACHMENT_GROUP} ${stranger}`, comment: 'no pod is an end of the tunnel' },
  ];
  if (peers.length > 0)
    rules.push(
      { match: `${VNI_AT} != ${vni} accept`, comment: 'a tunnel of others' },
      ...elsewhere(localIps).map((to) => ({ match: `${to} ${stranger}`, comment: 'no end of the tunnel' })),
      ...names.flatMap(acceptance),
      ...peers.map((name) => ({
        match: `${WORDS[familyFrom(name.at(-1)!)]} saddr @${name} counter name "${TUNNEL_INNER_SOURCE}" drop`,
        comment: 'in the name of others',
      })),
      { match: stranger, comment: 'no node of the cluster' },
    );
  return [
    { name: 'tunnelled', rules },
    {
      name: 'tunnel-input',
      hook: { type: 'filter', hook: 'input', priority: '-10' },
      rules: [{ match: `udp dport ${port} jump tunnelled` }],
    },
  ];
}

/**
 * Every flow has a source port of its own in the tunnel: tracked, they would fill the table for nothing. The same port
 * of others is theirs: what pods ask there is tracked, so that its source is translated and policies know answers.
 */
export function tunnelTracking({ port, localIps, sets }: TunnelGuardInput): {
  prerouting: Rule[];
  output: Rule[];
} {
  const comment = 'the tunnel';
  return {
    prerouting: localIps.map((ip) => ({
      match: `${WORDS[ipFamily(ip)]} daddr ${ip} udp dport ${port} notrack accept`,
      comment,
    })),
    output: sets
      .filter(({ name }) => PEERS.test(name))
      .map(({ name }) => ({
        match: `${WORDS[familyFrom(name.at(-1)!)]} daddr @${name} udp dport ${port} notrack accept`,
        comment,
      })),
  };
}

/**
 * Destinations that nodes do not send to, though the tunnel's socket hears them: a second address of the node, say. What
 * pods send there leaves their node in that node's name, as what they send to the outside does.
 */
function elsewhere(localIps: readonly Ip[]): string[] {
  if (localIps.length === 0) return [];
  return FAMILIES.map((family) => {
    const ends = localIps.filter((ip) => ipFamily(ip) === family);
    return ends.length === 0
      ? `meta nfproto ipv${family}`
      : `${WORDS[family]} daddr != { ${ends.join(', ')} }`;
  });
}

type Placed = { set: string; element: Element };

/** What one node may send, over each of its addresses. */
function placesOf({ internalIps, podCidrs }: ClusterNode): Placed[] {
  const inner = [
    ...podCidrs.map((range) => ({
      family: cidrFamily(range),
      length: cidrPrefixLength(range),
      first: cidrNetwork(range),
    })),
    ...internalIps.map((ip) => ({ family: ipFamily(ip), length: familyBits(ipFamily(ip)), first: ip })),
  ];
  return internalIps.flatMap((end) => {
    const outer = ipFamily(end);
    return [
      { set: `tunnel-peers${outer}`, element: { key: [end] } },
      ...inner.map(({ family, length, first }) => ({
        set: `tunnel-sources-${outer}-${family}-${length}`,
        element: { key: [end, `0x${ipToBigInt(first).toString(16)}`] },
      })),
    ];
  });
}

function acceptance(name: string): Rule[] {
  const sources = readSources(name);
  if (sources === undefined) return [];
  const { outer, inner, length } = sources;
  const bits = familyBits(inner);
  const mask = ((1n << BigInt(length)) - 1n) << BigInt(bits - length);
  const masked = length === bits ? SOURCE_AT[inner] : `${SOURCE_AT[inner]} & 0x${mask.toString(16)}`;
  return [
    {
      match: `${ETHER_TYPE_AT} ${ETHER_TYPES[inner]} ${WORDS[outer]} saddr . ${masked} @${name} accept`,
      comment: 'a node, in the name of its own',
    },
  ];
}

function readSources(name: string): { outer: IpFamily; inner: IpFamily; length: number } | undefined {
  const [, outer, inner, length] = SOURCES.exec(name) ?? [];
  if (outer === undefined || inner === undefined) return undefined;
  return { outer: familyFrom(outer), inner: familyFrom(inner), length: Number(length) };
}

function familyFrom(digit: string): IpFamily {
  return digit === '4' ? 4 : 6;
}

/** Shorter ranges first: most packets are pods'. */
function byName(a: string, b: string): number {
  const [one, other] = [readSources(a), readSources(b)];
  if (one === undefined || other === undefined) return a < b ? -1 : 1;
  return one.outer - other.outer || one.inner - other.inner || one.length - other.length;
}
