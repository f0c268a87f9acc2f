/** The cluster's nodes as Kubernetes has them. */
import { type Cidr, cidrsOverlap } from '../base/ip/cidr.ts';
import { isStatus } from '../edge/kubernetes/api-error.ts';
import type { KubeClient } from '../edge/kubernetes/client.ts';
import { readKind } from '../edge/kubernetes/read-kind.ts';
import { Reflector, type ReflectorTimes } from '../edge/kubernetes/reflector.ts';
import type { ClusterNode } from '../plan/node/cluster-node.ts';
import { type KubeNode, NODE_KIND, trimNode } from './kinds/node.ts';
import type { ClusterState, ClusterStore } from './store.ts';

export type KubeStore = ClusterStore & {
  /** As it is known now. */
  node(name: string): KubeNode | undefined;
  /** All of them as they are known now. */
  nodes(): Iterable<KubeNode>;
  /** All nodes as they are now, past every cache: what a decision for the whole cluster is made from. */
  listNodes(): Promise<KubeNode[]>;
};

export type KubeStoreOptions = {
  /** What a node without a range is told: {@link ClusterStore.awaitRange}. */
  awaitRange: string;
  times?: Partial<ReflectorTimes>;
  /** Milliseconds within which a claim is made or has failed. */
  claimMs?: number;
};

/** Of a claim, when something else of the node changes at the same moment: kubelets do so all the time. */
const MOST_ATTEMPTS = 5;

/** Nodes are known some time after this returns; until then the state is empty and says why. */
export function openKubeStore(client: KubeClient, options: KubeStoreOptions): KubeStore {
  const { awaitRange, times, claimMs = 5000 } = options;
  const listeners = new Set<() => void>();
  const reflector = new Reflector({
    client,
    kind: NODE_KIND,
    ...(times === undefined ? {} : { times }),
    onChange: () => {
      state = undefined;
      for (const listener of listeners) listener();
    },
  });
  let state: ClusterState | undefined;
  const controller = new AbortController();
  const read = async (name: string) =>
    trimOne(await client.json({ path: pathOf(name), totalMs: claimMs, signal: controller.signal }));

  return {
    awaitRange,
    get state() {
      // Half a list would look like a cluster of half its nodes.
      state ??= {
        nodes: reflector.complete ? [...reflector.objects.values()] : [],
        problems: reflector.problems,
      };
      return state;
    },
    watch: (onChange) => {
      listeners.add(onChange);
      return { [Symbol.dispose]: () => void listeners.delete(onChange) };
    },
    claimRanges: async (node, ranges) => {
      let known = (await read(node.name)) ?? fail(node);
      for (let attempt = 1; ; attempt++) {
        if (known.uid !== node.uid) return false;
        if (known.podCidrs.length > 0) return String(known.podCidrs) === String(ranges);
        if (isTaken(reflector.objects.values(), node, ranges)) return false;
        try {
          reflector.learn(
            await client.json({
              method: 'PATCH',
              path: pathOf(node.name),
              contentType: 'application/merge-patch+json',
              // The version makes it a compare-and-swap: Kubernetes lets ranges be set once, from nothing.
              body: {
                metadata: { uid: known.uid, resourceVersion: known.resourceVersion },
                spec: { podCIDR: ranges[0], podCIDRs: ranges },
              },
              totalMs: claimMs,
              signal: controller.signal,
            }),
          );
          state = undefined;
          return true;
        } catch (error) {
          if (!isStatus(error, 409) || attempt === MOST_ATTEMPTS) throw error;
          known = (await read(node.name)) ?? fail(node);
        }
      }
    },
    nodes: () => reflector.objects.values(),
    node: (name) => reflector.objects.get(name),
    listNodes: async () => [...(await readKind(client, NODE_KIND, controller.signal)).objects],
    close: () => {
      controller.abort();
      reflector[Symbol.dispose]();
    },
  };
}

function pathOf(name: string): string {
  return `${NODE_KIND.path}/${name}`;
}

function trimOne(value: unknown): KubeNode | undefined {
  const trimmed = trimNode(value);
  return 'object' in trimmed ? trimmed.object : undefined;
}

function fail(node: ClusterNode): never {
  throw new Error(`node ${node.name}: its record cannot be read, so it is given no range; mend the record`);
}

function isTaken(others: Iterable<KubeNode>, node: ClusterNode, ranges: readonly Cidr[]): boolean {
  for (const other of others) {
    if (other.uid === node.uid) continue;
    if (other.podCidrs.some((held) => ranges.some((range) => cidrsOverlap(held, range)))) return true;
  }
  return false;
}
