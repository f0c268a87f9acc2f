/**
 * What is enforced on a node, as a table that any datapath can be given: whom it is about, and per pod and direction what
 * becomes of each port of each other end. The order of rules, tiers and staging are resolved already; how packets are
 * matched is the renderer's.
 */
import { type Ip, type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import type { Slices } from '../../../base/run/slices.ts';
import type { Direction } from '../parse/objects.ts';
import { rangesAt } from './clause.ts';
import type { Compiled } from './compile.ts';
import { type Outcome, openOutcomes } from './outcome.ts';
import type { Identity } from './population.ts';
import { type Match, type PortTable, tabulateSteps } from './port-table.ts';
import type { BoundClause, Ruling } from './ruling.ts';
import { cutSegments, type Segment, type Span, segmentAt } from './segments.ts';

/** Where packets that begin a connection are asked about. */
export type Subject = {
  ips: readonly Ip[];
  /** Host ends of its interfaces: what comes from there is its own, whatever address it carries. */
  links: readonly string[];
} & Partial<Record<Direction, PeerTable>>;

/** Without an outcome the packet passes, and is not counted. */
export type PortVerdicts = PortTable<Outcome | undefined> & {
  /** Equal for equal verdicts. */
  key: string;
};

/** What one direction of some pods allows: a single address comes before the interval that it lies in. */
export type PeerTable = {
  /** Equal for pods of which the same is said. */
  key: string;
  direction: Direction;
  /** The rules as they are written, in the order in which they are asked, for those who explain or match them one by one. */
  rules: readonly BoundClause[];
  /** Pods of which something else is said than of what lies around them. */
  addresses: readonly { ip: Ip; verdicts: PortVerdicts }[];
  /** Sorted and apart from each other. */
  intervals: Readonly<Record<IpFamily, readonly (Span & { verdicts: PortVerdicts })[]>>;
  /** Of all other addresses. */
  otherwise: PortVerdicts;
};

export type PolicyTable = {
  /** What they send anywhere is egress, to their own node too; what that sends to them is no ingress. */
  subjects: readonly Subject[];
  /** Each once. */
  peers: readonly PeerTable[];
};

export type Tabulator = { tabulate(compiled: Pick<Compiled, 'pods'>): Slices<PolicyTable> };

/** What no change has touched is the same object again. */
export function openTabulator(): Tabulator {
  let before = new Map<Ruling, PeerTable>();
  return {
    *tabulate({ pods }) {
      const now: typeof before = new Map();
      const subjects: Subject[] = [];
      const tableOf = function* (ruling: Ruling): Slices<PeerTable> {
        const table = now.get(ruling) ?? before.get(ruling) ?? (yield* tabulateRuling(ruling));
        now.set(ruling, table);
        return table;
      };
      for (const { pod, links = [], ingress, egress } of pods) {
        subjects.push({
          ips: pod.podIPs,
          links,
          ...(ingress === undefined ? {} : { ingress: yield* tableOf(ingress) }),
          ...(egress === undefined ? {} : { egress: yield* tableOf(egress) }),
        });
        yield;
      }
      before = now;
      return { subjects, peers: [...new Map([...now.values()].map((table) => [table.key, table])).values()] };
    },
  };
}

function* tabulateRuling(ruling: Ruling): Slices<PeerTable> {
  const blocks = ruling.clauses.flatMap(({ who }, number) =>
    (who?.blocks ?? []).map((block) => ({ ...block, number })),
  );
  const segments = { 4: yield* cutSegments(blocks, 4), 6: yield* cutSegments(blocks, 6) };
  const verdictsOf = openVerdicts(ruling);
  const otherwise = yield* verdictsOf([], undefined);
  return {
    key: ruling.key,
    direction: ruling.direction,
    rules: ruling.clauses,
    addresses: yield* addressesOf(ruling, segments, verdictsOf, otherwise),
    intervals: {
      4: yield* intervalsOf(segments[4], verdictsOf, otherwise),
      6: yield* intervalsOf(segments[6], verdictsOf, otherwise),
    },
    otherwise,
  };
}

/** @param numbers of clauses that mean the other end, besides those that mean every end. */
type VerdictsOf = (numbers: readonly number[], other: Identity | undefined) => Slices<PortVerdicts>;

/** Equal verdicts of one ruling are one object. */
function openVerdicts(ruling: Ruling): VerdictsOf {
  const { clauses, direction } = ruling;
  const outcomeOf = openOutcomes(ruling);
  const everybody = clauses.flatMap(({ who }, number) => (who === undefined ? [number] : []));
  const namesPorts = direction === 'egress' && clauses.some(({ ports }) => (ports?.names.length ?? 0) > 0);
  const bySignature = new Map<string, PortVerdicts>();
  const byKey = new Map<string, PortVerdicts>();
  const intern = (table: PortTable<Outcome | undefined>): PortVerdicts => {
    const content = table.entries.map(({ protocol, first, last, result }) => [
      protocol,
      first,
      last,
      result?.name,
    ]);
    const key = JSON.stringify([content, table.otherwise?.name]);
    let verdicts = byKey.get(key);
    if (verdicts === undefined) byKey.set(key, (verdicts = { ...table, key }));
    return verdicts;
  };
  return function* (numbers, other) {
    const signature = `${numbers.join()}${namesPorts ? ` ${JSON.stringify(other?.ports ?? [])}` : ''}`;
    let verdicts = bySignature.get(signature);
    if (verdicts === undefined) {
      const reached = direction === 'ingress' ? { ports: ruling.ownPorts } : other;
      const matching = [...everybody, ...numbers].toSorted((a, b) => a - b);
      const matches = matching.map((number): Match<BoundClause> => {
        const clause = clauses[number]!;
        return { clause, ranges: rangesAt(clause, reached) };
      });
      bySignature.set(signature, (verdicts = intern(yield* tabulateSteps(matches, outcomeOf))));
    }
    return verdicts;
  };
}

function* addressesOf(
  ruling: Ruling,
  segments: Readonly<Record<IpFamily, readonly Segment[]>>,
  verdictsOf: VerdictsOf,
  otherwise: PortVerdicts,
): Slices<PeerTable['addresses']> {
  const addresses: { ip: Ip; verdicts: PortVerdicts }[] = [];
  for (const [identity, numbers] of meantBy(ruling)) {
    yield;
    // Of all addresses that lie in no range it is the same.
    let alone: PortVerdicts | undefined;
    for (const ip of identity.ips) {
      const own = segments[ipFamily(ip)];
      const around = own.length === 0 ? undefined : segmentAt(own, ip);
      if (around === undefined) {
        alone ??= yield* verdictsOf(numbers, identity);
        if (alone !== otherwise) addresses.push({ ip, verdicts: alone });
        continue;
      }
      yield;
      const both = [...new Set([...numbers, ...around.numbers])].toSorted((a, b) => a - b);
      const verdicts = yield* verdictsOf(both, identity);
      if (verdicts !== (yield* verdictsOf(around.numbers, undefined))) addresses.push({ ip, verdicts });
    }
  }
  return addresses;
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

/** Neighbors of which the same is said are one. */
function* intervalsOf(
  segments: readonly Segment[],
  verdictsOf: VerdictsOf,
  otherwise: PortVerdicts,
): Slices<(Span & { verdicts: PortVerdicts })[]> {
  const intervals: (Span & { verdicts: PortVerdicts })[] = [];
  for (const { first, last, numbers } of segments) {
    yield;
    const verdicts = yield* verdictsOf(numbers, undefined);
    const before = intervals.at(-1);
    if (verdicts === otherwise) continue;
    if (before !== undefined && before.last + 1n === first && before.verdicts === verdicts)
      before.last = last;
    else intervals.push({ first, last, verdicts });
  }
  return intervals;
}
