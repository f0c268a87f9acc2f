/** The node's part in the pod network: what the cluster says and what the kernel holds, brought together again and again. */

import type { Configuration } from '../../base/config/configuration.ts';
import { describeError } from '../../base/errors/errors.ts';
import { type Cidr, cidrContains, cidrFamily } from '../../base/ip/cidr.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import { Runner } from '../../base/run/runner.ts';
import { inTurns } from '../../base/run/sliced.ts';
import { type Accepted, createRangeAcceptance } from '../../cluster/ranges/acceptance.ts';
import { claimFreeRanges } from '../../cluster/ranges/claim.ts';
import { judgeRanges, type RangeRefusal } from '../../cluster/ranges/refusals.ts';
import type { ClusterStore } from '../../cluster/store.ts';
import { Firewall, type FirewallInput } from '../../datapath/nftables/firewall.ts';
import { type Inherited, NOTHING_INHERITED } from '../../datapath/nftables/inherited.ts';
import type { FlowFilter } from '../../edge/conntrack/flush.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Kernel, KernelEvent } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import type { ElementChange } from '../../edge/nftables/elements.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import { udpFlowsOf } from '../../plan/hostport/plan.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import type { PeerPaths } from '../../plan/overlay/plan.ts';
import { DOOMED_GROUP, describeAttachment } from '../../plan/pod/attachment.ts';
import { Resync, type ResyncResult } from '../kernel/resync.ts';
import { ensureSysctls, nodeSysctls, rememberSettings } from '../settings/sysctl.ts';
import { type AttachmentTable, type LiveAttachment, readLinks } from './attachments.ts';
import type { LinkRemoval } from './link-removal.ts';
import { saveNodeView } from './node-record.ts';
import type { NodeView, Readiness } from './node-view.ts';

