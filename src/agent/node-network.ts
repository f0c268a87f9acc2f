/** The node's part in the pod network: what the cluster says and what the kernel holds, brought together again and again. */
import { claimFreeRanges } from '../cluster/claim.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { judgeRanges, type RangeRefusal } from '../cluster/range-refusals.ts';
import { type Accepted, acceptRanges } from '../cluster/ranges.ts';
import type { ClusterStore } from '../cluster/store.ts';
import type { Configuration } from '../config/configuration.ts';
import type { FlowFilter } from '../conntrack/flush.ts';
import { describeError } from '../errors/errors.ts';
import { udpFlowsOf } from '../hostport/plan.ts';
import { type Cidr, cidrContains, cidrFamily } from '../ip/cidr.ts';
import type { Ip } from '../ip/ip.ts';
import type { Logger } from '../log/logger.ts';
import type { Kernel } from '../netlink/kernel.ts';
import { type Link, MAIN_TABLE, type Route } from '../netlink/objects.ts';
import type { ElementChange } from '../nftables/elements.ts';
import type { Nftables } from '../nftables/nft.ts';
import { foreignRoutes } from '../overlay/foreign.ts';
import { VXLAN_LINKS } from '../overlay/identity.ts';
import { type Inherited, NOTHING_INHERITED } from '../overlay/inherited.ts';
import { DOOMED_GROUP, describeAttachment, SHAPER_GROUP } from '../pod/attachment.ts';
import { type AttachmentTable, type LiveAttachment, readLinks } from './attachments.ts';
import { Firewall, type FirewallInput } from './firewall.ts';
import type { LinkRemoval } from './link-removal.ts';
import { saveNodeView } from './node-record.ts';
import type { NodeView, Readiness } from './node-view.ts';
import { type ResyncResult, resync } from './resync.ts';
import { ensureSysctls, nodeSysctls, rememberSettings } from './sysctl.ts';

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

export class NodeNetwork {
  readonly #options: NodeNetworkOptions;
  readonly #firewall: Firewall;
  #view: NodeView | undefined;
  #inherited: Inherited;
  #foreign: readonly Route[] | undefined;
  #refusal: string | undefined;
  #tunnelIndexes: readonly number[] = [];
  #reached: Reached = { problems: [], refusals: [] };
  /** What the firewall is to be, for the latest resync's view of the cluster. */
  #firewallInput: () => FirewallInput | undefined = () => undefined;

  constructor(options: NodeNetworkOptions) {
    this.#options = options;
    this.#view = options.lastView;
    this.#inherited = options.inherited;
    this.#firewall = new Firewall(options.nftables, options.log);
  }

