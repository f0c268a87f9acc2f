/** The node's part in the pod network: what the cluster says and what the kernel holds, brought together again and again. */

import type { Configuration } from '../../base/config/configuration.ts';
import { describeError } from '../../base/errors/errors.ts';
import type { StateFile } from '../../base/files/state-file.ts';
import { cidrFamily } from '../../base/ip/cidr.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import { type Clock, MACHINE_CLOCK } from '../../base/run/clock.ts';
import { Runner } from '../../base/run/runner.ts';
import { inTurns } from '../../base/run/sliced.ts';
import { createRangeAcceptance } from '../../cluster/ranges/acceptance.ts';
import { judgeRanges, type RangeRefusal } from '../../cluster/ranges/refusals.ts';
import { createSharedAddresses } from '../../cluster/shared-addresses.ts';
import type { ClusterStore } from '../../cluster/store.ts';
import { Firewall } from '../../datapath/nftables/firewall.ts';
import { type Inherited, NOTHING_INHERITED } from '../../datapath/nftables/inherited.ts';
import { createTunnelSets } from '../../datapath/nftables/tunnel-guard.ts';
import type { FlowFilter } from '../../edge/conntrack/flush.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Kernel, KernelEvent } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import type { ElementChange } from '../../edge/nftables/elements.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';
import { udpFlowsOf } from '../../plan/hostport/plan.ts';
import { serviceAddresses } from '../../plan/hostport/services.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { DOOMED_GROUP, describeAttachment } from '../../plan/pod/attachment.ts';
import { Resync, type ResyncInput, type ResyncResult } from '../kernel/resync.ts';
import { LinkSettler } from '../settings/link-settler.ts';
import { ensureSettings } from '../settings/node-settings.ts';
import { readSurroundings } from '../settings/surroundings.ts';
import { openSettingsRecord, type SettingsRecord, writeSysctls } from '../settings/sysctl.ts';
import { uplinkNames } from '../settings/uplinks.ts';
import {
  type AttachmentTable,
  describeUnknown,
  type LiveAttachment,
  noteUnread,
  readLinks,
} from './attachments.ts';
import type { LinkRemoval } from './link-removal.ts';
import { strandedPods, unreachedPeers } from './node-problems.ts';
import { type NodeRecord, openNodeRecord } from './node-record.ts';
import type { NodeView, Readiness } from './node-view.ts';
import { ownRecord, prefixLengthsOf } from './own-record.ts';
import { refusalsOf } from './peer-refusals.ts';
import { type WantedFirewall, wantFirewall } from './wanted-firewall.ts';

export type NodeNetworkOptions = {
  name: string;
  configuration: () => Configuration;
  store: ClusterStore;
  kernel: Kernel;
  nftables: Nftables;
  table: AttachmentTable;
  removal: LinkRemoval;
  nextIndex: () => number;
  /** @param folder where settings are written. */
  openSysctls: (folder: string) => Sysctls;
  /** Addresses of pods whose connections must be tracked. */
  trackedIps: () => readonly Ip[];
  forgetFlows: (flows: readonly FlowFilter[]) => Promise<void>;
  log: Logger;
  clock?: Clock;
  /** The last good view of an earlier run. */
  lastView: NodeView | undefined;
  /** What the earlier run's firewall knew of the cluster: it counts until the cluster itself is known. */
  inherited: Inherited;
};

export type Reached = Partial<ResyncResult> & {
  problems: readonly string[];
  refusals: readonly RangeRefusal[];
  resync?: { at: string; milliseconds: number; operations: number; reasons: readonly string[] };
};

/** Reasons of a resync that reads everything: nobody said what may have changed, or something was not reached. */
const READS_ALL: ReadonlySet<string> = new Set(['start', 'period', 'retry', 'configuration']);

