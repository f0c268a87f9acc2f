/** Addresses that several nodes claim: two records of one machine, or two machines with one address. */
import type { Ip } from '../ip/ip.ts';
import type { ClusterNode } from './node.ts';

/** Sentences; the rest is counted. */
const MOST_NAMED = 10;

/** @returns a sentence for each such address, with all who claim it. */
export function sharedAddresses(nodes: readonly ClusterNode[]): string[] {
  const first = new Map<Ip, ClusterNode>();
  const shared = new Map<Ip, Set<string>>();
  for (const node of nodes) {
    for (const ip of node.internalIps) {
      const before = first.get(ip);
      if (before === undefined) first.set(ip, node);
      else if (before !== node) {
        const names = shared.get(ip) ?? new Set([before.name]);
        shared.set(ip, names.add(node.name));
      }
    }
  }
  const sentences = [...shared]
    .slice(0, MOST_NAMED)
    .map(
      ([ip, names]) =>
        `nodes ${[...names].join(' and ')} have one internal address, ${ip}: pods of one of them are not reached; ` +
        'delete the Node whose machine is gone or has another name now, or correct its addresses',
    );
  const more = shared.size - sentences.length;
  return more > 0 ? [...sentences, `${more} more addresses are those of several nodes`] : sentences;
}
