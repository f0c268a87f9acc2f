/** Addresses that several pods claim: one of them counts, which is not what both of their owners expect. */
import { nameOf } from './clause.ts';
import type { Population } from './population.ts';

const MOST_NAMED = 5;

/** One sentence each, with which pod counts and the cure. */
export function describeClashes(population: Population): string[] {
  const clashes = population.clashes();
  const named = clashes.slice(0, MOST_NAMED).map(({ ip, pods }) => {
    const owner = pods.at(-1)!;
    const others = pods.slice(0, -1).map(nameOf).join(', ');
    return (
      `address ${ip} is in the status of several pods: rules mean ${nameOf(owner)} by it, ` +
      `and not ${others}; delete the one that has ended`
    );
  });
  const left = clashes.length - named.length;
  return left === 0 ? named : [...named, `${left} more addresses are in the status of several pods`];
}
