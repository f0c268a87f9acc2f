/** Where the agent takes the cluster's nodes from: a directory, or Kubernetes. */
import { randomUUID } from 'node:crypto';
import type { Configuration } from '../base/config/configuration.ts';
import type { Logger } from '../base/log/logger.ts';
import { openDirectoryStore } from '../cluster/directory-store.ts';
import { openKubeStore } from '../cluster/kube-store.ts';
import { openPolicySource, type PolicySource } from '../cluster/policy-source.ts';
import { assignRanges } from '../cluster/ranges/assignment.ts';
import { Leadership } from '../cluster/ranges/leadership.ts';
import { followServiceRanges } from '../cluster/ranges/service-ranges.ts';
import type { AgentReport } from '../cluster/report/agent-report.ts';
import { type AgentReporter, reportAgent } from '../cluster/report/agent-reporter.ts';
import { type Removal, watchRemoval } from '../cluster/report/daemon-set.ts';
import { type DenialReporter, reportDenials } from '../cluster/report/denial-report.ts';
import { reportNode } from '../cluster/report/node-report.ts';
import { openServiceSource, type ServiceSource } from '../cluster/service-source.ts';
import type { ClusterStore } from '../cluster/store.ts';
import { KubeClient } from '../edge/kubernetes/client.ts';
import { readAccess } from '../edge/kubernetes/credentials.ts';
import { podNamespace } from '../edge/kubernetes/in-cluster.ts';

/** The cluster's nodes, its policies where it can have any, and who tells it of what they deny. */
export type ClusterSource = ClusterStore & {
  /** Absent where the cluster can have none: its nodes come from a directory. */
  policies?: PolicySource;
  denials?: DenialReporter;
  /** Tells the cluster from now on how the agent is, where it wants to know. @param report as it is at any time. */
  reportAgent?(report: () => AgentReport): AgentReporter;
  /** Asks the cluster for its services from then on; absent where it has none. */
  openServices?(): ServiceSource;
  /** Absent where it cannot be known. */
  removal?: Removal;
};

const LEASE = { namespace: 'kube-system', name: 'fairlead-ranges' } as const;

const AWAIT_RANGE = {
  auto:
    'the cluster has not given this node a range yet; an agent that holds the lease ' +
    `${LEASE.namespace}/${LEASE.name} does within half a minute, and its log says why if it cannot`,
  never:
    'the cluster gave this node no range, and cluster.assignRanges is never; start kube-controller-manager with ' +
    '--allocate-node-cidrs, or set cluster.assignRanges: auto',
} as const;

/**
 * @param configuration as it is at any time: what changes live is asked for when it is needed.
 * @param name of this node.
 * @throws FairleadError where the source is configured wrongly; one that does not answer is waited for.
 */
export function openCluster(configuration: () => Configuration, name: string, log: Logger): ClusterSource {
  const { cluster, cni } = configuration();
  if (cluster.source === 'directory') return openDirectoryStore(cluster.directory);
  using stack = new DisposableStack();
  const client = stack.use(new KubeClient(readAccess(cluster.kubeconfig)));
  const store = stack.adopt(
    openKubeStore(client, { awaitRange: AWAIT_RANGE[cluster.assignRanges] }),
    (opened) => opened.close(),
  );
  const listeners = new Set<() => void>();
  const services = stack.use(
    followServiceRanges(client, () => listeners.forEach((listener) => listener()), log),
  );
  if (cluster.assignRanges === 'auto') {
    stack.use(
      assignRanges({
        store,
        leadership: new Leadership({ client, ...LEASE, identity: `${name}_${randomUUID()}` }),
        podNetwork: () => configuration().podNetwork,
        prefixLengths: () => ({ 4: configuration().nodePrefixLength, 6: configuration().nodePrefixLength6 }),
        serviceNetwork: () => [...configuration().cluster.serviceNetwork, ...services.ranges],
        log,
      }),
    );
  }
  const reporter = stack.use(
    reportNode({
      client,
      node: () => store.node(name),
      taint: () => configuration().cluster.startupTaint,
      log,
    }),
  );
  const policies = stack.adopt(openPolicySource(client, store), (opened) => opened.close());
  const denials = stack.use(
    reportDenials({
      client,
      node: name,
      pods: () => (policies.now.known ? policies.now.state.pods : []),
      isWanted: () => configuration().policy.events,
      log,
    }),
  );
  const open = stack.move();
  return {
    get state() {
      return store.state;
    },
    awaitRange: AWAIT_RANGE[cluster.assignRanges],
    get serviceNetwork() {
      return services.ranges;
    },
    watch: (onChange) => {
      const watching = store.watch(onChange);
      listeners.add(onChange);
      return {
        [Symbol.dispose]: () => {
          listeners.delete(onChange);
          watching[Symbol.dispose]();
        },
      };
    },
    claimRanges: (node, ranges) => store.claimRanges(node, ranges),
    policies,
    denials,
    openServices: () => openServiceSource(client, store, name),
    ...(cni.daemonSet === '' ? {} : { removal: watchRemoval(client, cni.daemonSet, log) }),
    report: (report) => reporter.report(report),
    leave: () => reporter.leave(),
    reportAgent: (report) =>
      reportAgent({
        client,
        namespace: cluster.reportNamespace || podNamespace() || 'kube-system',
        node: name,
        uid: () => store.node(name)?.uid,
        nodes: () => store.state.nodes.length,
        report,
        log,
      }),
    close: () => open.dispose(),
  };
}
