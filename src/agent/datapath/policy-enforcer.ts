/** Brings the cluster's policies into force for the pods of this node, before they start and ever after. */

import { describeError } from '../../base/errors/errors.ts';
import type { StateFile } from '../../base/files/state-file.ts';
import { type Known, notKnown } from '../../base/known.ts';
import type { Logger } from '../../base/log/logger.ts';
import { type Clock, MACHINE_CLOCK } from '../../base/run/clock.ts';
import { Mutex } from '../../base/run/mutex.ts';
import type { Reached } from '../../base/run/part.ts';
import { Runner } from '../../base/run/runner.ts';
import { runSliced } from '../../base/run/sliced.ts';
import type { PolicySource, PolicyState } from '../../cluster/policy-source.ts';
import type { Datapath, PolicyCount } from '../../datapath/datapath.ts';
import { CniError } from '../../edge/cni/errors.ts';
import type { PodName } from '../../edge/cni/pod-name.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import { hostLinkName } from '../../plan/pod/attachment.ts';
import { describeExcess } from '../../plan/policy/compile/bounds.ts';
import { describeClashes } from '../../plan/policy/compile/clash.ts';
import { type Compiled, compile, type PolicyInput } from '../../plan/policy/compile/compile.ts';
import { type Attached, type Here, openNodeCompiler } from '../../plan/policy/compile/node.ts';
import { type DropContext, type DropLog, type OpenDropLog, openDropLog } from '../drops/drop-log.ts';
import type { AttachmentTable } from '../node/attachments.ts';
import { changedAddresses, cutForbidden } from './connection-cutter.ts';
import {
  loadPolicyScope,
  mayBeSelected,
  openPolicyRecord,
  type PolicyScope,
  scopeOf,
} from './policy-record.ts';

export type PolicyEnforcerOptions = {
  source: PolicySource;
  datapath: Pick<Datapath, 'isTrusted' | 'outcome' | 'counts'>;
  table: AttachmentTable;
  /** Brings what is said about the pods of this node into force. */
  set: (effective: Compiled) => Promise<Reached>;
  conntrack: Conntrack;
  /** This node, with all addresses that it has now. */
  node: () => Here;
  log: Logger;
  /** Where it is kept which namespaces have policies. */
  stateDirectory: string;
  /** Called when what is in force is of a new state of the cluster. */
  onForce?: (state: PolicyState) => void;
  /** Milliseconds that an ADD waits for the first view of the cluster's policies. */
  patienceMs?: number;
  clock?: Clock;
  openDropLog?: OpenDropLog;
};

/** The state that is in force, for which interfaces, and since when (RFC 3339). */
export type InForce = Known<{ since: string; state: PolicyState; attached: readonly Attached[]; here: Here }>;

const PATIENCE_MS = 2000;

export class PolicyEnforcer {
  readonly #options: PolicyEnforcerOptions;
  readonly #clock: Clock;
  readonly #runner: Runner;
  readonly #compiler = openNodeCompiler();
  readonly #cutter: Runner;
  readonly #compiling = new Mutex();
  readonly #drops: DropLog | undefined;
  #blind: string | undefined;
  #excess: readonly string[] = [];
  #inForce: PolicyState | undefined;
  #scope: PolicyScope | undefined;
  readonly #record: StateFile<PolicyScope>;
  readonly #watching: { [Symbol.dispose](): void };
  #compiled: Compiled = compile(NOTHING);
  /** Compiled last, in force or about to be. */
  #latest: Compiled = this.#compiled;
  /** By which rulings connections were cut last. */
  #judged: Compiled = this.#compiled;
  /** Of which pods it is in force. */
  #attached = '';
  #force: InForce;
  /** How many connections were cut because a policy forbids them now. */
  #cut = 0;

