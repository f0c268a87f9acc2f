/** A cluster of values: nodes, pods, namespaces and policies as a test sets them, and an API that may be away. */
import { notKnown } from '../../base/known.ts';
import { CLUSTER_POLICY_KIND } from '../../cluster/kinds/cluster-policy.ts';
import { NAMESPACE_KIND } from '../../cluster/kinds/namespace.ts';
import { NETWORK_POLICY_KIND } from '../../cluster/kinds/network-policy.ts';
import { POD_KIND } from '../../cluster/kinds/pod.ts';
import type { PolicyState } from '../../cluster/policy-source.ts';
import type { NodeReport } from '../../cluster/store.ts';
import { Collection } from '../../edge/kubernetes/collection.ts';
import type { Denial } from '../../plan/flow/denial.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import type { ClusterSource } from '../cluster-source.ts';
import type { Life } from './fake-life.ts';

/** As an API has them. */
export type Objects = {
  pods?: readonly object[];
  namespaces?: readonly object[];
  policies?: readonly object[];
  clusterPolicies?: readonly object[];
};

export type FakeCluster = {
  setNodes(nodes: readonly ClusterNode[]): void;
  readonly nodes: readonly ClusterNode[];
  /** Those that are not given stay as they are. */
  setObjects(objects: Objects): void;
  /** While the API is away the agent has what it read before, and one that starts has nothing. */
  setAway(isAway: boolean): void;
  /** What the agent told last of its node. */
  readonly report: NodeReport | undefined;
  /** Denied packets that the agent told of. */
  readonly denials: readonly Denial[];
  /** What nodes say that wait for a range; absent where each claims its own. */
  awaitRange?: string;
  isBeingRemoved: boolean;
  open(life: Life): ClusterSource;
};

type Seen = { nodes: readonly ClusterNode[]; policies: PolicyState | undefined; problems: readonly string[] };

const AWAY = 'objects of kind node are not up to date: connect ECONNREFUSED';

/** @param hasPolicies whether it is one that can have any. */
export function createFakeCluster(hasPolicies: boolean): FakeCluster {
  const kinds = {
    pods: new Collection(POD_KIND),
    namespaces: new Collection(NAMESPACE_KIND),
    policies: new Collection(NETWORK_POLICY_KIND),
    clusterPolicies: new Collection(CLUSTER_POLICY_KIND),
  };
  const watchers = new Set<() => void>();
  const denials: Denial[] = [];
  let nodes: readonly ClusterNode[] = [];
  let isAway = false;
  let report: NodeReport | undefined;
  let version = 0;
  let policies: PolicyState | undefined;
  const changed = () => {
    version++;
    policies = undefined;
    for (const watcher of watchers) queueMicrotask(watcher);
  };
  const readPolicies = (): PolicyState =>
    (policies ??= {
      pods: [...kinds.pods.objects.values()],
      namespaces: [...kinds.namespaces.objects.values()],
      policies: [...kinds.policies.objects.values()].map(({ policy }) => policy),
      clusterPolicies: [...kinds.clusterPolicies.objects.values()].map(({ policy }) => policy),
      nodes: [],
      versions: { policies: String(version), pods: String(version) },
    });
  const watch = (watcher: () => void): Disposable => {
    watchers.add(watcher);
    return { [Symbol.dispose]: () => void watchers.delete(watcher) };
  };
  const cluster: FakeCluster = {
    get nodes() {
      return nodes;
    },
    setNodes: (latest) => {
      nodes = latest;
      changed();
    },
    setObjects: (objects) => {
      for (const [kind, latest] of Object.entries(objects) as [keyof Objects, readonly object[]][]) {
        kinds[kind].beginList();
        for (const object of latest) kinds[kind].put(object);
        kinds[kind].endList();
      }
      changed();
    },
    setAway: (away) => {
      isAway = away;
      changed();
    },
    get report() {
      return report;
    },
    denials,
    isBeingRemoved: false,
    open: (life) => {
      let seen: Seen = { nodes: [], policies: undefined, problems: [AWAY] };
      const look = (): Seen => {
        if (isAway) return { ...seen, problems: [AWAY] };
        const problems = Object.values(kinds).flatMap((kind) => kind.problems);
        seen = { nodes, policies: readPolicies(), problems };
        return seen;
      };
      const follow = (onChange: () => void) => watch(life.tell(onChange));
      return {
        get state() {
          return { nodes: look().nodes, problems: isAway ? [AWAY] : [] };
        },
        ...(cluster.awaitRange === undefined ? {} : { awaitRange: cluster.awaitRange }),
        watch: follow,
        claimRanges: (node, ranges) =>
          life.passLater('cluster.claimRanges', async () => {
            if (isAway) throw new Error(AWAY);
            cluster.setNodes(
              nodes.map((one) => (one.name === node.name ? { ...one, podCidrs: ranges } : one)),
            );
            return true;
          }),
        ...(hasPolicies
          ? {
              policies: {
                get now() {
                  const { policies: state } = look();
                  return state === undefined ? notKnown(new Date(0), AWAY) : { known: true as const, state };
                },
                get problems() {
                  return look().problems.filter((problem) => problem !== AWAY);
                },
                nodes: () => [],
                readServices: () => life.passLater('cluster.readServices', async () => []),
                watch: follow,
                close: () => undefined,
              },
              denials: { tell: (denial) => void denials.push(denial), [Symbol.dispose]: () => undefined },
            }
          : {}),
        removal: { isUnderWay: async () => cluster.isBeingRemoved },
        report: (latest) => {
          if (!life.isOver) report = latest;
        },
        close: () => undefined,
      };
    },
  };
  return cluster;
}
