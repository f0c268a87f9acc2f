/** What is said about one pod and direction, as a chain: who is at the other end decides what becomes of which port. */
import { type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import type { Steps } from '../../../base/run/slices.ts';
import type { Chain, Element, NftSet, Verdict } from '../../../edge/nftables/objects.ts';
import type { PortRange } from '../../../plan/policy/compile/clause.ts';
import type { Outcome } from '../../../plan/policy/compile/outcome.ts';
import { digestSteps, digestText } from '../../../plan/policy/compile/ruling.ts';
import { formatSpan } from '../../../plan/policy/compile/segments.ts';
import type { PeerTable, PortVerdicts } from '../../../plan/policy/compile/table.ts';

/** What becomes of each port of some who are at the other end; equal ones have equal names. */
export type PortChain = { chain: Chain; sets: readonly NftSet[] };

export type RenderedPeers = {
  chain: Chain;
  sets: readonly NftSet[];
  portChains: readonly PortChain[];
  outcomes: readonly Outcome[];
};

const FAMILIES = [4, 6] as const;
const IP = { 4: 'ip', 6: 'ip6' } as const;
const ADDRESS = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const;
/** Whom a chain asks about: the one at the other end. */
const OTHER = { ingress: 'saddr', egress: 'daddr' } as const;

/**
 * @param former how a table of the same key was rendered: elements that stay the same are the same objects, by which
 * tables with many of them are compared.
 */
export function* renderPeers(table: PeerTable, former?: RenderedPeers): Steps<RenderedPeers> {
  const { direction, otherwise } = table;
  const name = `${direction}-${table.key}`;
  const used = new Set([
    ...table.addresses.map(({ verdicts }) => verdicts),
    ...FAMILIES.flatMap((family) => table.intervals[family].map(({ verdicts }) => verdicts)),
    otherwise,
  ]);
  const verdicts = new Map([...used].map((one) => [one, verdictOf(direction, one)]));
  const all: NftSet[] = [];
  for (const family of FAMILIES) {
    const peers = `${name}-peers${family}`;
    const keep = keeper(former, peers);
    const singles: Element[] = [];
    for (const { ip, verdicts: own } of table.addresses) {
      if (ipFamily(ip) === family) singles.push(keep({ key: [ip], value: verdicts.get(own)! }));
      yield;
    }
    const blocks: Element[] = [];
    for (const { verdicts: own, ...span } of table.intervals[family]) {
      blocks.push({ key: [formatSpan(span, family)], value: verdicts.get(own)! });
      yield;
    }
    all.push(addressMap(peers, family, singles), yield* intervalMap(name, family, blocks));
  }
  const sets = all.filter(({ elements }) => elements.length > 0);
  const lookups = sets.map((set) => ({
    match: `${IP[set.key[0] === 'ipv6_addr' ? 6 : 4]} ${OTHER[direction]} vmap @${set.name}`,
  }));
  const last = verdicts.get(otherwise)!;
  return {
    chain: {
      name,
      rules: [...lookups, ...(last.verdict === 'return' ? [] : [{ match: formatVerdict(last) }])],
    },
    sets,
    portChains: [...used].filter(hasPorts).map((one) => renderPorts(direction, one)),
    outcomes: [
      ...new Set([...used].flatMap((one) => [one.otherwise, ...one.entries.map(({ result }) => result)])),
    ].filter((outcome) => outcome !== undefined),
  };
}

function hasPorts({ entries }: PortVerdicts): boolean {
  return entries.length > 0;
}

function verdictOf(direction: string, verdicts: PortVerdicts): Verdict {
  return hasPorts(verdicts)
    ? { verdict: 'goto', chain: portChainName(direction, verdicts) }
    : verdictOfOutcome(verdicts.otherwise);
}

function verdictOfOutcome(outcome: Outcome | undefined): Verdict {
  return outcome === undefined ? { verdict: 'return' } : { verdict: 'goto', chain: outcome.name };
}

function formatVerdict(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.verdict} ${verdict.chain}` : verdict.verdict;
}

function portChainName(direction: string, { key }: PortVerdicts): string {
  return `${direction}-ports-${digestText(key)}`;
}

/** Single ports by hash, ranges by tree. */
function renderPorts(direction: string, verdicts: PortVerdicts): PortChain {
  const { entries, otherwise } = verdicts;
  const name = portChainName(direction, verdicts);
  const elementOf = ({ protocol, first, last, result }: PortRange & { result: Outcome | undefined }) => ({
    key: [protocol.toLowerCase(), first === last ? String(first) : `${first}-${last}`],
    value: verdictOfOutcome(result),
  });
  const map = (suffix: string, interval: boolean): NftSet => ({
    name: `${name}-${suffix}`,
    key: ['inet_proto', 'inet_service'],
    value: 'verdict',
    ...(interval ? { interval } : {}),
    elements: entries.filter(({ first, last }) => first < last === interval).map(elementOf),
  });
  const sets = [map('single', false), map('ranges', true)].filter(({ elements }) => elements.length > 0);
  const lookups = sets.map((set) => ({ match: `meta l4proto . th dport vmap @${set.name}` }));
  return {
    chain: { name, rules: [...lookups, { match: formatVerdict(verdictOfOutcome(otherwise)) }] },
    sets,
  };
}

/** Named by what is in it: what changes within a map of ranges takes effect later than all else of a transaction. */
function* intervalMap(peers: string, family: IpFamily, elements: Element[]): Steps<NftSet> {
  const name = `${peers}-blocks${family}-${yield* digestSteps(elements)}`;
  return { ...addressMap(name, family, elements), interval: true };
}

function addressMap(name: string, family: IpFamily, elements: Element[]): NftSet {
  return { name, key: [ADDRESS[family]], value: 'verdict', elements };
}

function keeper(former: RenderedPeers | undefined, set: string): (element: Element) => Element {
  const before = former?.sets.find(({ name }) => name === set);
  const known = new Map(before?.elements.map((element) => [element.key[0], element]));
  return (element) => {
    const same = known.get(element.key[0]);
    return same !== undefined && isSame(same.value as Verdict, element.value as Verdict) ? same : element;
  };
}

function isSame(a: Verdict, b: Verdict): boolean {
  return a.verdict === b.verdict && ('chain' in a ? a.chain : '') === ('chain' in b ? b.chain : '');
}
