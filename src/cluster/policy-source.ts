/** Pods, namespaces and policies of the cluster, as enforcement needs them. */
import { notKnown } from '../base/known.ts';
import type { KubeClient } from '../edge/kubernetes/client.ts';
import { readKind } from '../edge/kubernetes/read-kind.ts';
import { Reflector } from '../edge/kubernetes/reflector.ts';
import type { PolicyInput } from '../plan/policy/compile/compile.ts';
import { digestPolicies, digestVersions, type Versioned } from '../plan/policy/compile/digest.ts';
import type { ClusterPolicy } from '../plan/policy/parse/objects.ts';
import { CLUSTER_POLICY_KIND } from './kinds/cluster-policy.ts';
import { NAMESPACE_KIND, type Namespace } from './kinds/namespace.ts';
import { NETWORK_POLICY_KIND } from './kinds/network-policy.ts';
import type { KubeNode } from './kinds/node.ts';
import { POD_KIND, type Pod } from './kinds/pod.ts';
import { SERVICE_KIND, type Service } from './kinds/service.ts';
import type { KubeStore } from './kube-store.ts';
import type { Topic } from './topic.ts';

export type PolicyState = PolicyInput & {
  pods: readonly Pod[];
  /** Digests of what it is made from: see policy/digest.ts. */
  versions: PolicyVersions;
};

/** `policies` of both kinds; `pods` with their namespaces. */
export type PolicyVersions = { policies: string; pods: string };

export type PolicySource = Topic<{ state: PolicyState }> & {
  /** Nodes as they are now: {@link PolicyState} has them as of the last change that a policy could mean. */
  nodes(): Iterable<KubeNode>;
  /** Read when they are asked for: policies mean none. @throws ApiError */
  readServices(): Promise<readonly Service[]>;
  close(): void;
};

/** Milliseconds that a question waits for services. */
const PATIENCE_MS = 3000;

/** @param store which has the nodes already. */
export function openPolicySource(client: KubeClient, store: KubeStore): PolicySource {
  const listeners = new Set<() => void>();
  let state: PolicyState | undefined;
  /** Pods change all the time; policies stay. */
  let digest: string | undefined;
  const onChange = () => {
    state = undefined;
    for (const listener of listeners) listener();
  };
  /** The same lists as long as no policy, and no namespace, changes. */
  let lists: Pick<PolicyState, 'policies' | 'clusterPolicies'> | undefined;
  let namespaceList: readonly Namespace[] | undefined;
  const onNamespaceChange = () => {
    namespaceList = undefined;
    onChange();
  };
  const onPolicyChange = () => {
    digest = undefined;
    lists = undefined;
    onChange();
  };
  const pods = new Reflector({ client, kind: POD_KIND, onChange });
  const namespaces = new Reflector({ client, kind: NAMESPACE_KIND, onChange: onNamespaceChange });
  const policies = new Reflector({ client, kind: NETWORK_POLICY_KIND, onChange: onPolicyChange });
  const clusterPolicies = new Reflector({ client, kind: CLUSTER_POLICY_KIND, onChange: onPolicyChange });
  const unlisted = notKnown(
    new Date(),
    'the API has not listed all pods, namespaces and policies since the agent started',
  );
  const all = [pods, namespaces, policies, clusterPolicies];
  // Nodes change all the time; few policies mean any.
  const nodes = store.watch(() => {
    if ([...clusterPolicies.objects.values()].some(({ policy }) => meansNodes(policy))) onChange();
  });
  return {
    get now() {
      if (!all.every(({ complete }) => complete)) return unlisted;
      digest ??= digestPolicies([...policies.objects.values(), ...clusterPolicies.objects.values()]);
      state ??= stateOf(
        [...pods.objects.values()],
        (namespaceList ??= [...namespaces.objects.values()]),
        (lists ??= {
          policies: [...policies.objects.values()].map(({ policy }) => policy),
          clusterPolicies: [...clusterPolicies.objects.values()].map(({ policy }) => policy),
        }),
        [...store.nodes()],
        digest,
        {
          pod: (pod) => ({ uid: pod.uid, resourceVersion: pods.versionOf(pod) }),
          namespace: (namespace) => ({
            uid: namespace.uid,
            resourceVersion: namespaces.versionOf(namespace),
          }),
        },
      );
      return { known: true as const, state };
    },
    get problems() {
      return all.flatMap(({ problems }) => problems);
    },
    nodes: () => store.nodes(),
    readServices: async () =>
      (await readKind(client, SERVICE_KIND, AbortSignal.timeout(PATIENCE_MS))).objects,
    watch: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    close: () => {
      nodes[Symbol.dispose]();
      for (const reflector of all) reflector[Symbol.dispose]();
    },
  };
}

function meansNodes({ egress }: ClusterPolicy): boolean {
  return egress.some(({ peers = [] }) => peers.some(({ kind }) => kind === 'nodes'));
}

function stateOf(
  pods: readonly Pod[],
  namespaces: readonly Namespace[],
  lists: Pick<PolicyState, 'policies' | 'clusterPolicies'>,
  nodes: readonly KubeNode[],
  digest: string,
  latest: { pod: (pod: Pod) => Versioned; namespace: (namespace: Namespace) => Versioned },
): PolicyState {
  let podsDigest: string | undefined;
  return {
    pods,
    namespaces,
    ...lists,
    nodes,
    versions: {
      policies: digest,
      get pods() {
        return (podsDigest ??= digestVersions([
          ...pods.map(latest.pod),
          ...namespaces.map(latest.namespace),
        ]));
      },
    },
  };
}
