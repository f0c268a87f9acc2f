/** The node's part in the pod network: what the cluster says and what the kernel holds, brought together again and again. */

import type { Configuration } from '../../base/config/configuration.ts';
import { describeError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Clock } from '../../base/run/clock.ts';
import type { Part, Reached } from '../../base/run/part.ts';
import { Runner } from '../../base/run/runner.ts';
import { judgeRanges, type RangeRefusal } from '../../cluster/ranges/refusals.ts';
import type { ClusterStore } from '../../cluster/store.ts';
import type { Datapath } from '../../datapath/datapath.ts';
import type { FlowFilter } from '../../edge/conntrack/flush.ts';
import type { Kernel, KernelEvent } from '../../edge/netlink/kernel.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';
import type { States } from '../derive.ts';
import { createNetwork, hasTunnel, type Network } from '../kernel/network.ts';
import type { ResyncResult } from '../kernel/resync.ts';
import { createLinks, type LinksState } from '../settings/links.ts';
import { createNodeSettings, type NodeSettings } from '../settings/node-settings.ts';
import { readSurroundings } from '../settings/surroundings.ts';
import type { World } from '../world.ts';
import { type AttachmentReader, createAttachmentReader } from './attachment-reader.ts';
import type { AttachmentTable } from './attachments.ts';
import { type ClusterReading, createClusterReader } from './cluster-reader.ts';
import type { LinkRemoval } from './link-removal.ts';
import { createNodeNews, type NodeNews } from './node-news.ts';
import { strandedPods } from './node-problems.ts';
import type { Readiness } from './node-view.ts';
import { prefixLengthsOf } from './own-record.ts';
import { keepReadiness, type ReadinessKeeper } from './readiness.ts';

export type NodeNetworkOptions = {
  name: string;
  configuration: () => Configuration;
  store: ClusterStore;
  kernel: Kernel;
  datapath: Datapath;
  table: AttachmentTable;
  removal: LinkRemoval;
  nextIndex: () => number;
  /** @param folder where settings are written. */
  openSysctls: (folder: string) => Sysctls;
  forgetFlows: (flows: readonly FlowFilter[]) => Promise<void>;
  log: Logger;
  clock: Clock;
  /** What is known; a resync keeps it up to date. */
  world: World;
  /** Of every part, derived from what is known at that moment. */
  states: () => States;
};

export type NodeReached = Partial<ResyncResult> & {
  /** What is wrong, one sentence each. */
  problems: readonly string[];
  refusals: readonly RangeRefusal[];
  resync?: { at: string; milliseconds: number; operations: number; reasons: readonly string[] };
};

/** Reasons of a resync that reads everything: what may have changed is not known, or something was not reached. */
const READS_ALL: ReadonlySet<string> = new Set(['start', 'period', 'retry', 'configuration']);

export class NodeNetwork {
  readonly #options: NodeNetworkOptions;
  readonly #reader: AttachmentReader;
  readonly #readCluster: () => Promise<ClusterReading>;
  readonly #settings: NodeSettings;
  readonly #network: Network;
  readonly #links: Part<LinksState>;
  readonly #readiness: ReadinessKeeper;
  readonly #news: NodeNews;
  /** Sets the firewall where a resync does not wait for it. */
  readonly #later: Runner;
  #reached: NodeReached = { problems: [], refusals: [] };
  #firewallProblems: readonly string[] = [];
  /** What of others stands in the way. */
  #surroundings: readonly string[] = [];