export class NodeNetwork {
  readonly #options: NodeNetworkOptions;
  readonly #resync: Resync;
  readonly #settler: LinkSettler;
  readonly #acceptRanges = createRangeAcceptance();
  readonly #sharedAddresses = createSharedAddresses();
  readonly #firewall: Firewall;
  #view: NodeView | undefined;
  #inherited: Inherited;
  readonly #startedAt = new Date();
  /** Whether there was a plan for the peers, ever. */
  #isPlanned = false;
  readonly #tunnelSets = createTunnelSets();
  #isKnown = false;
  #refusal: string | undefined;
  #reached: Reached = { problems: [], refusals: [] };
  #firewallProblems: readonly string[] = [];
  /** What of others stands in the way. */
  #surroundings: readonly string[] = [];
  #told: ReadonlySet<string> = new Set();
  readonly #firewallRunner: Runner;
  readonly #record: StateFile<NodeRecord>;
  readonly #settings: SettingsRecord;
  /** What the firewall is to be, for the latest resync's view of the cluster. */
  #wantedFirewall: () => WantedFirewall;

  constructor(options: NodeNetworkOptions) {
    this.#options = options;
    this.#resync = new Resync(options.kernel, options.nextIndex);
    this.#settler = new LinkSettler(options.kernel);
    this.#view = options.lastView;
    const { stateDirectory } = options.configuration().paths;
    this.#record = openNodeRecord(stateDirectory, options.log, options.clock);
    this.#settings = openSettingsRecord(stateDirectory, options.log, options.clock);
    this.#inherited = options.inherited;
    this.#firewall = new Firewall(options.nftables, options.log, options.clock);
    this.#wantedFirewall = () => ({
      known: false,
      since: this.#startedAt,
      why: 'the agent has just started',
    });
    this.#firewallRunner = new Runner({
      clock: options.clock ?? MACHINE_CLOCK,
      task: async () => {
        this.#firewallProblems = await this.#ensureFirewall();
        this.#tell();
        if (this.#firewallProblems.length > 0) throw new Error(this.#firewallProblems.join('; '));
      },
      onError: (error, retryAfterMs) =>
        options.log.error('the firewall is not as it shall be', {
          reason: describeError(error),
          retryAfterMs,
        }),
    });
  }

  get readiness(): Readiness {
    const { now } = this.#options.table;
    if (!now.known) return { ready: false, reason: describeUnknown(now) };
    if (this.#refusal !== undefined) return { ready: false, reason: this.#refusal };
    if (this.#view !== undefined) return { ready: true, view: this.#view };
    return { ready: false, reason: this.#reached.problem ?? 'the agent has just started' };
  }

  get reached(): Reached {
    const unsaved = [this.#record.problem, this.#settings.problem].filter((problem) => problem !== undefined);
    return { ...this.#reached, problems: [...this.#reached.problems, ...this.#firewallProblems, ...unsaved] };
  }

  /** Somebody else changed something of the kernel's. @returns whether it may be ours, so that a resync is due. */
  notice(event: KernelEvent): boolean {
    const { now } = this.#options.table;
    return this.#resync.notice(event, now.known ? now.live : new Map());
  }

  /** Changes when somebody begins or ceases to translate addresses without telling. */
  get legacyNat(): boolean {
    return this.#firewall.legacyNat;
  }

  /** Somebody may have changed our nftables table. */
  distrustFirewall(): void {
    this.#firewall.distrust();
  }

  /** Others changed tables of their own: whether they translate addresses is to be looked for anew. */
  othersChanged(): void {
    this.#firewall.othersChanged();
  }

  /** Changes elements of the firewall; brings all of it where it has no place for them yet. */
  async changeFirewall(changes: readonly ElementChange[]): Promise<void> {
    if (await this.#firewall.change(changes)) return;
    const wanted = this.#wantedFirewall();
    if (!wanted.known) throw new Error(`the firewall stays as it is: ${wanted.why}`);
    await this.refreshFirewall();
  }

  /** Brings the firewall to what it shall be now, without waiting for a resync. */
  async refreshFirewall(): Promise<void> {
    await this.#firewallRunner.runNow('refresh');
  }

  firewallHolds(elements: readonly ElementChange[]): boolean {
    return this.#firewall.holds(elements);
  }

  /** One resync. Rejects when something could not be reached, after all else was. */
  async resync(reasons: readonly string[]): Promise<void> {
    const { kernel, table, log, store, name } = this.#options;
    const started = performance.now();
    const configuration = this.#options.configuration();
    this.#ensureAttachments();
    const sysctls = this.#options.openSysctls(configuration.paths.sysctlDirectory);
    const families = configuration.podNetwork.map(cidrFamily);
    const settings = ensureSettings(
      configuration,
      () => uplinkNames(kernel, this.#nodeIps(configuration)),
      sysctls,
      log,
    );
    const { podNetwork } = configuration;
    const serviceNetwork = [...configuration.cluster.serviceNetwork, ...(store.serviceNetwork ?? [])];
    const accepted = await inTurns(this.#acceptRanges(store.state.nodes, { podNetwork, serviceNetwork }));
    const claim = await ownRecord({ name, store, accepted, configuration, serviceNetwork, log });
    const { self } = claim;
    if (reasons.some((reason) => READS_ALL.has(reason))) this.#resync.doubtAll();
    const { result, problems: unread } = await this.#bringKernel({
      self,
      peers: accepted.nodes.filter((node) => node.name !== name),
      attachments: (links) => {
        if (links !== undefined) this.#readAttachments(links);
        return this.#attached();
      },
      isDoomed: (index) => table.now.known && table.now.doomed.has(index),
      settings: configuration,
    });
    const settled = this.#settler.settle({
      links: result.isFresh ? result.links : undefined,
      attachments: this.#attached(),
      families,
      write: (wanted) => writeSysctls(wanted, sysctls),
    });
    for (const setting of settled.mended) log.info('a link was not set as it must be', { setting });
    if (result.isFresh) {
      const { links, underlays } = result;
      this.#surroundings = readSurroundings(kernel, { links, podNetwork, nodes: accepted.nodes, underlays });
    }
    const refusals = judgeRanges({
      name,
      nodes: store.state.nodes,
      accepted,
      podNetwork,
      serviceNetwork,
      prefixLengths: prefixLengthsOf(configuration),
      assigns: store.awaitRange === undefined || configuration.cluster.assignRanges === 'auto',
      foreign: result.foreign,
      linkNames: new Map(result.links.map((link) => [link.index, link.name])),
    });
    this.#settings.remember([...settings.changed, ...result.loosened]);
    this.#isPlanned ||= result.overlay !== undefined;
    if (result.overlay !== undefined) this.#inherited = NOTHING_INHERITED;
    // Its table takes longer than all else, and a node that joins or leaves is one address more or less in it.
    const firewallLater = this.#view !== undefined && reasons.every((reason) => reason === 'cluster');
    this.#decideReadiness(refusals, self, result, configuration);
    this.#isKnown = self !== undefined;
    // Without a plan the tunnel stays as it is.
    const tunnels = result.overlay?.own.links ?? result.links.filter(isTunnel);
    // Who the nodes are is not known without a plan: what the earlier run knew counts on.
    const tunnel = this.#isPlanned ? this.#tunnelSets(accepted.nodes, name) : this.#inherited.tunnel;
    const services = serviceAddresses({ ...result, serviceNetwork, nodeIps: self?.internalIps ?? [] });
    // A kernel that was never read may have one.
    if (unread.length === 0 || result.links.length > 0)
      this.#wantedFirewall = () =>
        wantFirewall({
          accepted,
          configuration,
          attachments: table.now,
          view: this.#view,
          startedAt: this.#startedAt,
          tracked: this.#options.trackedIps(),
          inherited: this.#inherited,
          services,
          ...(tunnels.length > 0 ? { tunnel } : {}),
        });
    if (firewallLater) this.#firewallRunner.trigger('cluster');
    else this.#firewallProblems = await this.#ensureFirewall();
    const { own, peers: refusedPeers } = refusalsOf(result.reached, result.overlay?.peers ?? []);
    const failed = own.map(({ error }) => error.message);
    const problems = new Set([
      ...unread,
      ...store.state.problems,
      ...refusals.map(({ reason }) => reason),
      ...(result.problem === undefined ? [] : [result.problem]),
      ...settled.problems,
      ...this.#surroundings,
      ...this.#sharedAddresses(accepted.nodes),
      ...unreachedPeers(result.overlay?.peers ?? []),
      ...refusedPeers,
      ...failed,
      ...settings.problems,
      ...claim.problems,
      ...strandedPods(this.#attached(), this.#view?.ranges),
    ]);
    const milliseconds = Math.round((performance.now() - started) * 100) / 100;
    const operations = result.reached.applied;
    const fields = { reasons, operations, milliseconds };
    if (operations > 0) log.info('the kernel was brought to what it should hold', fields);
    else log.debug('the kernel holds what it should', fields);
    this.#reached = {
      ...result,
      problems: [...problems],
      refusals,
      resync: { at: new Date().toISOString(), ...fields },
    };
    this.#tell();
    // What only a person can mend is looked at again with the next resync, not at once.
    const unreached = [
      ...unread,
      ...failed,
      // A peer's entry is tried again as soon as one of the node's own is.
      ...refusedPeers,
      ...claim.problems,
      ...(firewallLater ? [] : this.#firewallProblems),
    ];
    if (unreached.length > 0) throw new Error(unreached.join('; '));
  }

  /**
   * What is attached is read before all else, and whatever else fails: an address that a pod has must not be given
   * to another, and what its policies and ports are hangs on it.
   */
  #ensureAttachments(): void {
    const { table, kernel } = this.#options;
    if (table.now.known) return;
    try {
      this.#readAttachments(kernel.links());
    } catch (error) {
      noteUnread(table, describeError(error));
      throw error;
    }
  }

  /** Where the kernel cannot be read, what the last resync reached counts: what does not hang on it goes on. */
  async #bringKernel(input: ResyncInput): Promise<{ result: ResyncResult; problems: string[] }> {
    try {
      return { result: await this.#resync.run(input), problems: [] };
    } catch (error) {
      const problem = `the kernel could not be read or changed: ${describeError(error)}; it is tried again`;
      const {
        underlays = [],
        links = [],
        addresses = [],
        foreign = [],
        overlay,
        resync,
        problem: former,
      } = this.#reached;
      const unplanned = resync === undefined ? problem : former;
      const result: ResyncResult = {
        underlays,
        links,
        addresses,
        foreign,
        loosened: [],
        isFresh: false,
        reached: { applied: 0, failures: [] },
        ...(overlay === undefined ? {} : { overlay }),
        ...(unplanned === undefined ? {} : { problem: unplanned }),
      };
      return { result, problems: [problem] };
    }
  }

  /** Brings the firewall to what it shall be; one that is not known yet leaves that of the agent before in force. */
  async #ensureFirewall(): Promise<readonly string[]> {
    const wanted = this.#wantedFirewall();
    if (!wanted.known) return [];
    return this.#firewall.ensure(() => {
      const latest = this.#wantedFirewall();
      return latest.known ? latest.input : wanted.input;
    });
  }

  #attached(): LiveAttachment[] {
    const { now } = this.#options.table;
    return now.known ? [...now.live.values()] : [];
  }

  /** Ends what runs by itself. */
  stop(): Promise<void> {
    this.#record[Symbol.dispose]();
    this.#settings[Symbol.dispose]();
    return this.#firewallRunner.stop();
  }

  /** As its record or the configuration says, and before the cluster is known as the last view does. */
  #nodeIps({ node }: Configuration): readonly Ip[] {
    const { store, name } = this.#options;
    const recorded = store.state.nodes.find((record) => record.name === name)?.internalIps ?? [];
    const known = recorded.length > 0 ? recorded : (this.#view?.nodeIps ?? []);
    return node.addresses.length > 0 ? node.addresses : known;
  }

  /** Tells log and cluster how the node is, as far as that is news. */
  #tell(): void {
    const { log, store } = this.#options;
    const { problems, problem: unplanned, resync } = this.reached;
    const [now, before] = [new Set(problems), this.#told];
    for (const problem of now) {
      if (before.has(problem)) continue;
      // Whoever starts has not read the cluster yet, which is no fault.
      if (problem === unplanned && resync?.reasons.includes('start') === true) log.info(problem);
      else log.warn(problem);
    }
    for (const problem of before) if (!now.has(problem)) log.info('no longer a problem', { problem });
    this.#told = now;
    if (this.#isKnown) store.report?.({ ...this.#pathState(), problems });
  }

  /** Whether pods of this node are reached: more than that new ones may start, for which the last good view is enough. */
  #pathState(): { ready: boolean; message: string } {
    const { readiness } = this;
    if (!readiness.ready) return { ready: false, message: readiness.reason };
    const { underlays = [], links = [], problem, reached, overlay } = this.#reached;
    const dead = underlays.find(
      ({ linkIndex }) => links.find(({ index }) => index === linkIndex)?.running !== true,
    );
    // What was refused of a peer's path is a fault of that path: pods of this node are reached from all others.
    const [ownFailure] = reached === undefined ? [] : refusalsOf(reached, overlay?.peers ?? []).own;
    const fault =
      problem ??
      (dead === undefined
        ? (ownFailure?.error.message ?? this.#firewallProblems[0])
        : `${dead.linkName}, which holds the node's address ${dead.address}, has no carrier; look at the cable, the switch and the link's state`);
    return fault === undefined
      ? { ready: true, message: `pods of ${readiness.view.ranges.join(', ')} are reached` }
      : { ready: false, message: fault };
  }

  #readAttachments(links: readonly Link[]): void {
    const { kernel, table, removal, log } = this.#options;
    const { vanished, garbage } = readLinks(table, links);
    for (const attachment of vanished) {
      log.info('a pod is gone with its namespace', {
        what: describeAttachment(attachment),
        ips: attachment.ips,
      });
    }
    const flows = vanished.flatMap(udpFlowsOf);
    this.#options
      .forgetFlows(flows)
      .catch((error: unknown) => log.warn('connections stay', { reason: describeError(error) }));
    for (const index of garbage) {
      log.info('removes an interface that belongs to no pod', { index });
      kernel.apply([{ op: 'link.change', change: { index, group: DOOMED_GROUP, alias: '' } }]);
      if (table.now.known) table.now.doomed.set(index, []);
      removal.add(index);
    }
  }

  #decideReadiness(
    refusals: readonly RangeRefusal[],
    self: ClusterNode | undefined,
    { overlay, problem, underlays }: ResyncResult,
    { mtu }: Configuration,
  ): void {
    const own = refusals.filter(({ node }) => node === this.#options.name);
    const conflict = own.find(({ cause }) => cause === 'route');
    if (self !== undefined && self.podCidrs.length === 0) {
      this.#refusal = own[0]?.reason ?? this.#options.store.awaitRange ?? 'this node has no range yet';
    } else if (conflict !== undefined) {
      this.#refusal = conflict.reason;
    } else if (problem === undefined) {
      this.#refusal = undefined;
    }
    if (self === undefined || overlay === undefined || self.podCidrs.length === 0) return;
    const view: NodeView = {
      ranges: self.podCidrs,
      nodeIps: underlays.map(({ address }) => address),
      mtu: mtu === 'auto' ? overlay.mtu : mtu,
    };
    if (JSON.stringify(view) !== JSON.stringify(this.#view)) {
      this.#options.log.info('this node can take pods', { ...view });
    }
    this.#view = view;
    this.#record.keep({ node: { name: self.name, uid: self.uid }, ...view });
  }
}

function isTunnel({ name }: Link): boolean {
  return name === VXLAN_LINKS[4] || name === VXLAN_LINKS[6];
}
