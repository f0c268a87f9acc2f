/** The datapath by nftables: one table for the node, one for policies, each brought from what it is to what it shall be. */

import { describeError } from '../../base/errors/errors.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import { type Clock, MACHINE_CLOCK } from '../../base/run/clock.ts';
import { type Reached, retried } from '../../base/run/part.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import { hostPortElements, type PodPorts } from '../../plan/hostport/plan.ts';
import type { Aspect, Datapath, DatapathState, StaleCause } from '../datapath.ts';
import { Firewall } from './firewall.ts';
import { type ForeignFirewalls, lookAtFirewalls } from './foreign-firewalls.ts';
import { readInherited } from './inherited.ts';
import { createNodeInput, type NodeInput } from './node-input.ts';
import { TABLE } from './node-table.ts';
import { openPolicies, type Policies } from './policies.ts';
import { POLICY_TABLE } from './policy/render.ts';
import { readSpoofDrops } from './spoofed.ts';
import { watchTables } from './table-watch.ts';

/** The order in which they are set: nothing is dropped before answers are known as such. Services come between the two. */
const ASPECTS: readonly Aspect[] = ['node', 'policies'];

/** Reads what the agent before has left, which counts until more is known. */
export async function openNftablesDatapath(
  nftables: Nftables,
  log: Logger,
  clock: Clock = MACHINE_CLOCK,
): Promise<Datapath> {
  const inherited = readInherited(await nftables.read(TABLE));
  return new NftablesDatapath({ nftables, log, clock }, createNodeInput(inherited), inherited.tracked);
}

type Means = { nftables: Nftables; log: Logger; clock: Clock };

class NftablesDatapath implements Datapath {
  readonly #nftables: Nftables;
  readonly #clock: Clock;
  readonly #firewall: Firewall;
  readonly #policies: Policies;
  readonly #foreign: ForeignFirewalls;
  readonly #nodeInput: NodeInput;
  #latest: () => DatapathState = () => NOTHING_KNOWN;
  /** Whose connections the node's table is to have tracked: of the policies in force, and of those that come. */
  #tracked: readonly Ip[];
  /** Whose it has tracked, as it was reached last. */
  #confirmed: readonly Ip[];

  constructor({ nftables, log, clock }: Means, nodeInput: NodeInput, tracked: readonly Ip[]) {
    this.#nftables = nftables;
    this.#clock = clock;
    this.#firewall = new Firewall(nftables, log, clock);
    this.#policies = openPolicies(nftables, log, clock);
    this.#foreign = lookAtFirewalls(nftables);
    this.#nodeInput = nodeInput;
    this.#tracked = tracked;
    this.#confirmed = tracked;
  }

  async set(latest: () => DatapathState, aspects: readonly Aspect[] = ASPECTS): Promise<Reached> {
    this.#latest = latest;
    const problems: string[] = [];
    if (aspects.includes('node')) problems.push(...(await this.#setNode()));
    if (aspects.includes('policies')) problems.push(...(await this.#setPolicies()));
    return retried(problems);
  }

  invalidate(aspects: readonly Aspect[] = ASPECTS): void {
    if (aspects.includes('node')) this.#firewall.distrust();
    if (aspects.includes('policies')) this.#policies.invalidate();
  }

  isTrusted(aspect: Aspect): boolean {
    return aspect === 'policies' ? this.#policies.isTrusted : this.#firewall.isTrusted;
  }

  async changePorts(change: 'add' | 'delete', pod: PodPorts): Promise<void> {
    if (await this.#firewall.change(hostPortElements(change, pod))) return;
    const { node } = this.#latest();
    if (!node.known) throw new Error(`the firewall stays as it is: ${node.why}`);
    const problems = await this.#setNode();
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  hasPorts(pod: PodPorts): boolean {
    return this.#firewall.holds(hostPortElements('add', pod));
  }

  watch(onStale: (causes: readonly StaleCause[]) => void, onProblem: (problem: string) => void) {
    return watchTables(this.#nftables, {
      clock: this.#clock,
      onTables: (tables) => {
        this.#foreign.invalidate();
        const isChanged = ({ name }: { name: string }) => tables === undefined || tables.has(name);
        const stale: Aspect[] = [
          ...(isChanged(TABLE) ? (['node'] as const) : []),
          ...(isChanged(POLICY_TABLE) ? (['policies'] as const) : []),
        ];
        this.invalidate(stale);
        if (!isChanged(TABLE)) this.#firewall.othersChanged();
        onStale([...stale, ...(isChanged(TABLE) ? [] : (['others'] as const))]);
      },
      legacyNat: () => this.#firewall.legacyNat,
      onLegacyNat: () => onStale(['node']),
      onProblem,
    });
  }

  counts() {
    return this.#policies.counts();
  }

  outcome(name: string) {
    return this.#policies.outcome(name);
  }

  spoofDrops(now: () => Date) {
    return readSpoofDrops(this.#nftables, now);
  }

  foreignProblems() {
    return this.#foreign.problems();
  }

  async cleanup(): Promise<void> {
    for (const table of [POLICY_TABLE, TABLE]) await this.#nftables.remove(table);
    this.invalidate();
  }

  /** One that is not known yet leaves that of the agent before in force. */
  async #setNode(): Promise<readonly string[]> {
    const first = this.#latest().node;
    if (!first.known) return [];
    let tracked = this.#tracked;
    const problems = await this.#firewall.ensure(() => {
      const { node } = this.#latest();
      const { firewall } = node.known ? node : first;
      tracked = this.#tracked;
      return firewall === undefined ? undefined : this.#nodeInput(firewall, tracked);
    });
    if (problems.length === 0) this.#confirmed = tracked;
    return problems;
  }

  /** Answers must be known as such before anything is dropped; and until nothing is, when a policy goes. */
  async #setPolicies(): Promise<readonly string[]> {
    const { policies, tracking } = this.#latest();
    if (!policies.known) return [];
    if (hasMore(tracking, this.#confirmed)) {
      this.#tracked = [...new Set([...this.#tracked, ...tracking])];
      const problems = await this.#setNode();
      if (problems.length > 0) return problems;
    }
    try {
      await this.#policies.ensure(policies.effective);
    } catch (error) {
      return [describeError(error)];
    }
    this.#tracked = tracking;
    return hasMore(this.#confirmed, tracking) ? this.#setNode() : [];
  }
}

const JUST_STARTED = { known: false, since: '', why: 'the agent has just started' } as const;
const NOTHING_KNOWN: DatapathState = { node: JUST_STARTED, policies: JUST_STARTED, tracking: [] };

function hasMore(ips: readonly Ip[], than: readonly Ip[]): boolean {
  const known = new Set(than);
  return ips.some((ip) => !known.has(ip));
}
