/**
 * From the cluster's pods, namespaces and policies to what this node enforces: what is said about each of its pods. A
 * compiler that is asked again gives the same objects for what no change has touched.
 */
import type { Ip } from '../../../base/ip/ip.ts';
import { runToEnd, type Slices } from '../../../base/run/slices.ts';
import {
  type ClusterPolicy,
  DIRECTIONS,
  type Direction,
  type NetworkPolicy,
  type PolicyNamespace,
  type PolicyNode,
  type PolicyPod,
} from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import { bound } from './bounds.ts';
import { type Clause, nameOf, networkClauses, tierClauses } from './clause.ts';
import { hasNetwork, type Identity, openCensus, type Population } from './population.ts';
import { isBoundAlike, keyOf, openBinder, type Ruling } from './ruling.ts';

export type PolicyInput = {
  pods: readonly PolicyPod[];
  namespaces: readonly PolicyNamespace[];
  policies: readonly NetworkPolicy[];
  clusterPolicies: readonly ClusterPolicy[];
  nodes: readonly PolicyNode[];
};

/** A direction without any policy for the pod is absent. */
export type CompiledPod = {
  pod: PolicyPod;
  /** Host ends of its interfaces, where those are known. */
  links?: readonly string[];
} & Partial<Record<Direction, Ruling>>;

export type Compiled = {
  /** Those of the wanted pods that some policy selects. */
  pods: readonly CompiledPod[];
  byIp: ReadonlyMap<Ip, CompiledPod>;
  population: Population;
  /** Whether the address is one of the node that runs the pod: what it sends to its pods is never denied. */
  isOwnNode(pod: PolicyPod, ip: Ip): boolean;
};

export type Compiler = {
  /**
   * @param ours pods of the input that are compiled: those of this node, or, where absent, to explain any all that have
   * addresses of their own.
   * @returns what is valid until the next call.
   */
  compile(input: PolicyInput, ours?: Iterable<PolicyPod>): Slices<Compiled>;
};

export function compile(input: PolicyInput, ours?: Iterable<PolicyPod>): Compiled {
  return runToEnd(openCompiler().compile(input, ours));
}

export function openCompiler(): Compiler {
  const census = openCensus();
  const drafting = openDrafting();
  let before = new Map<string, Ruling>();
  return {
    *compile(input, ours = input.pods.filter(hasNetwork)) {
      const population = yield* census.take(input.pods, input.namespaces);
      const bind = openBinder(population, input.nodes);
      const rulings = new Map<string, Ruling>();
      const rule = ({ key, ...draft }: Keyed): Ruling => {
        const known = rulings.get(key);
        if (known !== undefined) return known;
        const clauses = draft.clauses.map((clause) => bind(clause, draft.direction));
        const former = before.get(key);
        const ruling =
          former !== undefined && isBoundAlike(former.clauses, clauses) ? former : { ...draft, key, clauses };
        rulings.set(key, ruling);
        return ruling;
      };
      const draftsOf = drafting(input);
      const said = new Map<Identity | PolicyPod, Partial<Record<Direction, Ruling>>>();
      const pods: CompiledPod[] = [];
      for (const pod of ours) {
        if (pod.hostNetwork) continue;
        yield;
        // One that has ended is no peer of others, and isolated as long as it is there.
        const identity = population.identityOf(pod) ?? pod;
        let directions = said.get(identity);
        if (directions === undefined) {
          directions = Object.fromEntries(
            Object.entries(draftsOf(pod)).map(([direction, draft]) => [direction, rule(draft)]),
          );
          said.set(identity, directions);
        }
        if (Object.keys(directions).length > 0) pods.push({ pod, ...directions });
      }
      before = rulings;
      return { pods, byIp: indexByIp(pods, population), population, isOwnNode: openNodes(input.nodes) };
    },
  };
}

/** Its clauses mean no pods yet. */
type Keyed = Ruling;
type Drafts = Partial<Record<Direction, Keyed>>;
type DraftsOf = (pod: Pick<PolicyPod, 'namespace' | 'labels' | 'ports'>) => Drafts;

