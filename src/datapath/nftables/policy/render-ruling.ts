/** What is said about one pod and direction, as a chain: who is at the other end decides what becomes of which port. */
import { type Ip, type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import type { Chain, Element, NftSet, Verdict } from '../../../edge/nftables/objects.ts';
import { type PortRange, rangesAt } from '../../../plan/policy/compile/clause.ts';
import { type Outcome, openOutcomes } from '../../../plan/policy/compile/outcome.ts';
import type { Identity } from '../../../plan/policy/compile/population.ts';
import { type Match, type PortTable, tabulate } from '../../../plan/policy/compile/port-table.ts';
import { type BoundClause, digestText, type Ruling } from '../../../plan/policy/compile/ruling.ts';
import { formatSpan, type Segment, segmentAt, segmentsOf } from '../../../plan/policy/compile/segments.ts';

/** What becomes of each port of some who are at the other end; equal ones have equal names. */
export type Destiny = { chain: Chain; sets: readonly NftSet[] };

export type RenderedRuling = {
  chain: Chain;
  sets: readonly NftSet[];
  destinies: readonly Destiny[];
  outcomes: readonly Outcome[];
};

const FAMILIES = [4, 6] as const;
const IP = { 4: 'ip', 6: 'ip6' } as const;
const ADDRESS = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const;
/** Whom a chain asks about: the one at the other end. */
const OTHER = { ingress: 'saddr', egress: 'daddr' } as const;

/**
 * @param former how a ruling of the same key was rendered: elements that stay the same are the same objects, by which
 * tables with many of them are compared.
 */
export function renderRuling(ruling: Ruling, former?: RenderedRuling): RenderedRuling {
  const name = `${ruling.direction}-${ruling.key}`;
  const goals = openGoals(ruling);
  const segments = {
    4: segmentsOf(blocksOf(ruling), 4),
    6: segmentsOf(blocksOf(ruling), 6),
  };
  const anybody = goals.of([], undefined);
  const singles = goalsOfPods(ruling, segments, goals, anybody);
  const sets = FAMILIES.flatMap((family): NftSet[] => [
    {
      ...addressMap(`${name}-peers${family}`, family),
      elements: singles[family].map(keeper(former, `${name}-peers${family}`)),
    },
    blockMap(name, family, blockElements(segments[family], family, goals, anybody)),
  ]).filter(({ elements }) => elements.length > 0);
  const lookups = sets.map((set) => ({
    match: `${IP[set.key[0] === 'ipv6_addr' ? 6 : 4]} ${OTHER[ruling.direction]} vmap @${set.name}`,
  }));
  const last = anybody.verdict === 'return' ? [] : [{ match: formatGoal(anybody) }];
  return {
    chain: { name, rules: [...lookups, ...last] },
    sets,
    destinies: goals.destinies(),
    outcomes: goals.outcomes(),
  };
}

type Goal = Verdict;
type Goals = {
  /** @param numbers of clauses that mean the other end, besides those that mean everybody. */
  of(numbers: readonly number[], other: Identity | undefined): Goal;
  destinies(): Destiny[];
  outcomes(): Outcome[];
};

function openGoals(ruling: Ruling): Goals {
  const { clauses, direction } = ruling;
  const outcomeOf = openOutcomes(ruling);
  const outcomes = new Map<string, Outcome>();
  const destinies = new Map<string, Destiny>();
  const everybody = clauses.flatMap(({ who }, number) => (who === undefined ? [number] : []));
  const namesPorts = direction === 'egress' && clauses.some(({ ports }) => (ports?.names.length ?? 0) > 0);
  const bySignature = new Map<string, Goal>();
  const goalOf = (table: PortTable<Outcome | undefined>): Goal => {
    for (const outcome of [table.otherwise, ...table.entries.map(({ result }) => result)])
      if (outcome !== undefined) outcomes.set(outcome.name, outcome);
    if (table.entries.length === 0) return verdictOf(table.otherwise);
    const destiny = renderDestiny(direction, table);
    destinies.set(destiny.chain.name, destiny);
    return { verdict: 'goto', chain: destiny.chain.name };
  };
  return {
    of: (numbers, other) => {
      const signature = `${numbers.join()}${namesPorts ? ` ${JSON.stringify(other?.ports ?? [])}` : ''}`;
      let goal = bySignature.get(signature);
      if (goal === undefined) {
        const reached = direction === 'ingress' ? { ports: ruling.ownPorts } : other;
        const matching = [...everybody, ...numbers].toSorted((a, b) => a - b);
        const matches = matching.map((number): Match<BoundClause> => {
          const clause = clauses[number]!;
          return { clause, ranges: rangesAt(clause, reached) };
        });
        bySignature.set(signature, (goal = goalOf(tabulate(matches, outcomeOf))));
      }
      return goal;
    },
    destinies: () => [...destinies.values()],
    outcomes: () => [...outcomes.values()],
  };
}

function verdictOf(outcome: Outcome | undefined): Goal {
  return outcome === undefined ? { verdict: 'return' } : { verdict: 'goto', chain: outcome.name };
}

function formatGoal(goal: Goal): string {
  return 'chain' in goal ? `${goal.verdict} ${goal.chain}` : goal.verdict;
}

/** Single ports by hash, ranges by tree. */
function renderDestiny(direction: string, { entries, otherwise }: PortTable<Outcome | undefined>): Destiny {
  const content = entries.map(({ protocol, first, last, result }) => [protocol, first, last, result?.name]);
  const name = `${direction}-ports-${digestText(JSON.stringify([content, otherwise?.name]))}`;
  const elementOf = ({ protocol, first, last, result }: PortRange & { result: Outcome | undefined }) => ({
    key: [protocol.toLowerCase(), first === last ? String(first) : `${first}-${last}`],
    value: verdictOf(result),
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
  return { chain: { name, rules: [...lookups, { match: formatGoal(verdictOf(otherwise)) }] }, sets };
}

/** Named by what is in it: what changes within a map of ranges takes effect later than all else of a transaction. */
function blockMap(ruling: string, family: IpFamily, elements: Element[]): NftSet {
  const name = `${ruling}-blocks${family}-${digestText(JSON.stringify(elements))}`;
  return { ...addressMap(name, family), interval: true, elements };
}

function addressMap(name: string, family: IpFamily) {
  return { name, key: [ADDRESS[family]], value: 'verdict' } as const;
}

function blocksOf({ clauses }: Ruling) {
  return clauses.flatMap(({ who }, number) => (who?.blocks ?? []).map((block) => ({ ...block, number })));
}

type Single = { ip: Ip; goal: Goal };

/** Addresses of pods of which something else is said than of their surroundings. */
function goalsOfPods(
  ruling: Ruling,
  segments: Readonly<Record<IpFamily, readonly Segment[]>>,
  goals: Goals,
  anybody: Goal,
): Record<IpFamily, Single[]> {
  const singles: Record<IpFamily, Single[]> = { 4: [], 6: [] };
  for (const [identity, numbers] of meantBy(ruling)) {
    for (const ip of identity.ips) {
      const family = ipFamily(ip);
      const around = segmentAt(segments[family], ip);
      const surroundings = around === undefined ? anybody : goals.of(around.numbers, undefined);
      const both =
        around === undefined
          ? numbers
          : [...new Set([...numbers, ...around.numbers])].toSorted((a, b) => a - b);
      const goal = goals.of(both, identity);
      if (!isSame(goal, surroundings)) singles[family].push({ ip, goal });
    }
  }
  return singles;
}

/** Who is meant by clauses of which numbers. */
function meantBy({ clauses }: Ruling): Map<Identity, number[]> {
  const meant = new Map<Identity, number[]>();
  const numbersOf = (identity: Identity) => {
    let numbers = meant.get(identity);
    if (numbers === undefined) meant.set(identity, (numbers = []));
    return numbers;
  };
  clauses.forEach(({ who, named }, number) => {
    for (const identity of named?.identities ?? []) numbersOf(identity);
    for (const { identities } of who?.selections ?? []) {
      for (const identity of identities) {
        const numbers = numbersOf(identity);
        if (numbers.at(-1) !== number) numbers.push(number);
      }
    }
  });
  return meant;
}

function keeper(former: RenderedRuling | undefined, set: string): (single: Single) => Element {
  const before = former?.sets.find(({ name }) => name === set);
  const known = new Map(before?.elements.map((element) => [element.key[0], element]));
  return ({ ip, goal }) => {
    const element = known.get(ip);
    const same = element !== undefined && isSame(element.value as Goal, goal);
    return same ? element : { key: [ip], value: goal };
  };
}

/** Neighbors of which the same is said are one. */
function blockElements(
  segments: readonly Segment[],
  family: IpFamily,
  goals: Goals,
  anybody: Goal,
): Element[] {
  const spans: { first: bigint; last: bigint; goal: Goal }[] = [];
  for (const { first, last, numbers } of segments) {
    const goal = goals.of(numbers, undefined);
    const before = spans.at(-1);
    if (isSame(goal, anybody)) continue;
    if (before !== undefined && before.last + 1n === first && isSame(before.goal, goal)) before.last = last;
    else spans.push({ first, last, goal });
  }
  return spans.map((span) => ({ key: [formatSpan(span, family)], value: span.goal }));
}

function isSame(a: Goal, b: Goal): boolean {
  return a.verdict === b.verdict && ('chain' in a ? a.chain : '') === ('chain' in b ? b.chain : '');
}
