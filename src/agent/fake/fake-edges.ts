/** Edges in memory, for tests of a whole agent: a machine of fake namespaces, a fake nftables, a cluster of values, a clock. */
import type { Configuration } from '../../base/config/configuration.ts';
import { FairleadError } from '../../base/errors/errors.ts';
import type { Clock } from '../../base/run/clock.ts';
import { createFakeClock, type FakeClock } from '../../base/run/fake-clock.ts';
import {
  createFakeNamespace,
  destroyFakeNamespace,
  type FakeNamespace,
  openFakeKernel,
  watchFakeKernel,
} from '../../edge/netlink/fake/fake.ts';
import { createFakeSysctls } from '../../edge/netlink/fake/fake-sysctls.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import type { PacketFlow } from '../../edge/nflog/packet.ts';
import { createFakeNftables, type FakeNftables } from '../../edge/nftables/fake.ts';
import { type Denial, describeDenial } from '../../plan/flow/denial.ts';
import type { CniHandler } from '../attach/cni-server.ts';
import type { DropContext, DropLog } from '../drops/drop-log.ts';
import type { ConfigurationSource, Edges, Namespace } from '../edges.ts';
import type { Questions } from '../serve/api-server.ts';
import { createFakeCluster, type FakeCluster } from './fake-cluster.ts';
import { mortalConntrack, mortalKernel, mortalNftables, mortalSysctls } from './fake-kernel.ts';
import { createLife, type Life, type Refuse } from './fake-life.ts';

/** An agent's own, and how it ends. */
export type OpenEdges = { edges: Edges; life: Life };

export type FakeEdges = {
  /** Opened anew for each agent: what one agent changes is foreign to the next. */
  open(): OpenEdges;
  readonly clock: FakeClock;
  /** The node's namespace, as others see and change it. */
  readonly foreign: Kernel;
  readonly nftables: FakeNftables;
  readonly cluster: FakeCluster;
  /** Which calls of an agent fail from now on; without it all pass. */
  refuse(refuse?: Refuse): void;
  /** A pod's namespace, at a path of its own. It is there until it is removed, and no agent has it open. */
  addPod(path: string): FakeNamespace;
  removePod(path: string): void;
  /** The namespace at a path. */
  pod(path: string): FakeNamespace | undefined;
  configuration: ConfigurationSource;
  /** Has the agent read its configuration anew. */
  changeConfiguration(): void;
  /** The kernel reports a packet that it denied. @param outcome the name of the chain that denied it. */
  deny(outcome: string, packet: PacketFlow): void;
  /** Who answers plugins, and questions: the agent that listened last, as long as it lives and listens. */
  readonly plugins: { handler: CniHandler; life: Life } | undefined;
  readonly questions: Questions | undefined;
  /** All that was logged. */
  readonly log: readonly string[];
};

export type FakeEdgesOptions = {
  hasPolicies?: boolean;
  /** What a transaction of a whole nftables table waits for. */
  pause?: () => Promise<void>;
};

