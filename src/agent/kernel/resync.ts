/** Resyncs: read the kernel where it is in doubt, plan, diff, apply. The same at start, on a timer and on any event. */

import type { Backend } from '../../base/config/backend.ts';
import type { Cidr } from '../../base/ip/cidr.ts';
import type { Ip, IpFamily } from '../../base/ip/ip.ts';
import { runSliced } from '../../base/run/sliced.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Kernel, KernelEvent, Operation } from '../../edge/netlink/kernel.ts';
import {
  type Address,
  type FdbEntry,
  type Link,
  MAIN_TABLE,
  type Neighbor,
  type Route,
} from '../../edge/netlink/objects.ts';
import { applyOperations, applySliced, type Reached } from '../../edge/netlink/state/apply.ts';
import { diffSliced } from '../../edge/netlink/state/diff.ts';
import { fdbKey, neighborKey } from '../../edge/netlink/state/identity.ts';
import { differingParts } from '../../edge/netlink/state/parts.ts';
import {
  EMPTY_STATE,
  type Entries,
  mergeEntries,
  mergeStates,
  type NetworkState,
} from '../../edge/netlink/state/state.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { foreignRoutes } from '../../plan/overlay/foreign-routes.ts';
import { createOverlayPlanner, type OverlayPlan } from '../../plan/overlay/plan.ts';
import { planReversePath } from '../../plan/overlay/reverse-path.ts';
import { findUnderlay, type Underlay } from '../../plan/overlay/underlay.ts';
import { SHAPER_GROUP } from '../../plan/pod/attachment.ts';
import type { LiveAttachment } from '../node/attachments.ts';
import type { Changed } from '../settings/sysctl.ts';
import { ALL_DOUBT, bothDoubts, type Doubt, doubtAfter, NO_DOUBT } from './invalidation.ts';
import {
  entryOf,
  onLinks,
  overlayLinks,
  planPods,
  sameTunnels,
  withoutLinks,
  withoutShaping,
} from './node-state.ts';
import { ownEntries, readEntries, readEntriesOf, readOwnLinks } from './owned.ts';
import { planShapers } from './shapers.ts';

export type ResyncInput = {
  /** This node with its accepted ranges; undefined while the cluster does not know it. */
  self: ClusterNode | undefined;
  peers: readonly ClusterNode[];
  /**
   * What is attached, asked once per resync. Given links it is to be read from them: they were dumped at this moment.
   */
  attachments: (links: readonly Link[] | undefined) => readonly LiveAttachment[];
  /** Links that wait for their deletion, and count no more. */
  isDeleting: (linkIndex: number) => boolean;
  settings: { podNetwork: readonly Cidr[]; backend: Backend; vxlan: { port: number; vni: number } };
};

export type ResyncResult = {
  /** At most one per family. */
  underlays: readonly Underlay[];
  overlay?: OverlayPlan;
  reached: Reached;
  /** All of the namespace. */
  links: readonly Link[];
  /** Whether those were read just now. */
  isFresh: boolean;
  addresses: readonly Address[];
  /** Routes of others into the pod network. */
  foreign: readonly Route[];
  /** Reverse path filters that were loosened. */
  loosened: readonly Changed[];
  /** Why the overlay could not be planned; the pods of the node itself are kept right all the same. */
  problem?: string;
};

/** What is not in doubt, as it was read or written last. */
type Known = {
  links: readonly Link[];
  addresses: readonly Address[];
  /** Of ours, without entries. */
  own: Omit<NetworkState<Link>, keyof Entries>;
  /** Of ours, but for those of pods, whose attachments keep them right themselves. */
  entries: readonly Entries[];
  /** By which the node's own packets reach pods. */
  nodeIps: readonly Ip[];
  /** Routes of others into the pod network. */
  foreign: readonly Route[];
};