  get readiness(): Readiness {
    if (this.#refusal !== undefined) return { ready: false, reason: this.#refusal };
    if (this.#view !== undefined) return { ready: true, view: this.#view };
    return { ready: false, reason: this.#reached.problem ?? 'the agent has just started' };
  }

  get reached(): Reached {
    return this.#reached;
  }

  /** Whether an interface is the tunnel's or a pod's: everything on it is ours to keep right. */
  owns(linkIndex: number): boolean {
    const { table, kernel } = this.#options;
    const pods = [...table.live.values()];
    if (this.#tunnelIndexes.includes(linkIndex) || pods.some((pod) => pod.linkIndex === linkIndex))
      return true;
    const shapes = pods.some(({ bandwidth }) => bandwidth?.egress !== undefined);
    return shapes && kernel.link(linkIndex)?.group === SHAPER_GROUP;
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
    const problems = await this.#firewall.ensure(this.#firewallInput());
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  firewallHolds(elements: readonly ElementChange[]): boolean {
    return this.#firewall.holds(elements);
  }

  /** One resync. Rejects when something could not be reached, after all else was. */
  async resync(reasons: readonly string[]): Promise<void> {
    const { kernel, table, log, store, name } = this.#options;
    const started = performance.now();
    const configuration = this.#options.configuration();
    const links = kernel.links();
    this.#readAttachments(links);
    const changed = ensureSysctls(
      nodeSysctls(configuration.podNetwork.map(cidrFamily)),
      configuration.paths.sysctlDirectory,
    );
    for (const { name: sysctl, value, was } of changed)
      log.warn('a setting of the node was not as it must be', { sysctl, was, now: value });
    const serviceNetwork = [...configuration.cluster.serviceNetwork, ...(store.serviceNetwork ?? [])];
    const accepted = acceptRanges(store.state.nodes, configuration.podNetwork, serviceNetwork);
    const self = await this.#ownRecord(accepted, configuration, serviceNetwork);
    const refusals = judgeRanges({
      name,
      nodes: store.state.nodes,
      accepted,
      podNetwork: configuration.podNetwork,
      serviceNetwork,
      prefixLengths: prefixLengthsOf(configuration),
      assigns: store.awaitRange === undefined || configuration.cluster.assignRanges === 'auto',
      foreign: this.#foreignRoutes(links, configuration, reasons),
      linkNames: new Map(links.map((link) => [link.index, link.name])),
    });
    const result = resync({
      kernel,
      // Those that wait for their deletion count no more.
      links: links.filter(({ index }) => !table.doomed.has(index)),
      self,
      peers: accepted.nodes.filter((node) => node.name !== name),
      attachments: [...table.live.values()],
      settings: configuration,
      freeIndex: this.#options.nextIndex,
    });
    rememberSettings(configuration.paths.stateDirectory, [...changed, ...result.loosened]);
    // Without a plan the tunnel stays as it is.
    this.#tunnelIndexes = (
      result.overlay?.state.links ??
      links.filter((link) => link.name === VXLAN_LINKS[4] || link.name === VXLAN_LINKS[6])
    ).flatMap(({ index }) => index ?? []);
    if (result.overlay !== undefined) this.#inherited = NOTHING_INHERITED;
    this.#decideReadiness(refusals, self, result, configuration);
    this.#firewallInput = () => this.#planFirewall(accepted, configuration);
    const firewall = await this.#firewall.ensure(this.#firewallInput());
    const problems = [
      ...store.state.problems,
      ...refusals.map(({ reason }) => reason),
      ...(result.problem === undefined ? [] : [result.problem]),
      ...(result.overlay?.peers ?? []).flatMap(({ paths }) =>
        paths.flatMap(({ path }) => (path.mode === 'none' ? [path.reason] : [])),
      ),
      ...result.reached.failures.map(({ error }) => error.message),
      ...firewall,
      ...strandedPods(table.live.values(), this.#view?.ranges),
    ];
    if (self !== undefined) store.report?.({ ...this.#pathState(result, links, firewall), problems });
    this.#report(problems, { ...result, problems, refusals }, started, reasons);
    if (result.reached.failures.length > 0 || firewall.length > 0) throw new Error(problems.join('; '));
  }

  /** Whether pods of this node are reached: more than that new ones may start, for which the last good view is enough. */
  #pathState(
    { underlays, problem, reached }: ResyncResult,
    links: readonly Link[],
    firewall: readonly string[],
  ): { ready: boolean; message: string } {
    const { readiness } = this;
    if (!readiness.ready) return { ready: false, message: readiness.reason };
    const dead = underlays.find(
      ({ linkIndex }) => links.find(({ index }) => index === linkIndex)?.running !== true,
    );
    const fault =
      problem ??
      (dead === undefined
        ? (reached.failures[0]?.error.message ?? firewall[0])
        : `${dead.linkName}, which holds the node's address ${dead.address}, has no carrier; look at the cable, the switch and the link's state`);
    return fault === undefined
      ? { ready: true, message: `pods of ${readiness.view.ranges.join(', ')} are reached` }
      : { ready: false, message: fault };
  }

  #readAttachments(links: Parameters<typeof readLinks>[1]): void {
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

  /** Routes of others into the pod network; what happens in the cluster alone changes none of them. */
  #foreignRoutes(
    links: readonly Link[],
    { podNetwork }: Configuration,
    reasons: readonly string[],
  ): readonly Route[] {
    const untouched = reasons.every((reason) => reason === 'cluster' || reason === 'ports');
    if (this.#foreign !== undefined && untouched) return this.#foreign;
    const loopback = links.find((link) => link.loopback)?.index ?? 1;
    this.#foreign = foreignRoutes(this.#options.kernel.routes({ table: MAIN_TABLE }), podNetwork, loopback);
    return this.#foreign;
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
    const tunnelled = this.#tunnelIndexes.length > 0;
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
      ...(tunnelled ? { tunnelPort: configuration.vxlan.port } : {}),
    };
  }

  #report(problems: readonly string[], reached: Reached, started: number, reasons: readonly string[]): void {
    const { log } = this.#options;
    const milliseconds = Math.round((performance.now() - started) * 100) / 100;
    const operations = reached.reached?.applied ?? 0;
    const fresh = problems.filter((problem) => !this.#reached.problems.includes(problem));
    for (const problem of fresh) log.warn(problem);
    const mended = this.#reached.problems.filter((problem) => !problems.includes(problem));
    for (const problem of mended) log.info('no longer a problem', { problem });
    const fields = { reasons, operations, milliseconds };
    if (operations > 0) log.info('the kernel was brought to what it should hold', fields);
    else log.debug('the kernel holds what it should', fields);
    this.#reached = {
      ...reached,
      resync: { at: new Date().toISOString(), milliseconds, operations, reasons },
    };
  }
}

function prefixLengthsOf({ nodePrefixLength, nodePrefixLength6 }: Configuration) {
  return { 4: nodePrefixLength, 6: nodePrefixLength6 } as const;
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