export function createFakeEdges(
  configuration: () => Configuration,
  { hasPolicies = false, pause }: FakeEdgesOptions = {},
): FakeEdges {
  const clock = createFakeClock();
  const host = createFakeNamespace();
  const sysctls = createFakeSysctls(host);
  const pods = new Map<string, FakeNamespace>();
  /** How often a namespace is open or has a path: the last one who lets go of it ends it. */
  const holders = new Map<FakeNamespace, number>();
  const nftables = createFakeNftables(pause);
  const cluster = createFakeCluster(hasPolicies);
  const log: string[] = [];
  const followers = new Set<() => void>();
  let refuse: Refuse = () => undefined;
  let plugins: FakeEdges['plugins'];
  let questions: Questions | undefined;
  let drops: FakeDropLog | undefined;
  const hold = (namespace: FakeNamespace, by: number) => {
    const count = (holders.get(namespace) ?? 0) + by;
    holders.set(namespace, count);
    if (count === 0 && namespace !== host) destroyFakeNamespace(namespace);
  };
  const nameOf = (namespace: FakeNamespace): Namespace => {
    hold(namespace, 1);
    let isOpen = true;
    return {
      fd: namespace.fd,
      identity: String(namespace.fd),
      [Symbol.dispose]: () => {
        if (isOpen) hold(namespace, -1);
        isOpen = false;
      },
    };
  };
  const edgesOf = (life: Life): Edges => {
    const kernel = openFakeKernel(host);
    /** A process that is gone holds no namespace. */
    const openNamespaces = new Set<Namespace>();
    void life.end.then(() => openNamespaces.forEach((one) => one[Symbol.dispose]()));
    return {
      clock: life.clock(clock),
      writeLog: (line) => void log.push(line),
      namespace: nameOf(host),
      kernel: mortalKernel(kernel, life),
      pods: {
        openNamespace: (path) => {
          life.pass('openNamespace');
          const pod = path === HOST_PATH ? host : pods.get(path);
          if (pod === undefined)
            throw new FairleadError('FL_NAMESPACE', `network namespace ${path} does not exist`);
          const namespace = nameOf(pod);
          openNamespaces.add(namespace);
          return namespace;
        },
        openKernel: ({ fd }) => mortalKernel(openFakeKernel(host.machine.get(fd)!), life, 'pod'),
      },
      watchKernel: (onEvent) => ({
        problem: undefined,
        ...watchFakeKernel({ namespace: host, own: kernel.portIds, onEvent: life.tell(onEvent) }),
      }),
      nftables: mortalNftables(nftables, life),
      openSysctls: () => mortalSysctls(sysctls, life),
      conntrack: mortalConntrack(life),
      openCluster: () => cluster.open(life),
      startProber: () => ({
        aim: () => undefined,
        reaches: [],
        silent: [],
        problems: [],
        metrics: () => [],
        [Symbol.dispose]: () => undefined,
      }),
      openDropLog: (context) => {
        life.pass('openDropLog');
        drops = createFakeDropLog(context, clock);
        return drops;
      },
      listenForPlugins: async (_, handler) => {
        life.pass('listenForPlugins');
        const listening = { handler, life };
        plugins = listening;
        return {
          close: () => {
            if (plugins === listening) plugins = undefined;
          },
        };
      },
      listenForQuestions: async (_, answers) => {
        life.pass('listenForQuestions');
        questions = answers;
        return {
          close: () => {
            if (questions === answers) questions = undefined;
          },
        };
      },
      [Symbol.dispose]: () => kernel.close(),
    };
  };
  return {
    open: () => {
      const life = createLife((what) => refuse(what));
      void life.end.then(() => {
        if (plugins?.life === life) [plugins, questions] = [undefined, undefined];
      });
      return { life, edges: edgesOf(life) };
    },
    clock,
    foreign: openFakeKernel(host),
    nftables,
    cluster,
    refuse: (latest = () => undefined) => {
      refuse = latest;
    },
    addPod: (path) => {
      const pod = createFakeNamespace(host.machine);
      pods.set(path, pod);
      hold(pod, 1);
      return pod;
    },
    removePod: (path) => {
      const pod = pods.get(path);
      pods.delete(path);
      if (pod !== undefined) hold(pod, -1);
    },
    pod: (path) => pods.get(path),
    configuration: {
      read: configuration,
      follow: (onChange, onRefused) => {
        const follower = () => {
          try {
            onChange(configuration());
          } catch (error) {
            onRefused(error);
          }
        };
        followers.add(follower);
        return { [Symbol.dispose]: () => void followers.delete(follower) };
      },
    },
    deny: (outcome, packet) => drops?.deny(outcome, packet),
    changeConfiguration: () => followers.forEach((follower) => follower()),
    get plugins() {
      return plugins?.life.isOver === true ? undefined : plugins;
    },
    get questions() {
      return questions;
    },
    log,
  };
}

/** A path by which the node's own namespace is asked for. */
export const HOST_PATH = '/run/netns/host';

type FakeDropLog = DropLog & { deny(outcome: string, packet: PacketFlow): void };

function createFakeDropLog(context: DropContext, clock: Clock): FakeDropLog {
  const latest: Denial[] = [];
  const followers = new Set<(denial: Denial) => void>();
  return {
    latest,
    get reported() {
      return latest.length;
    },
    follow: (onDenial) => {
      followers.add(onDenial);
      return { [Symbol.dispose]: () => void followers.delete(onDenial) };
    },
    deny: (name, packet) => {
      const outcome = context.outcome(name);
      if (outcome === undefined) return;
      const denial = describeDenial(packet, outcome, context.compiled(), context.pods(), clock.date());
      latest.push(denial);
      for (const follower of followers) follower(denial);
    },
    [Symbol.dispose]: () => followers.clear(),
  };
}