/**
 * What policies say of pods by their namespaces, labels and ports, before it is known whom they mean: kept as long as the
 * lists of policies and namespaces are the same lists.
 */
function openDrafting(): (input: PolicyInput) => DraftsOf {
  let latest: { lists: readonly unknown[]; draftsOf: DraftsOf } | undefined;
  return ({ policies, clusterPolicies, namespaces }) => {
    const lists = [policies, clusterPolicies, namespaces];
    if (latest === undefined || lists.some((list, index) => list !== latest!.lists[index]))
      latest = { lists, draftsOf: draftsBy(policies, clusterPolicies, namespaces) };
    return latest.draftsOf;
  };
}

function draftsBy(
  policies: readonly NetworkPolicy[],
  clusterPolicies: readonly ClusterPolicy[],
  namespaces: readonly PolicyNamespace[],
): DraftsOf {
  const byNamespace = Map.groupBy(policies, ({ namespace }) => namespace);
  const tiers = sortByPriority(clusterPolicies);
  const labelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  const known = new WeakMap<object, { namespace: string; ports: PolicyPod['ports']; drafts: Drafts }>();
  return ({ namespace, labels, ports }) => {
    const former = known.get(labels);
    if (former !== undefined && former.namespace === namespace && former.ports === ports)
      return former.drafts;
    const network = (byNamespace.get(namespace) ?? []).filter(({ pods }) => meets(labels, pods));
    const selecting = tiers.filter(
      ({ subject }) =>
        meets(labels, subject.pods) && meets(labelsOf.get(namespace) ?? {}, subject.namespaces),
    );
    const drafts: Drafts = Object.fromEntries(
      DIRECTIONS.flatMap((direction) => {
        const draft = draftOf(direction, network, selecting, ports);
        return draft === undefined ? [] : [[direction, { ...draft, key: keyOf(draft) }]];
      }),
    );
    known.set(labels, { namespace, ports, drafts });
    return drafts;
  };
}

/** Of several pods with one address the one that counts as its owner, where that is among them. */
export function indexByIp(pods: readonly CompiledPod[], population: Population): Map<Ip, CompiledPod> {
  const byIp = new Map<Ip, CompiledPod>();
  for (const compiled of pods)
    for (const ip of compiled.pod.podIPs)
      if (!byIp.has(ip) || population.ownerOf(ip) === compiled.pod) byIp.set(ip, compiled);
  return byIp;
}

/** Looked up by name once anything is asked: there may be thousands, of which policies concern one. */
function openNodes(nodes: readonly PolicyNode[]): Compiled['isOwnNode'] {
  let byName: ReadonlyMap<string, PolicyNode> | undefined;
  return ({ nodeName }, ip) => {
    if (nodeName === undefined) return false;
    byName ??= new Map(nodes.map((node) => [node.name, node]));
    return byName.get(nodeName)?.ips.includes(ip) ?? false;
  };
}

/** Of equal priority the one whose name comes first: the same on every node. */
function sortByPriority(policies: readonly ClusterPolicy[]): ClusterPolicy[] {
  return policies.toSorted((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1));
}

type Draft = Omit<Ruling, 'key'>;

/** @returns undefined where nothing is said. */
function draftOf(
  direction: Direction,
  network: readonly NetworkPolicy[],
  tiers: readonly ClusterPolicy[],
  ownPorts: PolicyPod['ports'],
): Draft | undefined {
  const isolating = network.filter((policy) => policy[direction] !== undefined);
  const ofTier = (tier: ClusterPolicy['tier']) =>
    tiers.filter((policy) => policy.tier === tier).flatMap((policy) => tierClauses(policy, direction));
  const clauses: Clause[] = [
    ...ofTier('admin'),
    ...isolating.flatMap((policy) => networkClauses(policy, direction)),
    ...ofTier('baseline'),
  ];
  if (clauses.length === 0 && isolating.length === 0) return undefined;
  const staged = clauses.some((clause) => clause.staged) || isolating.some((policy) => policy.staged);
  return bound({
    direction,
    clauses,
    isolatedBy: isolating.filter((policy) => !policy.staged).map(nameOf),
    ...(staged ? { proposed: isolating.map(nameOf) } : {}),
    ownPorts,
  });
}
