/** At which ports one address reaches another, as all policies of both sides have it. */
import type { Ip } from '../../../base/ip/ip.ts';
import { type PortRange, rangesAt } from '../compile/clause.ts';
import type { Compiled } from '../compile/compile.ts';
import { tabulate } from '../compile/port-table.ts';
import { decide, means } from '../compile/ruling.ts';
import { type Direction, PROTOCOLS } from '../parse/objects.ts';

export type Reach = {
  /** Of TCP, UDP and SCTP: sorted, apart from each other. */
  ports: readonly PortRange[];
  /** Whether ICMP and other protocols without ports get through. */
  others: boolean;
};

const LAST_PORT = 65_535;
export const EVERYTHING: Reach = {
  ports: PROTOCOLS.map((protocol) => ({ protocol, first: 0, last: LAST_PORT })),
  others: true,
};

/** Addresses that are no pod's stand for what is there. */
export function reachBetween(compiled: Compiled, source: Ip, destination: Ip): Reach {
  if (source === destination) return EVERYTHING;
  return intersect(
    sideOf(compiled, 'egress', source, destination),
    sideOf(compiled, 'ingress', destination, source),
  );
}

/** What one side alone lets through. */
export function sideOf(compiled: Compiled, direction: Direction, own: Ip, other: Ip): Reach {
  const side = compiled.byIp.get(own);
  const ruling = side?.[direction];
  if (side === undefined || ruling === undefined) return EVERYTHING;
  if (direction === 'ingress' && compiled.isOwnNode(side.pod, other)) return EVERYTHING;
  const identity = compiled.population.identityAt(other);
  const reached = direction === 'ingress' ? { ports: ruling.ownPorts } : identity;
  const matches = ruling.clauses
    .filter((clause) => means(clause, identity, other))
    .map((clause) => ({ clause, ranges: rangesAt(clause, reached) }));
  const { entries, otherwise } = tabulate(matches, (matching) => decide(ruling, matching).allowed);
  return {
    others: otherwise,
    ports: PROTOCOLS.flatMap((protocol) => {
      const ranges = entries.filter((entry) => entry.protocol === protocol);
      return otherwise
        ? gapsOf(ranges).map((gap) => ({ protocol, ...gap }))
        : ranges.map(({ first, last }) => ({ protocol, first, last }));
    }),
  };
}

/** `everything`, `nothing`, or `TCP 80, 8000-8080; UDP all but 53; ICMP`. Equal texts are equal reaches. */
export function formatReach({ ports, others }: Reach): string {
  const parts = PROTOCOLS.flatMap((protocol) => {
    const own = ports.filter((range) => range.protocol === protocol);
    return own.length === 0 ? [] : [`${protocol} ${formatPorts(own)}`];
  });
  const all = parts.length === PROTOCOLS.length && parts.every((part) => part.endsWith(' all'));
  if (all && others) return 'everything';
  if (parts.length === 0 && !others) return 'nothing';
  return [...parts, ...(others ? ['ICMP'] : [])].join('; ');
}

function formatPorts(ranges: readonly Span[]): string {
  const gaps = gapsOf(ranges);
  if (gaps.length === 0) return 'all';
  if (gaps.length < ranges.length) return `all but ${gaps.map(formatSpan).join(', ')}`;
  return ranges.map(formatSpan).join(', ');
}

/** Port 0 only ever begins a range. */
function formatSpan({ first, last }: Span): string {
  const begin = first === 0 && last > 0 ? 1 : first;
  return begin === last ? String(last) : `${begin}-${last}`;
}

type Span = { first: number; last: number };

function gapsOf(ranges: readonly Span[]): Span[] {
  const gaps: Span[] = [];
  let first = 0;
  for (const range of ranges) {
    if (range.first > first) gaps.push({ first, last: range.first - 1 });
    first = range.last + 1;
  }
  if (first <= LAST_PORT) gaps.push({ first, last: LAST_PORT });
  return gaps;
}

function intersect(a: Reach, b: Reach): Reach {
  if (a === EVERYTHING) return b;
  if (b === EVERYTHING) return a;
  return {
    others: a.others && b.others,
    ports: a.ports.flatMap((one) =>
      b.ports.flatMap((other): PortRange[] => {
        if (one.protocol !== other.protocol) return [];
        const [first, last] = [Math.max(one.first, other.first), Math.min(one.last, other.last)];
        return first > last ? [] : [{ protocol: one.protocol, first, last }];
      }),
    ),
  };
}
