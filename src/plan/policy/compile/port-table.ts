/** What becomes of each port, where these clauses match the other end. */

import { runToEnd, type Slices, sortSteps } from '../../../base/run/slices.ts';
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
  return runToEnd(tabulateSteps(matches, decide));
}

/** As {@link tabulate}, in steps. */
export function* tabulateSteps<C extends Clause, T>(
  matches: readonly Match<C>[],
  decide: (matching: readonly C[]) => T,
): Slices<PortTable<T>> {
  const everywhere = matches.flatMap(({ clause, ranges }) => (ranges === undefined ? [clause] : []));
  const otherwise = decide(everywhere);
  const entries: (PortRange & { result: T })[] = [];
  for (const protocol of PROTOCOLS) {
    const unsorted = matches.flatMap(({ ranges }, order) =>
      (ranges ?? [])
        .filter((range) => range.protocol === protocol)
        .flatMap(({ first, last }) => [
          { at: first, order, change: 1 },
          { at: last + 1, order, change: -1 },
        ]),
    );
    if (unsorted.length === 0) continue;
    const edges = yield* sortSteps(unsorted, (a, b) => a.at - b.at);
    const depths = new Map(
      matches.flatMap(({ ranges }, order): [number, number][] => (ranges === undefined ? [[order, 1]] : [])),
    );
    const found: (PortRange & { result: T })[] = [];
    for (const [index, { at, order, change }] of edges.entries()) {
      yield;
      const depth: number = (depths.get(order) ?? 0) + change;
      if (depth === 0) depths.delete(order);
      else depths.set(order, depth);
      const next = edges[index + 1]?.at ?? BEHIND;
      if (next === at || at >= BEHIND) continue;
      const active = [...depths.keys()].toSorted((a, b) => a - b).map((one) => matches[one]!.clause);
      const result = decide(active);
      const before = found.at(-1);
      if (result === otherwise) continue;
      if (before !== undefined && before.result === result && before.last + 1 === at) before.last = next - 1;
      else found.push({ protocol, first: at, last: next - 1, result });
    }
    for (const entry of found) entries.push(entry);
  }
  return { entries, otherwise };
}