  constructor(options: PolicyEnforcerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? MACHINE_CLOCK;
    const clock = this.#clock;
    this.#force = notKnown(clock.date(), 'the agent has just started');
    this.#scope = loadPolicyScope(options.stateDirectory);
    this.#record = openPolicyRecord(options.stateDirectory, options.log, clock);
    this.#runner = new Runner({
      clock,
      task: () => this.#enforce(),
      // Changes come gathered already.
      delayMs: 0,
      onError: (error, retryAfterMs) =>
        options.log.error('the policies are not in force', { reason: error, retryAfterMs }),
    });
    this.#cutter = new Runner({
      clock,
      task: () => this.#cutForbidden(),
      delayMs: 0,
      onError: (error, retryAfterMs) =>
        options.log.error('connections that a policy forbids now may go on', {
          reason: describeError(error),
          retryAfterMs,
        }),
    });
    this.#drops = this.#listen();
    this.#watching = options.source.watch(() => this.#runner.trigger('policy'));
    this.#runner.trigger('start');
  }

  get status() {
    const { now } = this.#options.source;
    return {
      isolated: this.#compiled.pods.length,
      policies: now.known ? now.state.policies.length : 0,
      synced: now.known,
      connectionsCut: this.#cut,
      /** What is in force; absent until anything is. */
      enforced: this.#inForce?.versions,
    };
  }

  get inForce(): InForce {
    return this.#force;
  }

  get problems(): readonly string[] {
    const own = [this.#blind, this.#record.problem].filter((problem) => problem !== undefined);
    return [
      ...this.#options.source.problems,
      ...this.#excess,
      ...describeClashes(this.#compiled.population),
      ...own,
    ];
  }

  /** Denied packets; absent where the kernel does not report them. */
  get drops(): DropLog | undefined {
    return this.#drops;
  }

  /** Packets that began, or tried to begin, a connection, by how they ended up. */
  counts(): Promise<PolicyCount[]> {
    return this.#options.datapath.counts();
  }

  /** What is in force may have been changed by others. */
  stale(): void {
    this.#runner.trigger('nftables');
  }

  podsChanged(): void {
    this.#runner.trigger('pods');
  }

  /**
   * Resolves when the policies are in force for all pods that are attached now.
   * @param pod the one that asks.
   * @throws CniError to try again, where no policy was read yet and some may select it.
   */
  async admit(pod: PodName | undefined): Promise<void> {
    // No policy can mean an attachment that is of no pod.
    if (pod === undefined) return;
    const { source, patienceMs = PATIENCE_MS } = this.#options;
    const deadline = this.#clock.now() + patienceMs;
    while (!source.now.known && this.#clock.now() < deadline)
      await new Promise<void>((resolve) => this.#clock.after(20, resolve));
    if (!source.now.known && mayBeSelected(this.#scope, pod.namespace))
      throw new CniError(
        'TRY_AGAIN',
        `which network policies select pods of namespace ${pod.namespace} is not known, since the API has not answered ` +
          'since the agent started: look why it does not; until then such a pod could do what is forbidden, and does not start',
      );
    await this.#runner.runNow('pods');
  }

  async stop(): Promise<void> {
    this.#watching[Symbol.dispose]();
    this.#drops?.[Symbol.dispose]();
    this.#record[Symbol.dispose]();
    await this.#runner.stop();
    await this.#cutter.stop();
  }

  /** Who cannot say what was denied enforces all the same. */
  #listen(): DropLog | undefined {
    const context: DropContext = {
      outcome: (name) => this.#options.datapath.outcome(name),
      compiled: () => this.#compiled,
      pods: () => (this.#options.source.now.known ? this.#options.source.now.state.pods : []),
    };
    try {
      return (this.#options.openDropLog ?? openDropLog)(context, this.#options.log);
    } catch (error) {
      this.#blind = describeError(error);
      return undefined;
    }
  }

  #remember(scope: PolicyScope): void {
    this.#scope = scope;
    this.#record.keep(scope);
  }

  /** Judges by the latest rulings, and counts as judged by those that are in force at its beginning: these are no newer. */
  async #cutForbidden(): Promise<void> {
    const { conntrack, log } = this.#options;
    const inForce = this.#compiled;
    const changed = changedAddresses(this.#judged, inForce);
    if (changed.length > 0) {
      const cut = await cutForbidden(changed, conntrack, (by) => this.#compiling.run(() => by(this.#latest)));
      this.#cut += cut;
      if (cut > 0) log.info('connections were cut that a policy forbids now', { connections: cut });
    }
    this.#judged = inForce;
  }

  async #enforce(): Promise<void> {
    const { source, table, set, datapath, node } = this.#options;
    const { now } = source;
    // An agent that has just started knows nothing: what its predecessor enforced stays. Without pods it would go.
    if (!now.known || !table.now.known) return;
    const { state } = now;
    const here = node();
    const live = [...table.now.live.values()].map((one) => ({ ...one, link: hostLinkName(one) }));
    const attached = JSON.stringify([
      here,
      live.filter(({ pod }) => pod !== undefined).map(({ pod, ips, link }) => [pod, ips, link]),
    ]);
    // Whatever the kernel tells of, and every ADD, asks: most of the time it is so already.
    if (this.#inForce === state && this.#attached === attached && datapath.isTrusted('policies')) return;
    // What was compiled before is of no use while this runs.
    const compiled = await this.#compiling.run(async () => {
      this.#latest = await runSliced(this.#compiler.compile(state, live, here));
      return this.#latest;
    });
    const { problems } = await set(compiled);
    if (problems.length > 0) throw new Error(problems.join('; '));
    this.#compiled = compiled;
    this.#excess = describeExcess(
      compiled.pods.flatMap(({ ingress, egress }) => [ingress ?? [], egress ?? []].flat()),
    );
    this.#cutter.trigger('policy');
    this.#attached = attached;
    this.#force = { known: true, since: this.#clock.date().toISOString(), state, attached: live, here };
    if (this.#inForce === state) return;
    this.#inForce = state;
    this.#remember(scopeOf(state));
    this.#options.onForce?.(state);
  }
}

const NOTHING: PolicyInput = { pods: [], namespaces: [], policies: [], clusterPolicies: [], nodes: [] };
