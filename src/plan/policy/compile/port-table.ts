/** What becomes of each port, where these clauses match the other end. */

import { PROTOCOLS } from '../parse/objects.ts';
import type { Clause, PortRange } from './clause.ts';

/** A clause that matches, on these ports alone or on all of every protocol. */
export type Match<C extends Clause> = { clause: C; ranges: readonly PortRange[] | undefined };

export type PortTable<T> = {
  /** Sorted and apart from each other; those whose result is that of all else are left out. */
  entries: readonly (PortRange & { result: T })[];
  /** Of all other ports and protocols. */
  otherwise: T;
};

const BEHIND = 65_536;

/** @param matches in the order in which they are asked. @param decide gives equal values for equal results. */
export function tabulate<C extends Clause, T>(
  matches: readonly Match<C>[],
  decide: (matching: readonly C[]) => T,
): PortTable<T> {
  const everywhere = matches.flatMap(({ clause, ranges }) => (ranges === undefined ? [clause] : []));
  const otherwise = decide(everywhere);
  const entries = PROTOCOLS.flatMap((protocol) => {
    const edges = matches.flatMap(({ ranges }, order) =>
      (ranges ?? [])
        .filter((range) => range.protocol === protocol)
        .flatMap(({ first, last }) => [
          { at: first, order, change: 1 },
          { at: last + 1, order, change: -1 },
        ]),
    );
    if (edges.length === 0) return [];
    edges.sort((a, b) => a.at - b.at);
    const depths = new Map(
      matches.flatMap(({ ranges }, order): [number, number][] => (ranges === undefined ? [[order, 1]] : [])),
    );
    const found: (PortRange & { result: T })[] = [];
    edges.forEach(({ at, order, change }, index) => {
      const depth: number = (depths.get(order) ?? 0) + change;
      if (depth === 0) depths.delete(order);
      else depths.set(order, depth);
      const next = edges[index + 1]?.at ?? BEHIND;
      if (next === at || at >= BEHIND) return;
      const active = [...depths.keys()].toSorted((a, b) => a - b).map((one) => matches[one]!.clause);
      const result = decide(active);
      const before = found.at(-1);
      if (result === otherwise) return;
      if (before !== undefined && before.result === result && before.last + 1 === at) before.last = next - 1;
      else found.push({ protocol, first: at, last: next - 1, result });
    });
    return found;
  });
  return { entries, otherwise };
}
