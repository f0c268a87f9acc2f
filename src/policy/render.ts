/**
 * Policies as an nftables table of our own. A packet that begins a connection is looked up by its address: pods with
 * equal permissions share a chain, and a chain is at most five lookups however many policies stand behind it. What
 * belongs to a connection that was let through passes by its state.
 */
import { hash } from 'node:crypto';
import { type Cidr, cidrFamily, cidrNetwork, cidrPrefixLength } from '../ip/cidr.ts';
import { familyBits, type IpFamily, ipFamily } from '../ip/ip.ts';
import type { Chain, Element, NftSet, NftType, Rule, Table } from '../nftables/objects.ts';
import type { Grant, PortRange } from './allowance.ts';
import type { Compiled } from './compile.ts';
import { DIRECTIONS, type Direction } from './objects.ts';
import { mergePorts, withoutOverlaps } from './ports.ts';
import { withoutInner } from './ranges.ts';

export const POLICY_TABLE = { family: 'inet', name: 'fairlead-policy' } as const;

const FAMILIES = [4, 6] as const;
const IP = { 4: 'ip', 6: 'ip6' } as const;
const ADDRESS = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const;
/** Whom a chain asks about: the one at the other end. */
const OTHER = { ingress: 'saddr', egress: 'daddr' } as const;
const OWN = { ingress: 'daddr', egress: 'saddr' } as const;
const PORT = 'meta l4proto . th dport';

export function renderTable({ pods }: Pick<Compiled, 'pods'>): Table {
  const chains = new Map<string, { chain: Chain; sets: NftSet[] }>();
  const dispatch = new Map<string, Element[]>();
  for (const direction of DIRECTIONS) {
    for (const family of FAMILIES) dispatch.set(dispatchName(direction, family), []);
    for (const compiled of pods) {
      const isolation = compiled[direction];
      if (isolation === undefined) continue;
      const name = chainName(direction, isolation.grants);
      if (!chains.has(name)) chains.set(name, renderChain(name, direction, isolation.grants));
      for (const ip of compiled.pod.podIPs) {
        dispatch
          .get(dispatchName(direction, ipFamily(ip)))!
          .push({ key: [ip], value: { verdict: 'jump', chain: name } });
      }
    }
  }
  const maps = DIRECTIONS.flatMap((direction) =>
    FAMILIES.map((family): NftSet => {
      const name = dispatchName(direction, family);
      return { name, key: [ADDRESS[family]], value: 'verdict', elements: dispatch.get(name)! };
    }),
  );
  const rendered = [...chains.values()];
  const forward: Chain = {
    name: 'forward',
    hook: { type: 'filter', hook: 'forward', priority: 'filter' },
    rules: [
      { match: 'ct state established,related accept' },
      // The sender's side first, as the packet meets it.
      ...(['egress', 'ingress'] as const).flatMap((direction) =>
        FAMILIES.map((family) => ({
          match: `${IP[family]} ${OWN[direction]} vmap @${dispatchName(direction, family)}`,
        })),
      ),
    ],
  };
  return {
    ...POLICY_TABLE,
    sets: [...rendered.flatMap(({ sets }) => sets), ...maps],
    chains: [...rendered.map(({ chain }) => chain), forward],
  };
}

/** Equal permissions have one name, whichever policies they come from. */
function chainName(direction: Direction, grants: readonly Grant[]): string {
  const content = JSON.stringify(grants.map(({ peers, ports }) => [peers ?? null, ports ?? null]));
  return `${direction}-${hash('sha256', content, 'hex').slice(0, 16)}`;
}

function dispatchName(direction: Direction, family: IpFamily): string {
  return `${direction}${family}`;
}