export type NodeNetworkOptions = {
  name: string;
  configuration: () => Configuration;
  store: ClusterStore;
  kernel: Kernel;
  nftables: Nftables;
  table: AttachmentTable;
  removal: LinkRemoval;
  nextIndex: () => number;
  /** Addresses of pods whose connections must be tracked. */
  trackedIps: () => readonly Ip[];
  forgetFlows: (flows: readonly FlowFilter[]) => Promise<void>;
  log: Logger;
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
  readonly #acceptRanges = createRangeAcceptance();
  readonly #firewall: Firewall;
  #view: NodeView | undefined;
  #inherited: Inherited;
  #isTunnelled = false;
  #isKnown = false;
  #refusal: string | undefined;
  #reached: Reached = { problems: [], refusals: [] };
  #firewallProblems: readonly string[] = [];
  #told: ReadonlySet<string> = new Set();
  readonly #firewallRunner: Runner;
  /** What the firewall is to be, for the latest resync's view of the cluster. */
  #firewallInput: () => FirewallInput | undefined = () => undefined;

  constructor(options: NodeNetworkOptions) {
    this.#options = options;
    this.#resync = new Resync(options.kernel, options.nextIndex);
    this.#view = options.lastView;
    this.#inherited = options.inherited;
    this.#firewall = new Firewall(options.nftables, options.log);
    this.#firewallRunner = new Runner({
      task: async () => {
        this.#firewallProblems = await this.#firewall.ensure(this.#firewallInput());
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
    if (this.#refusal !== undefined) return { ready: false, reason: this.#refusal };
    if (this.#view !== undefined) return { ready: true, view: this.#view };
    return { ready: false, reason: this.#reached.problem ?? 'the agent has just started' };
  }

  get reached(): Reached {
    return { ...this.#reached, problems: [...this.#reached.problems, ...this.#firewallProblems] };
  }

  /** Somebody else changed something of the kernel's. @returns whether it may be ours, so that a resync is due. */
  notice(event: KernelEvent): boolean {
    return this.#resync.notice(event, this.#options.table.live);
  }

  /** Changes when somebody begins or ceases to translate addresses without telling. */
  get legacyNat(): boolean {
    return this.#firewall.legacyNat;
  }

  /** Somebody may have changed our nftables table. */
  distrustFirewall(): void {
    this.#firewall.distrust();
  }

  /** Changes elements of the firewall; brings all of it where it has no place for them yet. */
  async changeFirewall(changes: readonly ElementChange[]): Promise<void> {
    if (!(await this.#firewall.change(changes))) await this.refreshFirewall();
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
    const { table, log, store, name } = this.#options;
    const started = performance.now();
    const configuration = this.#options.configuration();
    const changed = ensureSysctls(
      nodeSysctls(configuration.podNetwork.map(cidrFamily)),
      configuration.paths.sysctlDirectory,
    );
    for (const { name: sysctl, value, was } of changed)
      log.warn('a setting of the node was not as it must be', { sysctl, was, now: value });
    const { podNetwork } = configuration;
    const serviceNetwork = [...configuration.cluster.serviceNetwork, ...(store.serviceNetwork ?? [])];
    const accepted = await inTurns(this.#acceptRanges(store.state.nodes, { podNetwork, serviceNetwork }));
    const self = await this.#ownRecord(accepted, configuration, serviceNetwork);
    if (reasons.some((reason) => READS_ALL.has(reason))) this.#resync.doubtAll();
    const result = await this.#resync.run({
      self,
      peers: accepted.nodes.filter((node) => node.name !== name),
      attachments: (links) => {
        if (links !== undefined) this.#readAttachments(links);
        return [...table.live.values()];
      },
      isDoomed: (index) => table.doomed.has(index),
      settings: configuration,
    });
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
    rememberSettings(configuration.paths.stateDirectory, [...changed, ...result.loosened]);
    // Without a plan the tunnel stays as it is.
    const tunnels = result.overlay?.own.links ?? result.links.filter(isTunnel);
    this.#isTunnelled = tunnels.length > 0;
    if (result.overlay !== undefined) this.#inherited = NOTHING_INHERITED;
    // Its table takes longer than all else, and a node that joins or leaves is one address more or less in it.
    const firewallLater = this.#view !== undefined && reasons.every((reason) => reason === 'cluster');
    this.#decideReadiness(refusals, self, result, configuration);
    this.#isKnown = self !== undefined;
    this.#firewallInput = () => this.#planFirewall(accepted, configuration);
    if (firewallLater) this.#firewallRunner.trigger('cluster');
    else this.#firewallProblems = await this.#firewall.ensure(this.#firewallInput());
    const failed = result.reached.failures.map(({ error }) => error.message);
    const problems = [
      ...store.state.problems,
      ...refusals.map(({ reason }) => reason),
      ...(result.problem === undefined ? [] : [result.problem]),
      ...unreachedPeers(result.overlay?.peers ?? []),
      ...failed,
      ...strandedPods(table.live.values(), this.#view?.ranges),
    ];
    const milliseconds = Math.round((performance.now() - started) * 100) / 100;
    const operations = result.reached.applied;
    const fields = { reasons, operations, milliseconds };
    if (operations > 0) log.info('the kernel was brought to what it should hold', fields);
    else log.debug('the kernel holds what it should', fields);
    this.#reached = { ...result, problems, refusals, resync: { at: new Date().toISOString(), ...fields } };
    this.#tell();
    const unreached = [...failed, ...(firewallLater ? [] : this.#firewallProblems)];
    if (unreached.length > 0) throw new Error(unreached.join('; '));
  }

  /** Ends what runs by itself. */
  stop(): Promise<void> {
    return this.#firewallRunner.stop();
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
    const { underlays = [], links = [], problem, reached } = this.#reached;
    const dead = underlays.find(
      ({ linkIndex }) => links.find(({ index }) => index === linkIndex)?.running !== true,
    );
    const fault =
      problem ??
      (dead === undefined
        ? (reached?.failures[0]?.error.message ?? this.#firewallProblems[0])
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
      table.doomed.set(index, []);
      removal.add(index);
    }
  }

  /** The node's own record, with a range that it claims for itself where the cluster gave it none. */
  async #ownRecord(
    accepted: Accepted,
    configuration: Configuration,
    serviceNetwork: readonly Cidr[],
  ): Promise<ClusterNode | undefined> {
    const { name, store, log } = this.#options;
    const record = store.state.nodes.find((node) => node.name === name);
    const self = accepted.nodes.find((node) => node.name === name);
    if (self === undefined || record === undefined) return undefined;
    const { addresses } = configuration.node;
    const addressed = addresses.length > 0 ? { ...self, internalIps: addresses } : self;
    if (record.podCidrs.length > 0 || store.awaitRange !== undefined) return addressed;
    const ranges = await claimFreeRanges(
      store,
      record,
      configuration.podNetwork,
      prefixLengthsOf(configuration),
      serviceNetwork,
    );
    if (ranges !== undefined) log.info('the cluster assigned no range; claimed one', { ranges });
    return ranges === undefined ? addressed : { ...addressed, podCidrs: ranges };
  }

  #decideReadiness(
    refusals: readonly RangeRefusal[],
    self: ClusterNode | undefined,
    { overlay, problem, underlays }: ResyncResult,
    { mtu, paths }: Configuration,
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
      saveNodeView(paths.stateDirectory, view);
    }
    this.#view = view;
  }

  #planFirewall(accepted: Accepted, configuration: Configuration): FirewallInput | undefined {
    const { podNetwork, masquerade, conntrack } = configuration;
    const ranges = this.#view?.ranges ?? [];
    const pods = [...this.#options.table.live.values()];
    const hasPorts = pods.some(({ portMappings }) => portMappings !== undefined);
    const tracked = this.#options.trackedIps();
    const translates = masquerade.enabled || hasPorts || tracked.length > 0;
    // IPv6 has no reverse path filter but that of the table.
    if (ranges.length === 0 || !(translates || ranges.some((range) => cidrFamily(range) === 6)))
      return undefined;
    return {
      ranges,
      podNetwork,
      nodes: accepted.nodes,
      exclude: [...masquerade.exclude, ...this.#inherited.inside],
      masquerade: masquerade.enabled,
      tracked,
      conntrack,
      ...(translates ? { hostPorts: { pods, nodeIps: this.#view?.nodeIps ?? [] } } : {}),
      ...(this.#isTunnelled ? { tunnelPort: configuration.vxlan.port } : {}),
    };
  }
}

function isTunnel({ name }: Link): boolean {
  return name === VXLAN_LINKS[4] || name === VXLAN_LINKS[6];
}

function prefixLengthsOf({ nodePrefixLength, nodePrefixLength6 }: Configuration) {
  return { 4: nodePrefixLength, 6: nodePrefixLength6 } as const;
}

/** Of thousands of peers most are reached: no list is made for each. */
function unreachedPeers(peers: readonly PeerPaths[]): string[] {
  const reasons: string[] = [];
  for (const { paths } of peers)
    for (const { path } of paths) if (path.mode === 'none') reasons.push(path.reason);
  return reasons;
}

/** Pods whose node has another range now: others do not find them any more. */
function strandedPods(attachments: Iterable<LiveAttachment>, ranges: readonly Cidr[] | undefined): string[] {
  if (ranges === undefined) return [];
  return [...attachments].flatMap((attachment) => {
    const lost = attachment.ips.filter((ip) => !ranges.some((range) => cidrContains(range, ip)));
    return lost.length === 0
      ? []
      : [
          `${describeAttachment(attachment)} has ${lost.join(', ')}, which is of none of the ranges ${ranges.join(', ')} of this node: ` +
            'other nodes do not find it; create it anew',
        ];
  });
}
