/** What is said about one pod and direction, as a chain: who is at the other end decides what becomes of which port. */
import { type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import type { Slices } from '../../../base/run/slices.ts';
import type { Chain, Element, NftSet, Rule, Verdict } from '../../../edge/nftables/objects.ts';
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
/**
 * Addresses of which the same is said, from which on they are a set of their own. The kernel looks through all elements
 * that have a verdict whenever one comes, 130 ns each (nft_lookup_validate, net/netfilter/nft_lookup.c), and not into sets.
 */
export const MANY = 64;
/** Whom a chain asks about: the one at the other end. */
const OTHER = { ingress: 'saddr', egress: 'daddr' } as const;

/**
 * @param former how a table of the same key was rendered: elements that stay the same are the same objects, by which
 * tables with many of them are compared.
 * @param least see {@link MANY}.
 */
export function* renderPeers(
  table: PeerTable,
  former?: RenderedPeers,
  least: number = MANY,
): Slices<RenderedPeers> {
  const { direction, otherwise } = table;
  const name = `${direction}-${table.key}`;
  const used = new Set([
    ...table.addresses.map(({ verdicts }) => verdicts),
    ...FAMILIES.flatMap((family) => table.intervals[family].map(({ verdicts }) => verdicts)),
    otherwise,
  ]);
  const verdicts = new Map([...used].map((one) => [one, verdictOf(direction, one)]));
  const sets: NftSet[] = [];
  const lookups: Rule[] = [];
  for (const family of FAMILIES) {
    const own = table.addresses.filter(({ ip }) => ipFamily(ip) === family);
    const crowd = largest(own, verdicts, least);
    // Another crowd is another map, too: what is led elsewhere must not be missed meanwhile.
    const peers = `${name}-peers${family}${crowd === undefined ? '' : `-${crowd.digest}`}`;
    const many = `${peers}-many`;
    const [keep, keepMany] = [keeper(former, peers), keeper(former, many)];
    const singles: Element[] = [];
    const alike: Element[] = [];
    for (const { ip, verdicts: said } of own) {
      const value = verdicts.get(said)!;
      if (crowd !== undefined && isSame(value, crowd.verdict)) alike.push(keepMany({ key: [ip] }));
      else singles.push(keep({ key: [ip], value }));
      yield;
    }
    const blocks: Element[] = [];
    for (const { verdicts: said, ...span } of table.intervals[family]) {
      blocks.push({ key: [formatSpan(span, family)], value: verdicts.get(said)! });
      yield;
    }
    const ask = (set: NftSet, what: string) => {
      if (set.elements.length === 0) return;
      sets.push(set);
      lookups.push({ match: `${IP[family]} ${OTHER[direction]} ${what}` });
    };
    ask(addressMap(peers, family, singles), `vmap @${peers}`);
    if (crowd !== undefined)
      ask(
        { name: many, key: [ADDRESS[family]], elements: alike },
        `@${many} ${formatVerdict(crowd.verdict)}`,
      );
    const ranges = yield* intervalMap(name, family, blocks);
    ask(ranges, `vmap @${ranges.name}`);
  }
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

type Crowd = { verdict: Verdict; digest: string };

/** What is said of most of them, where those are many. */
function largest(
  addresses: PeerTable['addresses'],
  verdicts: ReadonlyMap<PortVerdicts, Verdict>,
  least: number,
): Crowd | undefined {
  if (addresses.length < least) return undefined;
  const counts = new Map<string, { count: number; verdict: Verdict }>();
  for (const one of addresses) {
    const verdict = verdicts.get(one.verdicts)!;
    const text = formatVerdict(verdict);
    const known = counts.get(text);
    if (known === undefined) counts.set(text, { count: 1, verdict });
    else known.count++;
  }
  const [[text, most]] = [...counts].toSorted(
    ([a, one], [b, other]) => other.count - one.count || (a < b ? -1 : 1),
  ) as [[string, { count: number; verdict: Verdict }]];
  return most.count < least ? undefined : { verdict: most.verdict, digest: digestText(text) };
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
function* intervalMap(peers: string, family: IpFamily, elements: Element[]): Slices<NftSet> {
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
    if (same === undefined) return element;
    if (element.value === undefined) return same;
    return isSame(same.value as Verdict, element.value as Verdict) ? same : element;
  };
}

function isSame(a: Verdict, b: Verdict): boolean {
  return a.verdict === b.verdict && ('chain' in a ? a.chain : '') === ('chain' in b ? b.chain : '');
}