/** What one resync starts from. */
type Look = Omit<Known, 'entries'> & {
  underlays: readonly Underlay[];
  /** What pods shall have, as far as it is in question. */
  pods: NetworkState;
  podLinks: ReadonlySet<number>;
  /** Of `own` what is compared: limits of pods only where they were read just now. */
  shown: Known['own'];
  /** Whether links and addresses were read just now. */
  isFresh: boolean;
  /** Of the kernel's, as read just now: all, or those of pods in doubt. */
  entries: Entries;
  /** What the last resync reached, where that holds. */
  reached: readonly Entries[] | undefined;
};

const FAMILIES = [4, 6] as const;
/** More pods than these are looked at together with everything else. */
const MOST_POD_LINKS = 16;

export class Resync {
  readonly #kernel: Kernel;
  readonly #freeIndex: () => number;
  readonly #plan = createOverlayPlanner();
  #doubt: Doubt = ALL_DOUBT;
  #known: Known | undefined;
  #podNetwork: readonly Cidr[] = [];
  #loopback = 1;
  /** Indexes of tunnels that are not there. */
  #reserved: Partial<Record<IpFamily, number>> = {};
  /** Neighbors and forwarding entries as they were read or written last: the kernel tells of our own changes too. */
  readonly #written = new Map<string, Neighbor | FdbEntry>();
  /** Tunnels, what they go over, and loopback. */
  #overlayLinks: { all: ReadonlySet<number>; tunnels: ReadonlySet<number> } | undefined;

  constructor(kernel: Kernel, freeIndex: () => number) {
    this.#kernel = kernel;
    this.#freeIndex = freeIndex;
  }

  /** The next resync reads everything. */
  doubtAll(): void {
    this.#doubt = ALL_DOUBT;
  }

