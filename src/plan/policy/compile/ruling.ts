/** What all policies together say about one pod and direction, and how a decision follows from it. */
import { createHash, hash } from 'node:crypto';
import { cidrContains, hostCidr, parseCidr } from '../../../base/ip/cidr.ts';
import type { Ip } from '../../../base/ip/ip.ts';
import type { Slices } from '../../../base/run/slices.ts';
import type { BlockPeer, Direction, PodPeer, PolicyNode, PolicyPod, Selector } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import { type Clause, isBlock } from './clause.ts';
import type { Identity, Population, Selection } from './population.ts';

/** A clause and whom it means now. */
export type BoundClause = Clause & {
  /** Absent: all. */
  who?: { selections: readonly Selection[]; blocks: readonly BlockPeer[] };
  /** Where the clause names ports of those who are reached, and means addresses: the pods whose ports have names. */
  named?: Selection;
};

export type Ruling = {
  /** Equal for pods of which the same is said, whichever peers it means at the moment. */
  key: string;
  direction: Direction;
  /** In the order in which they are asked: tier admin, network policies, tier baseline. */
  clauses: readonly BoundClause[];
  /** Network policies that isolate the pod; none where it is open as far as they go. */
  isolatedBy: readonly string[];
  /** Named ports of the pods that this is about; of meaning for ingress. */
  ownPorts: PolicyPod['ports'];
  /** Network policies that would isolate the pod if the staged ones were in force; absent where nothing is staged. */
  proposed?: readonly string[];
  /** Policies that say too much to be enforced, or evaluated where they are staged; absent where all of it is. */
  leftOut?: readonly string[];
};

export type Decision = {
  allowed: boolean;
  /** Who decided; none where no policy has a say. */
  policies: readonly string[];
  /** The clause; absent where none matches. */
  clause?: Clause;
};

/** @param matching clauses of the ruling, in its order. */
export function decide({ isolatedBy }: Ruling, matching: readonly Clause[]): Decision {
  return decideBy(
    isolatedBy,
    matching.filter(({ staged }) => !staged),
  );
}

/** What it would be with what is staged. @returns undefined where nothing is. */
export function propose({ proposed }: Ruling, matching: readonly Clause[]): Decision | undefined {
  return proposed === undefined ? undefined : decideBy(proposed, matching);
}

function decideBy(isolatedBy: readonly string[], matching: readonly Clause[]): Decision {
  const decided = (clause: Clause): Decision => ({
    allowed: clause.action === 'accept',
    policies: [clause.policy],
    clause,
  });
  const admin = matching.find(({ tier }) => tier === 'admin');
  if (admin !== undefined && admin.action !== 'pass') return decided(admin);
  const network = matching.find(({ tier }) => tier === 'network');
  if (network !== undefined) return decided(network);
  if (isolatedBy.length > 0) return { allowed: false, policies: isolatedBy };
  const baseline = matching.find(({ tier }) => tier === 'baseline');
  if (baseline !== undefined && baseline.action !== 'pass') return decided(baseline);
  return { allowed: true, policies: [] };
}

export function means({ who }: BoundClause, other: Identity | undefined, ip: Ip): boolean {
  if (who === undefined) return true;
  if (other !== undefined && who.selections.some(({ identities }) => identities.has(other))) return true;
  return who.blocks.some(
    ({ cidr, except }) => cidrContains(cidr, ip) && !except.some((range) => cidrContains(range, ip)),
  );
}

/** Addresses of links (RFC 4291): of those that a pod reaches all are its own node's. */
export const LINK_LOCAL = parseCidr('fe80::/10');

/** Finds out whom clauses mean. */
export function openBinder(population: Population, nodes: readonly PolicyNode[]) {
  const blocksOfNodes = new Map<Selector, readonly BlockPeer[]>();
  const blocksOf = (selector: Selector): readonly BlockPeer[] => {
    let blocks = blocksOfNodes.get(selector);
    if (blocks === undefined) {
      blocks = nodes
        .filter(({ labels }) => meets(labels, selector))
        .flatMap(({ ips, here }) => [...ips.map(hostCidr), ...(here === true ? [LINK_LOCAL] : [])])
        .map((cidr) => ({ kind: 'block', cidr, except: [] }) as const);
      blocksOfNodes.set(selector, blocks);
    }
    return blocks;
  };
  return (clause: Clause, direction: Direction): BoundClause => {
    const who = clause.peers && {
      selections: clause.peers
        .filter((peer): peer is PodPeer => peer.kind === 'pods')
        .map((peer) => population.select(peer, clause.namespace)),
      blocks: clause.peers.flatMap((peer) =>
        isBlock(peer) ? [peer] : peer.kind === 'nodes' ? blocksOf(peer.nodes) : [],
      ),
    };
    const looksUp =
      direction === 'egress' && (clause.ports?.names.length ?? 0) > 0 && (who?.blocks.length ?? 1) > 0;
    return {
      ...clause,
      ...(who === undefined ? {} : { who }),
      ...(looksUp ? { named: population.withNamedPorts() } : {}),
    };
  };
}

const digests = new WeakMap<Clause, string>();

/** @param clauses that stay the same objects as long as they say the same. */
export function keyOf({ direction, clauses, isolatedBy, proposed, ownPorts }: Omit<Ruling, 'key'>): string {
  const named = direction === 'ingress' && clauses.some(({ ports }) => (ports?.names.length ?? 0) > 0);
  const digestOf = (clause: Clause) => {
    let digest = digests.get(clause);
    if (digest === undefined) digests.set(clause, (digest = digestText(JSON.stringify(clause))));
    return digest;
  };
  return digestText(
    JSON.stringify([direction, isolatedBy, proposed ?? 0, named ? ownPorts : 0]) +
      clauses.map(digestOf).join(''),
  );
}

/** Short enough for names in the kernel. */
export function digestText(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 16);
}

/** Of a list that may be long, as short as {@link digestText}'s. */
export function* digestSteps(items: readonly unknown[]): Slices<string> {
  const sum = createHash('sha256');
  for (let from = 0; from < items.length; from += DIGESTED_AT_A_TIME) {
    sum.update(JSON.stringify(items.slice(from, from + DIGESTED_AT_A_TIME)));
    yield;
  }
  return sum.digest('hex').slice(0, 16);
}

const DIGESTED_AT_A_TIME = 256;

/** Whether both mean the same pods and addresses; of equal keys. */
export function isBoundAlike(a: readonly BoundClause[], b: readonly BoundClause[]): boolean {
  return a.every(({ who, named }, index) => {
    const other = b[index]?.who;
    if (named !== b[index]?.named) return false;
    if (who === undefined || other === undefined) return who === other;
    return (
      isSameList(who.selections, other.selections) &&
      (isSameList(who.blocks, other.blocks) || JSON.stringify(who.blocks) === JSON.stringify(other.blocks))
    );
  });
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
