/** The outside of an agent: what it acts on and hears from. The command line opens the real one, tests have fakes. */
import type { Configuration } from '../base/config/configuration.ts';
import { followConfigurationFile, readConfigurationFile } from '../base/config/file.ts';
import type { Logger } from '../base/log/logger.ts';
import { type Clock, MACHINE_CLOCK } from '../base/run/clock.ts';
import { type Conntrack, openConntrack } from '../edge/conntrack/conntrack.ts';
import type { KeptWatch } from '../edge/netlink/kept-watch.ts';
import type { Kernel, KernelEvent } from '../edge/netlink/kernel.ts';
import { watchKernel } from '../edge/netlink/monitor.ts';
import { NetworkNamespace } from '../edge/netlink/namespace.ts';
import { openKernel } from '../edge/netlink/rtnetlink.ts';
import { type Nftables, openNftables } from '../edge/nftables/nft.ts';
import { openSysctls, type Sysctls } from '../edge/sysctl/sysctls.ts';
import { type CniHandler, listenForPlugins } from './attach/cni-server.ts';
import { type ClusterSource, openCluster } from './cluster-source.ts';
import { type OpenDropLog, openDropLog } from './drops/drop-log.ts';
import { type Prober, type ProberOptions, startProber } from './probes/prober.ts';
import { listenForQuestions, type Questions } from './serve/api-server.ts';

/** What an agent needs to know of a network namespace: a descriptor of it, and whether it is another's. */
export type Namespace = { readonly fd: number; readonly identity: string; [Symbol.dispose](): void };

/** A namespace by the path that a runtime gives, and the kernel in it. */
export type PodEdges = {
  /** @throws FairleadError for a path that is none. */
  openNamespace(path: string): Namespace;
  openKernel(namespace: Namespace): Kernel;
};

/** What closes at once: what was under way is answered, or not, as it comes. */
export type Listening = { close(): unknown };

export type Edges = {
  clock: Clock;
  /** Where lines of the log go. */
  writeLog: (line: string) => void;
  /** The node's own. */
  namespace: Namespace;
  kernel: Kernel;
  pods: PodEdges;
  /** Calls back for what others change in the node's namespace. */
  watchKernel(onEvent: (event: KernelEvent) => void, onProblem?: (problem: string) => void): KeptWatch;
  nftables: Nftables;
  /** @param folder where settings are written. */
  openSysctls: (folder: string) => Sysctls;
  conntrack: Conntrack;
  openCluster(configuration: () => Configuration, name: string, log: Logger): ClusterSource;
  startProber(options: ProberOptions): Prober;
  /** @throws FairleadError FL_DROPS where the kernel does not report to us. */
  openDropLog: OpenDropLog;
  /** @throws FairleadError where another agent answers at this path; so does {@link listenForQuestions}. */
  listenForPlugins(path: string, handler: CniHandler, log: Logger): Promise<Listening>;
  listenForQuestions(path: string, questions: Questions): Promise<Listening>;
  [Symbol.dispose](): void;
};

export type ConfigurationSource = {
  /** @throws FairleadError where it is refused. */
  read(): Configuration;
  /** Calls back with each later content that is valid, and with why one is refused. */
  follow(onChange: (configuration: Configuration) => void, onRefused: (error: unknown) => void): Disposable;
};

/** Those of this process' own namespace. */
export function openEdges(): Edges {
  using stack = new DisposableStack();
  const namespace = stack.use(NetworkNamespace.own());
  const kernel = stack.use(openKernel());
  const nftables = stack.use(openNftables());
  const conntrack = stack.use(openConntrack());
  const open = stack.move();
  return {
    clock: MACHINE_CLOCK,
    writeLog: (line) => void process.stderr.write(line),
    namespace,
    kernel,
    pods: {
      openNamespace: (path) => NetworkNamespace.open(path),
      openKernel: (pod) => openKernel(pod),
    },
    watchKernel: (onEvent, onProblem) => watchKernel({ own: kernel.portIds, onEvent, onProblem }),
    nftables,
    openSysctls,
    conntrack,
    openCluster,
    startProber,
    openDropLog,
    listenForPlugins,
    listenForQuestions,
    [Symbol.dispose]: () => open.dispose(),
  };
}

export function configurationFile(path: string): ConfigurationSource {
  return {
    read: () => readConfigurationFile(path),
    follow: (onChange, onRefused) => followConfigurationFile(path, onChange, onRefused),
  };
}