function renderChain(
  name: string,
  direction: Direction,
  grants: readonly Grant[],
): { chain: Chain; sets: NftSet[] } {
  const drop: Rule = { match: 'drop' };
  if (grants.some(({ peers, ports }) => peers === undefined && ports === undefined))
    return { chain: { name, rules: [{ match: 'return' }] }, sets: [] };
  const lookups = [
    ...FAMILIES.flatMap((family) => peersLookups(name, direction, family, grants)),
    ...portsLookups(name, grants),
    ...FAMILIES.flatMap((family) => pairsLookups(name, direction, family, grants)),
  ].filter(({ set }) => set.elements.length > 0);
  return {
    chain: {
      name,
      rules: [...lookups.map(({ set, left }) => ({ match: `${left} @${set.name} return` })), drop],
    },
    sets: lookups.map(({ set }) => set),
  };
}

type Lookup = { left: string; set: NftSet };

/** Peers that may use every port: single addresses by hash, ranges by tree. */
function peersLookups(
  chain: string,
  direction: Direction,
  family: IpFamily,
  grants: readonly Grant[],
): Lookup[] {
  const peers = grants.flatMap(({ peers: listed, ports }) => (ports === undefined ? (listed ?? []) : []));
  const ranges = withoutInner(peers.filter((range) => cidrFamily(range) === family));
  const left = `${IP[family]} ${OTHER[direction]}`;
  const set = (suffix: string, chosen: readonly Cidr[], interval: boolean): Lookup => ({
    left,
    set: {
      name: `${chain}-${suffix}${family}`,
      key: [ADDRESS[family]],
      ...(interval ? { interval: true } : {}),
      elements: chosen.map((range) => ({ key: [interval ? range : cidrNetwork(range)] })),
    },
  });
  return [
    set('peers', ranges.filter(isAddress), false),
    set(
      'blocks',
      ranges.filter((range) => !isAddress(range)),
      true,
    ),
  ];
}

/** Ports that everybody may use. */
function portsLookups(chain: string, grants: readonly Grant[]): Lookup[] {
  const ports = grants.flatMap(({ peers, ports: listed }) => (peers === undefined ? (listed ?? []) : []));
  const elements = mergePorts(ports).map(({ protocol, first, last }) => ({
    key: [protocol.toLowerCase(), first === last ? String(first) : `${first}-${last}`],
  }));
  const key: NftType[] = ['inet_proto', 'inet_service'];
  return [{ left: PORT, set: { name: `${chain}-ports`, key, interval: true, elements } }];
}

/** Ports that some may use: single ones of single addresses by hash, all else by ranges of both. */
function pairsLookups(
  chain: string,
  direction: Direction,
  family: IpFamily,
  grants: readonly Grant[],
): Lookup[] {
  const byPeer = new Map<Cidr, PortRange[]>();
  for (const { peers, ports } of grants) {
    if (peers === undefined || ports === undefined) continue;
    for (const peer of peers) {
      if (cidrFamily(peer) === family) byPeer.set(peer, [...(byPeer.get(peer) ?? []), ...ports]);
    }
  }
  const single: Element[] = [];
  const ranged = new Map<Cidr, PortRange[]>();
  for (const [peer, listed] of byPeer) {
    for (const port of mergePorts(listed)) {
      if (port.first === port.last && isAddress(peer)) single.push(pairElement(peer, port));
      else ranged.set(peer, [...(ranged.get(peer) ?? []), port]);
    }
  }
  const elements = withoutOverlaps(ranged).flatMap(([peer, ports]) =>
    ports.map((port) => pairElement(peer, port)),
  );
  const left = `${IP[family]} ${OTHER[direction]} . ${PORT}`;
  const key: NftType[] = [ADDRESS[family], 'inet_proto', 'inet_service'];
  return [
    { left, set: { name: `${chain}-pairs${family}`, key, elements: single } },
    { left, set: { name: `${chain}-ranges${family}`, key, interval: true, elements } },
  ];
}

function pairElement(peer: Cidr, { protocol, first, last }: PortRange): Element {
  return {
    key: [
      isAddress(peer) ? cidrNetwork(peer) : peer,
      protocol.toLowerCase(),
      first === last ? String(first) : `${first}-${last}`,
    ],
  };
}

function isAddress(range: Cidr): boolean {
  return cidrPrefixLength(range) === familyBits(cidrFamily(range));
}
