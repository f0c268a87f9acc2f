/** Edges in memory, for tests of a whole agent: a machine of fake namespaces, a fake nftables, a cluster of values. */

import type { Configuration } from '../base/config/configuration.ts';
import { FairleadError } from '../base/errors/errors.ts';
import {
  createFakeNamespace,
  type FakeNamespace,
  openFakeKernel,
  watchFakeKernel,
} from '../edge/netlink/fake/fake.ts';
import { createFakeSysctls } from '../edge/netlink/fake/fake-sysctls.ts';
import type { Kernel } from '../edge/netlink/kernel.ts';
import { createFakeNftables, type FakeNftables } from '../edge/nftables/fake.ts';
import type { ClusterNode } from '../plan/node/cluster-node.ts';
import type { ConfigurationSource, Edges, Namespace } from './edges.ts';

export type FakeEdges = {
  /** Opened anew for each agent: what one agent changes is foreign to the next. */
  open(): Edges;
  /** The node's namespace, as others see and change it. */
  readonly foreign: Kernel;
  readonly nftables: FakeNftables;
  /** What the cluster says of nodes. */
  setNodes(nodes: readonly ClusterNode[]): void;
  /** A pod's namespace, at a path of its own. */
  addPod(path: string): FakeNamespace;
  configuration: ConfigurationSource;
};

export function createFakeEdges(configuration: () => Configuration): FakeEdges {
  const host = createFakeNamespace();
  const sysctls = createFakeSysctls(host);
  const pods = new Map<string, FakeNamespace>();
  const nftables = createFakeNftables();
  const nodeWatchers = new Set<() => void>();
  let nodes: readonly ClusterNode[] = [];
  const nameOf = ({ fd }: FakeNamespace): Namespace => ({
    fd,
    identity: String(fd),
    [Symbol.dispose]: () => undefined,
  });
  return {
    open: () => {
      const kernel = openFakeKernel(host);
      return {
        namespace: nameOf(host),
        kernel,
        pods: {
          openNamespace: (path) => {
            const pod = pods.get(path);
            if (pod !== undefined) return nameOf(pod);
            throw new FairleadError('FL_NAMESPACE', `network namespace ${path} does not exist`);
          },
          openKernel: ({ fd }) => openFakeKernel(host.machine.get(fd)!),
        },
        watchKernel: (onEvent) => ({
          problem: undefined,
          ...watchFakeKernel({ namespace: host, own: kernel.portIds, onEvent }),
        }),
        nftables,
        openSysctls: () => sysctls,
        conntrack: {
          forget: async () => undefined,
          walk: async function* () {},
          cut: async () => undefined,
          [Symbol.dispose]: () => undefined,
        },
        openCluster: () => ({
          get state() {
            return { nodes, problems: [] };
          },
          watch: (onChange) => watch(nodeWatchers, onChange),
          claimRanges: async () => true,
          close: () => undefined,
        }),
        startProber: () => ({
          aim: () => undefined,
          reaches: [],
          silent: [],
          problems: [],
          metrics: () => [],
          [Symbol.dispose]: () => undefined,
        }),
        [Symbol.dispose]: () => kernel.close(),
      };
    },
    foreign: openFakeKernel(host),
    nftables,
    setNodes: (latest) => {
      nodes = latest;
      for (const watcher of nodeWatchers) watcher();
    },
    addPod: (path) => {
      const pod = createFakeNamespace(host.machine);
      pods.set(path, pod);
      return pod;
    },
    configuration: { read: configuration, follow: () => ({ [Symbol.dispose]: () => undefined }) },
  };
}

function watch<T>(watchers: Set<T>, watcher: T): Disposable {
  watchers.add(watcher);
  return { [Symbol.dispose]: () => void watchers.delete(watcher) };
}
