/** Addresses that several nodes claim: two records of one machine, or two machines with one address. */
import type { Ip } from '../base/ip/ip.ts';
import type { ClusterNode } from '../plan/node/cluster-node.ts';

/** Sentences; the rest is counted. */
const MOST_NAMED = 10;

export type SharedAddresses = (nodes: readonly ClusterNode[]) => string[];

/**
 * A sentence for each such address, with all who claim it. A node is known by its object, of which each name has one: asked again when a few of many
 * nodes have changed, it looks at these alone.
 */
export function createSharedAddresses(): SharedAddresses {
  const known = new Map<string, ClusterNode>();
  /** Those that claim an address; most have one, which is no list. */
  const claims = new Map<Ip, ClusterNode | readonly ClusterNode[]>();
  const shared = new Set<Ip>();
  const change = (ip: Ip, amend: (holders: readonly ClusterNode[]) => readonly ClusterNode[]) => {
    const before = claims.get(ip);
    const after = amend(before === undefined ? [] : [before].flat());
    const [first, second] = after;
    if (first === undefined) claims.delete(ip);
    else claims.set(ip, second === undefined ? first : after);
    if (second === undefined) shared.delete(ip);
    else shared.add(ip);
  };
  const leave = (node: ClusterNode) => {
    known.delete(node.name);
    for (const ip of node.internalIps) change(ip, (holders) => holders.filter((holder) => holder !== node));
  };
  const join = (node: ClusterNode) => {
    known.set(node.name, node);
    for (const ip of new Set(node.internalIps)) change(ip, (holders) => [...holders, node]);
  };
  return (nodes) => {
    for (const node of nodes) {
      const before = known.get(node.name);
      if (before === node) continue;
      if (before !== undefined) leave(before);
      join(node);
    }
    if (known.size > nodes.length) {
      const present = new Set(nodes);
      for (const node of known.values()) if (!present.has(node)) leave(node);
    }
    return describe([...shared].map((ip) => [ip, [claims.get(ip)!].flat()]));
  };
}

function describe(shared: readonly (readonly [Ip, readonly ClusterNode[]])[]): string[] {
  const sentences = shared.slice(0, MOST_NAMED).map(([ip, nodes]) => {
    const names = nodes.map(({ name }) => name).toSorted();
    return (
      `nodes ${names.join(' and ')} have one internal address, ${ip}: pods of one of them are not reached; ` +
      'delete the Node whose machine is gone or has another name now, or correct its addresses'
    );
  });
  const more = shared.length - sentences.length;
  return more > 0 ? [...sentences, `${more} more addresses are those of several nodes`] : sentences;
}