  constructor(options: NodeNetworkOptions) {
    const { log, world, clock } = options;
    this.#options = options;
    this.#reader = createAttachmentReader(options);
    this.#readCluster = createClusterReader(options);
    this.#settings = createNodeSettings(options);
    this.#network = createNetwork({ ...options, reader: this.#reader });
    this.#links = createLinks({ ...options, dumped: () => this.#network.dumped });
    this.#readiness = keepReadiness(options);
    this.#news = createNodeNews(options, () => world.view.self !== undefined);
    this.#later = new Runner({
      clock,
      task: async () => {
        const { retried } = await this.#setFirewall();
        this.#tell();
        if (retried.length > 0) throw new Error(retried.join('; '));
      },
      onError: (error, retryAfterMs) =>
        log.error('the firewall is not as it shall be', { reason: describeError(error), retryAfterMs }),
    });
  }

  get readiness(): Readiness {
    return this.#readiness.now;
  }

  get reached(): NodeReached {
    const unsaved = [this.#readiness.problem, this.#settings.problem].filter(
      (problem) => problem !== undefined,
    );
    return { ...this.#reached, problems: [...this.#reached.problems, ...this.#firewallProblems, ...unsaved] };
  }

  /** Another changed something of the kernel's. @returns whether it may be ours, so that a resync is due. */
  notice(event: KernelEvent): boolean {
    return this.#network.notice(event);
  }

  /** One resync: each part in its order. Rejects when something could not be reached, after all else was. */
  async resync(reasons: readonly string[]): Promise<void> {
    const { log, store, world, states, clock } = this.#options;
    const started = clock.now();
    this.#reader.ensureRead();
    const cluster = await this.#readCluster();
    world.view = { ...world.view, ...cluster.view };
    if (reasons.some((reason) => READS_ALL.has(reason))) this.#network.invalidate();
    const settings = await this.#settings.set(() => states().settings);
    const network = await this.#network.set(() => states().network);
    const { result } = this.#network;
    this.#observe(result);
    this.#settings.remember(result.loosened ?? []);
    const links = await this.#links.set(() => states().links);
    this.#lookAround(result);
    const refusals = this.#judgeRanges(cluster, result);
    // Its table takes longer than all else, and a node that joins or leaves is one address more or less in it.
    const isLater = world.node.view.known && reasons.every((reason) => reason === 'cluster');
    const { awaitRange } = store;
    this.#readiness.decide({ refusals, self: cluster.view.self, awaitRange, reached: result });
    if (isLater) this.#later.trigger('cluster');
    const firewall = isLater ? undefined : await this.#setFirewall();
    const { view } = world.node;
    const problems = new Set([
      ...cluster.problems,
      ...refusals.map(({ reason }) => reason),
      ...network.problems,
      ...links.problems,
      ...this.#surroundings,
      ...settings.problems,
      ...cluster.unclaimed,
      ...strandedPods(this.#reader.attached, view.known ? view.view.ranges : undefined),
    ]);
    const milliseconds = Math.round((clock.now() - started) * 100) / 100;
    const operations = result.reached?.applied ?? 0;
    const fields = { reasons, operations, milliseconds };
    if (operations > 0) log.info('the kernel was brought to what it should hold', fields);
    else log.debug('the kernel holds what it should', fields);
    this.#reached = {
      ...result,
      problems: [...problems],
      refusals,
      resync: { at: clock.date().toISOString(), ...fields },
    };
    this.#tell();
    const unreached = [...network.retried, ...cluster.unclaimed, ...(firewall?.retried ?? [])];
    if (unreached.length > 0) throw new Error(unreached.join('; '));
  }

  /** Ends what runs by itself. */
  stop(): Promise<void> {
    this.#readiness[Symbol.dispose]();
    this.#settings[Symbol.dispose]();
    return this.#later.stop();
  }

  async #setFirewall(): Promise<Reached> {
    const { datapath, states } = this.#options;
    const reached = await datapath.set(() => states().datapath, ['node']);
    this.#firewallProblems = reached.problems;
    return reached;
  }

  /** What the kernel said, where it said anything: one that was never read stays unknown. */
  #observe(result: Partial<ResyncResult>): void {
    const { world } = this.#options;
    const { links = [], addresses = [], overlay } = result;
    const former = world.node.kernel;
    if (links.length === 0) return;
    const isPlanned = overlay !== undefined || (former.known && former.isPlanned);
    world.node = {
      ...world.node,
      kernel: { known: true, links, addresses, hasTunnel: hasTunnel(result), isPlanned },
    };
  }

  #lookAround({ isFresh, links = [], underlays = [] }: Partial<ResyncResult>): void {
    if (isFresh !== true) return;
    const { kernel, configuration, world } = this.#options;
    const { podNetwork } = configuration();
    this.#surroundings = readSurroundings(kernel, { links, podNetwork, nodes: world.view.nodes, underlays });
  }

  #judgeRanges({ accepted, view }: ClusterReading, result: Partial<ResyncResult>): RangeRefusal[] {
    const { name, store, configuration } = this.#options;
    const { podNetwork, cluster } = configuration();
    return judgeRanges({
      name,
      nodes: store.state.nodes,
      accepted,
      podNetwork,
      serviceNetwork: view.serviceNetwork,
      prefixLengths: prefixLengthsOf(configuration()),
      assigns: store.awaitRange === undefined || cluster.assignRanges === 'auto',
      foreign: result.foreign ?? [],
      linkNames: new Map((result.links ?? []).map((link) => [link.index, link.name])),
    });
  }

  #tell(): void {
    this.#news.tell(this.reached, this.readiness, this.#firewallProblems);
  }
}
