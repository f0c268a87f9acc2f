/**
 * Policies as an nftables table of our own. A packet that begins a connection is looked up by its address: pods of which
 * the same is said share a chain, and a chain is at most five lookups however many policies stand behind it: who is at
 * the other end, by address, among many of which the same is said, or by range, and what becomes of the port, by number or
 * by range. What belongs to a connection that was let through passes by its state.
 */
import { type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import type { Slices } from '../../../base/run/slices.ts';
import type { Chain, Element, NftSet, Rule, Table } from '../../../edge/nftables/objects.ts';
import type { Outcome } from '../../../plan/policy/compile/outcome.ts';
import type { PeerTable, PolicyTable, Subject } from '../../../plan/policy/compile/table.ts';
import { DIRECTIONS, type Direction } from '../../../plan/policy/parse/objects.ts';
import { chainOfOutcome, ITSELF } from './outcome.ts';
import { MANY, type PortChain, type RenderedPeers, renderPeers } from './peers.ts';

export const POLICY_TABLE = { family: 'inet', name: 'fairlead-policy' } as const;

export type Rendered = {
  table: Table;
  /** By name of their counters. */
  outcomes: ReadonlyMap<string, Outcome>;
};

const FAMILIES = [4, 6] as const;
const IP = { 4: 'ip', 6: 'ip6' } as const;
const ADDRESS = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const;
const OWN = { ingress: 'daddr', egress: 'saddr' } as const;
/** What pods send from addresses that only their link gives them. */
const BY_LINK = 'egress-by-link';
/** Without it a pod finds not even its gateway (RFC 4861: what came over a router has another hop limit). */
const NEIGHBOR_DISCOVERY =
  'ip6 hoplimit 255 icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept';

export type Renderer = { render(policies: PolicyTable): Slices<Rendered> };

/** What was rendered the last time is not looked into again. @param least addresses of which the same is said that are a set. */
export function openRenderer(least: number = MANY): Renderer {
  let before = new Map<string, { peers: PeerTable; rendered: RenderedPeers }>();
  return {
    *render({ subjects, peers }) {
      const now: typeof before = new Map();
      for (const one of peers) {
        const done = before.get(one.key);
        const rendered = done?.peers === one ? done.rendered : yield* renderPeers(one, done?.rendered, least);
        now.set(one.key, { peers: one, rendered });
        yield;
      }
      before = now;
      const dispatched = yield* dispatch(subjects, ({ key }) => now.get(key)!.rendered);
      return assemble(
        [...now.values()].map(({ rendered }) => rendered),
        dispatched,
      );
    },
  };
}

/** Maps from a pod's address to what is said about it, and sets of what talks to itself. */
function* dispatch(
  subjects: readonly Subject[],
  rendered: (peers: PeerTable) => RenderedPeers,
): Slices<NftSet[]> {
  const elements = new Map<string, Element[]>();
  for (const subject of subjects) {
    for (const direction of DIRECTIONS) {
      const peers = subject[direction];
      if (peers === undefined) continue;
      const { chain } = rendered(peers);
      yield;
      const lead = (name: string, key: string) => {
        const own = elements.get(name) ?? [];
        elements.set(name, own);
        own.push({ key: [key], value: { verdict: 'jump', chain: chain.name } });
      };
      for (const ip of subject.ips) lead(dispatchName(direction, ipFamily(ip)), ip);
      if (direction === 'egress') for (const link of subject.links) lead(BY_LINK, link);
    }
  }
  const byAddress = DIRECTIONS.flatMap((direction) =>
    FAMILIES.map((family): NftSet => {
      const name = dispatchName(direction, family);
      return { name, key: [ADDRESS[family]], value: 'verdict', elements: elements.get(name) ?? [] };
    }),
  );
  const byLink: NftSet = {
    name: BY_LINK,
    key: ['ifname'],
    value: 'verdict',
    elements: elements.get(BY_LINK) ?? [],
  };
  return [...byAddress, byLink, ...FAMILIES.map((family) => itselfSet(subjects, family))];
}

function itselfSet(subjects: readonly Subject[], family: IpFamily): NftSet {
  const ips = subjects.flatMap((subject) => subject.ips.filter((ip) => ipFamily(ip) === family));
  return {
    name: ITSELF[family],
    key: [ADDRESS[family], ADDRESS[family]],
    elements: [...new Set(ips)].map((ip) => ({ key: [ip, ip] })),
  };
}

function assemble(rendered: readonly RenderedPeers[], dispatched: readonly NftSet[]): Rendered {
  const portChains = uniqueByName<PortChain>(
    rendered.flatMap((one) => one.portChains),
    ({ chain }) => chain.name,
  );
  const outcomes = uniqueByName(
    rendered.flatMap((one) => one.outcomes),
    ({ name }) => name,
  );
  const answers: Rule = { match: 'ct state established,related accept' };
  const lookups = (direction: Direction): Rule[] =>
    FAMILIES.map((family) => ({
      match: `${IP[family]} ${OWN[direction]} vmap @${dispatchName(direction, family)}`,
    }));
  const forward: Chain = {
    name: 'forward',
    hook: { type: 'filter', hook: 'forward', priority: 'filter' },
    // The sender's side first, as the packet meets it.
    rules: [answers, ...lookups('egress'), ...lookups('ingress')],
  };
  // What pods send to their own node. What it sends to them no policy denies, so there is no chain for that.
  const input: Chain = {
    name: 'input',
    hook: { type: 'filter', hook: 'input', priority: 'filter' },
    rules: [
      answers,
      { match: NEIGHBOR_DISCOVERY },
      ...lookups('egress'),
      { match: `ip6 saddr fe80::/10 iifname vmap @${BY_LINK}` },
    ],
  };
  return {
    table: {
      ...POLICY_TABLE,
      counters: outcomes.map(({ name }) => name),
      sets: [
        ...portChains.flatMap(({ sets }) => sets),
        ...rendered.flatMap(({ sets }) => sets),
        ...dispatched,
      ],
      chains: [
        ...outcomes.map(chainOfOutcome),
        ...portChains.map(({ chain }) => chain),
        ...rendered.map(({ chain }) => chain),
        forward,
        input,
      ],
    },
    outcomes: new Map(outcomes.map((outcome) => [outcome.name, outcome])),
  };
}

function dispatchName(direction: Direction, family: IpFamily): string {
  return `${direction}${family}`;
}

function uniqueByName<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [nameOf(item), item])).values()];
}