  /** Something was changed by others. @returns whether a resync is due. */
  notice(event: KernelEvent, live: ReadonlyMap<string, LiveAttachment>): boolean {
    const doubt = doubtAfter(event, {
      overlay: this.#overlayLinks?.all,
      tunnels: this.#overlayLinks?.tunnels ?? new Set(),
      isPod: (index) => live.values().some(({ linkIndex }) => linkIndex === index),
      isShaper: (index) =>
        live.values().some(({ bandwidth }) => bandwidth?.egress !== undefined) &&
        this.#kernel.link(index)?.group === SHAPER_GROUP,
      isForeign: (route) => foreignRoutes([route], this.#podNetwork, this.#loopback).length > 0,
      carriesForeign: (index) => this.#known?.foreign.some(({ linkIndex }) => linkIndex === index) ?? false,
      known: (entry) => this.#written.get(keyOf(entry)),
    });
    if (doubt !== undefined) this.#doubt = bothDoubts(this.#doubt, doubt);
    return doubt !== undefined;
  }

  async run(input: ResyncInput): Promise<ResyncResult> {
    // Before anything is read: what changes from now on is doubted anew.
    const doubt = this.#doubt.podLinks.size > MOST_POD_LINKS ? ALL_DOUBT : this.#doubt;
    this.#doubt = NO_DOUBT;
    try {
      return await this.#run(input, this.#known === undefined ? ALL_DOUBT : doubt);
    } catch (error) {
      this.#doubt = ALL_DOUBT;
      throw error;
    }
  }

  async #run(input: ResyncInput, doubt: Doubt): Promise<ResyncResult> {
    const dumped = doubt.entries ? await readEntries(this.#kernel) : undefined;
    // Nothing else has a turn between this look and the dump's end: what is attached meanwhile would be taken away.
    const look = this.#look(input, doubt, dumped);
    const { self } = input;
    if (self === undefined || look.underlays.length === 0) return this.#keepPods(self, look);
    return this.#bring({ ...input, self }, look);
  }

  /** @param dumped all entries, where all are in doubt. */
  #look(input: ResyncInput, doubt: Doubt, dumped: Entries | undefined): Look {
    const kernel = this.#kernel;
    const { self } = input;
    const before = dumped === undefined && !doubt.links ? this.#known : undefined;
    const links = before?.links ?? kernel.links();
    const attachments = input.attachments(before === undefined ? links : undefined);
    const counting = links.filter(({ index }) => !input.isDeleting(index));
    const addresses = before?.addresses ?? kernel.addresses();
    const own = before?.own ?? readOwnLinks(kernel, counting, addresses, input.settings.podNetwork);
    const underlays = FAMILIES.flatMap((family) =>
      self === undefined ? [] : (findUnderlay(self.internalIps, family, addresses, counting) ?? []),
    );
    this.#podNetwork = input.settings.podNetwork;
    this.#loopback = links.find(({ loopback }) => loopback)?.index ?? 1;
    const localIps = new Set(addresses.map(({ ip }) => ip));
    const nodeIps = (self?.internalIps ?? []).filter((ip) => localIps.has(ip));
    const hasMoved = String(this.#known?.nodeIps) !== String(nodeIps);
    const inDoubt = attachments.filter(({ linkIndex }) => doubt.podLinks.has(linkIndex));
    const entries = dumped ?? mergeEntries(inDoubt.map(({ linkIndex }) => readEntriesOf(kernel, linkIndex)));
    return {
      links,
      addresses,
      own,
      underlays,
      nodeIps,
      foreign:
        dumped === undefined
          ? (this.#known?.foreign ?? [])
          : foreignRoutes(
              dumped.routes.filter(({ table }) => table === MAIN_TABLE),
              this.#podNetwork,
              this.#loopback,
            ),
      pods: mergeStates(
        planPods(dumped !== undefined || hasMoved ? attachments : inDoubt, nodeIps),
        before === undefined ? planShapers(attachments, counting, this.#freeIndex) : EMPTY_STATE,
      ),
      podLinks: new Set(attachments.map(({ linkIndex }) => linkIndex)),
      shown: before === undefined ? own : withoutShaping(own),
      isFresh: before === undefined,
      entries: ownEntries(entries, counting),
      reached: dumped === undefined ? this.#known?.entries : undefined,
    };
  }

  /** Nothing is known for sure: what the overlay holds stays as it is, only the pods' own entries are mended. */
  async #keepPods(self: ClusterNode | undefined, look: Look): Promise<ResyncResult> {
    const { pods, shown, entries, podLinks, underlays } = look;
    const actual = onLinks({ ...EMPTY_STATE, ...shown, ...entries }, podLinks);
    const operations = await runSliced(diffSliced(pods, actual));
    const reached = await applySliced(this.#kernel, operations);
    const kept = look.reached ?? [withoutLinks(entries, podLinks)];
    this.#remember({ ...look, entries: kept }, operations, reached);
    const { links, addresses, isFresh, foreign } = look;
    return { underlays, reached, links, addresses, isFresh, foreign, loosened: [], problem: explain(self) };
  }

  async #bring(input: ResyncInput & { self: ClusterNode }, look: Look): Promise<ResyncResult> {
    const { links, own, underlays, pods, shown, reached: before } = look;
    const tunnelIndexes = { 4: this.#tunnelIndex(4, links), 6: this.#tunnelIndex(6, links) };
    const loopbackIndex = this.#loopback;
    const localIps = new Set([...look.addresses.map(({ ip }) => ip), ...input.self.internalIps]);
    const overlay = await runSliced(
      this.#plan({ ...input, ...input.settings, underlays, localIps, tunnelIndexes, loopbackIndex }),
    );
    this.#overlayLinks = overlayLinks(overlay, underlays, loopbackIndex);
    const parts = [overlay.own, ...overlay.peers.map(({ entries }) => entries)];
    const { routes, neighbors, fdb } = look.entries;
    const read = routes.length + neighbors.length + fdb.length === 0 ? [] : [look.entries];
    const all = { desired: parts, actual: [...(before ?? []), ...read] };
    // What was on a device that is made anew is gone, whatever was reached once.
    const isKept = before !== undefined && sameTunnels(overlay.own, own);
    const { desired, actual } = isKept ? differingParts(all) : all;
    const operations = await runSliced(
      diffSliced(mergeStates({ ...overlay.own, ...mergeEntries(desired) }, pods), {
        ...EMPTY_STATE,
        ...shown,
        ...mergeEntries(actual),
      }),
    );
    this.#note(before === undefined ? look.entries : undefined, operations);
    const reached = await applySliced(this.#kernel, operations);
    const loosenings =
      look.isFresh || operations.some(({ op }) => op.startsWith('link.'))
        ? planReversePath(
            [...underlays.map(({ linkIndex }) => linkIndex), tunnelIndexes[4]],
            this.#kernel.networkConfigurations(),
          )
        : [];
    const loosened = this.#loosen(loosenings);
    this.#remember({ ...look, entries: parts }, operations, reached);
    return {
      underlays,
      overlay,
      reached: {
        applied: reached.applied + loosened.applied,
        failures: [...reached.failures, ...loosened.failures],
      },
      links,
      isFresh: look.isFresh,
      addresses: look.addresses,
      foreign: look.foreign,
      // The tunnel's is gone with it.
      loosened: loosenings.flatMap(({ linkIndex, was, now }) => {
        const link = underlays.find((underlay) => underlay.linkIndex === linkIndex);
        const name = `net/ipv4/conf/${link?.linkName}/rp_filter`;
        return link === undefined ? [] : [{ name, value: String(now), was: String(was) }];
      }),
    };
  }

  #loosen(loosenings: ReturnType<typeof planReversePath>): Reached {
    return applyOperations(
      this.#kernel,
      loosenings.map(({ operation }) => operation),
    );
  }

  /** @param read all that there are, where they were read. */
  #note(read: Entries | undefined, operations: readonly Operation[]): void {
    const written = this.#written;
    if (read !== undefined) written.clear();
    for (const entry of read === undefined ? [] : [...read.neighbors, ...read.fdb])
      written.set(keyOf(entry), entry);
    for (const operation of operations) {
      if (operation.op === 'fdb.replace') written.set(keyOf(operation.entry), operation.entry);
      else if (operation.op === 'fdb.delete') written.delete(keyOf(operation.entry));
      else if (operation.op === 'neighbor.replace')
        written.set(keyOf(operation.neighbor), operation.neighbor);
      else if (operation.op === 'neighbor.delete') written.delete(keyOf(operation.neighbor));
    }
  }

  /** That of the device, or one that is kept for it. */
  #tunnelIndex(family: IpFamily, links: readonly Link[]): number {
    const index = links.find(({ name }) => name === VXLAN_LINKS[family])?.index;
    if (index === undefined) return (this.#reserved[family] ??= this.#freeIndex());
    delete this.#reserved[family];
    return index;
  }

  #remember(
    { links, addresses, own, entries: parts, nodeIps, foreign }: Known,
    operations: readonly Operation[],
    { failures }: Reached,
  ): void {
    const refused = new Set<object>(failures.flatMap(({ operation }) => entryOf(operation) ?? []));
    const isRefused = (entry: object) => refused.has(entry);
    const entries =
      refused.size === 0
        ? parts
        : parts.filter(({ routes, neighbors, fdb }) => ![...routes, ...neighbors, ...fdb].some(isRefused));
    this.#known = { links, addresses, own, entries, nodeIps, foreign };
    // What hangs on a link that was made or deleted is the kernel's to say; so are, until they are read, addresses and rules.
    if (failures.some(({ operation }) => operation.op === 'link.create')) this.#reserved = {};
    if (operations.some(({ op }) => op.startsWith('link.'))) this.#doubt = ALL_DOUBT;
    else if (operations.some((operation) => entryOf(operation) === undefined))
      this.#doubt = bothDoubts(this.#doubt, { ...NO_DOUBT, links: true });
  }
}

function explain(self: ClusterNode | undefined): string {
  if (self === undefined) {
    return 'the cluster has no accepted record of this node yet; other nodes are kept as they were programmed last';
  }
  return (
    `none of the node's addresses ${self.internalIps.join(', ') || '(none)'} is on an interface of this machine; ` +
    'correct the record of the node or configure node.addresses'
  );
}

function keyOf(entry: Neighbor | FdbEntry): string {
  return 'ip' in entry ? neighborKey(entry) : fdbKey(entry);
}
