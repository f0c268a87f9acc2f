/** Brings the cluster's policies into force for the pods of this node, before they start and ever after. */
import { isDeepStrictEqual } from 'node:util';
import { describeError } from '../../base/errors/errors.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import { Runner } from '../../base/run/runner.ts';
import { inTurns } from '../../base/run/sliced.ts';
import type { Steps } from '../../base/run/slices.ts';
import type { PolicySource, PolicyState } from '../../cluster/policy-source.ts';
import { openRenderer, POLICY_TABLE } from '../../datapath/nftables/policy/render.ts';
import { CniError } from '../../edge/cni/errors.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import type { Connection } from '../../edge/conntrack/list.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import { TableKeeper } from '../../edge/nftables/table-reconciler.ts';
import type { PodName } from '../../plan/pod/attachment.ts';
import { type Compiled, compile, type PolicyInput } from '../../plan/policy/compile/compile.ts';
import { evaluate } from '../../plan/policy/compile/evaluate.ts';
import { openNodeCompiler } from '../../plan/policy/compile/node.ts';
import type { Outcome } from '../../plan/policy/compile/outcome.ts';
import { PROTOCOLS } from '../../plan/policy/parse/objects.ts';
import { type DropContext, type DropLog, openDropLog } from '../drops/drop-log.ts';
import type { AttachmentTable } from '../node/attachments.ts';
import {
  loadPolicyScope,
  mayBeSelected,
  type PolicyScope,
  savePolicyScope,
  scopeOf,
} from './policy-record.ts';

export type PolicyEnforcerOptions = {
  source: PolicySource;
  nftables: Nftables;
  table: AttachmentTable;
  /** Called when other addresses than before need their connections tracked; resolves when they are. */
  track: () => Promise<void>;
  conntrack: Conntrack;
  log: Logger;
  /** Addresses whose connections an earlier agent had tracked: its policies are in force until ours are. */
  tracked: readonly Ip[];
  /** Where it is kept which namespaces have policies. */
  stateDirectory: string;
  /** Called when what is in force is of a new state of the cluster. */
  onForce?: (state: PolicyState) => void;
  /** Milliseconds that an ADD waits for the first view of the cluster's policies. */
  patienceMs?: number;
};

export type PolicyCount = { outcome: Outcome; packets: number };

const PATIENCE_MS = 2000;

export class PolicyEnforcer {
  readonly #options: PolicyEnforcerOptions;
  readonly #keeper: TableKeeper;
  readonly #runner: Runner;
  readonly #compiler = openNodeCompiler();
  readonly #renderer = openRenderer();
  readonly #drops: DropLog | undefined;
  #outcomes: ReadonlyMap<string, Outcome> = new Map();
  #blind: string | undefined;
  #inForce: PolicyState | undefined;
  #scope: PolicyScope | undefined;
  readonly #watching: { [Symbol.dispose](): void };
  #compiled: Compiled = compile(NOTHING);
  #tracked: readonly Ip[];
  /** By which rulings connections were cut last. */
  #judged: Compiled = this.#compiled;
  /** Of which pods it is in force. */
  #attached = '';
  /** How many connections were cut because a policy forbids them now. */
  #cut = 0;

  constructor(options: PolicyEnforcerOptions) {
    this.#options = options;
    this.#tracked = options.tracked;
    this.#scope = loadPolicyScope(options.stateDirectory);
    this.#keeper = new TableKeeper(options.nftables, POLICY_TABLE, options.log);
    this.#runner = new Runner({
      task: () => this.#enforce(),
      // Whoever tells of changes gathers them already.
      delayMs: 0,
      onError: (error, retryAfterMs) =>
        options.log.error('the policies are not in force', { reason: error, retryAfterMs }),
    });
    this.#drops = this.#listen();
    this.#watching = options.source.watch(() => this.#runner.trigger('policy'));
    this.#runner.trigger('start');
  }

  /** Addresses of pods that some policy isolates: what they send and receive must be tracked. */
  get tracked(): readonly Ip[] {
    return this.#tracked;
  }

  get status() {
    return {
      isolated: this.#compiled.pods.length,
      policies: this.#options.source.state?.policies.length ?? 0,
      synced: this.#options.source.state !== undefined,
      connectionsCut: this.#cut,
      /** What is in force; absent until anything is. */
      enforced: this.#inForce?.versions,
    };
  }

  get problems(): readonly string[] {
    return [...this.#options.source.problems, ...(this.#blind === undefined ? [] : [this.#blind])];
  }

  /** Denied packets; absent where the kernel does not report them. */
  get drops(): DropLog | undefined {
    return this.#drops;
  }

  /** Packets that began, or tried to begin, a connection, by how they ended up. */
  async counts(): Promise<PolicyCount[]> {
    const counts = await this.#options.nftables.counts(POLICY_TABLE);
    return [...counts].flatMap(([name, { packets }]) => {
      const outcome = this.#outcomes.get(name);
      return outcome === undefined ? [] : [{ outcome, packets }];
    });
  }

  /** Somebody changed a ruleset of this namespace, or a pod came or went. */
  distrust(): void {
    this.#keeper.distrust();
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
    const { source, patienceMs = PATIENCE_MS } = this.#options;
    const deadline = performance.now() + patienceMs;
    while (source.state === undefined && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    if (source.state === undefined && mayBeSelected(this.#scope, pod?.namespace))
      throw new CniError(
        'TRY_AGAIN',
        `which network policies select pods of namespace ${pod?.namespace} is not known, since the API has not answered ` +
          'since the agent started: look why it does not; until then such a pod could do what is forbidden, and does not start',
      );
    await this.#runner.runNow('pods');
  }

  async stop(): Promise<void> {
    this.#watching[Symbol.dispose]();
    this.#drops?.[Symbol.dispose]();
    await this.#runner.stop();
  }

  /** Who cannot say what was denied enforces all the same. */
  #listen(): DropLog | undefined {
    const context: DropContext = {
      outcome: (name) => this.#outcomes.get(name),
      compiled: () => this.#compiled,
      pods: () => this.#options.source.state?.pods ?? [],
    };
    try {
      return openDropLog(context, this.#options.log);
    } catch (error) {
      this.#blind = describeError(error);
      return undefined;
    }
  }

  #remember(scope: PolicyScope): void {
    if (isDeepStrictEqual(scope, this.#scope)) return;
    this.#scope = scope;
    savePolicyScope(this.#options.stateDirectory, scope);
  }

  async #enforce(): Promise<void> {
    const { source, table, track, conntrack, log } = this.#options;
    const { state } = source;
    // An agent that has just started knows nothing: what its predecessor enforced stays. Without pods it would go.
    if (state === undefined || !table.isRead) return;
    const live = [...table.live.values()];
    const attached = JSON.stringify(
      live.filter(({ pod }) => pod !== undefined).map(({ pod, ips }) => [pod, ips]),
    );
    // Whatever the kernel tells of, and every ADD, asks: most of the time it is so already.
    if (this.#inForce === state && this.#attached === attached && this.#keeper.isTrusted) return;
    const compiled = await inTurns(this.#compiler.compile(state, live));
    const tracked = compiled.pods.flatMap(({ pod }) => pod.podIPs);
    // Answers must be known as such before anything is dropped; and until nothing is, when a policy goes.
    const former = this.#tracked;
    if (hasMore(tracked, former)) {
      this.#tracked = [...new Set([...former, ...tracked])];
      await track();
    }
    await this.#keeper.ensure(async () => {
      const { table: wanted, outcomes } = await inTurns(this.#renderer.render(compiled));
      this.#outcomes = outcomes;
      return compiled.pods.length === 0 ? undefined : wanted;
    });
    this.#compiled = compiled;
    this.#tracked = tracked;
    if (hasMore(former, tracked)) await track();
    if (!sameRulings(this.#judged, compiled)) {
      const cut = await cutForbidden(compiled, conntrack);
      this.#cut += cut;
      if (cut > 0) log.info('connections were cut that a policy forbids now', { connections: cut });
    }
    this.#judged = compiled;
    this.#attached = attached;
    if (this.#inForce === state) return;
    this.#inForce = state;
    this.#remember(scopeOf(state));
    this.#options.onForce?.(state);
  }
}

const NOTHING: PolicyInput = { pods: [], namespaces: [], policies: [], clusterPolicies: [], nodes: [] };

function hasMore(ips: readonly Ip[], than: readonly Ip[]): boolean {
  const known = new Set(than);
  return ips.some((ip) => !known.has(ip));
}

/** A ruling that no change has touched is the same object again. */
function sameRulings(a: Compiled, b: Compiled): boolean {
  return (
    a.pods.length === b.pods.length &&
    a.pods.every((before, index) => {
      const now = b.pods[index]!;
      return before.pod === now.pod && before.ingress === now.ingress && before.egress === now.egress;
    })
  );
}

/** Of the connections that were let through once, those that would not be now. @returns how many there were. */
async function cutForbidden(compiled: Compiled, conntrack: Conntrack): Promise<number> {
  const forbidden = await inTurns(findForbidden(compiled, await conntrack.list()));
  await conntrack.cut(forbidden);
  return forbidden.length;
}

function* findForbidden(compiled: Compiled, connections: readonly Connection[]): Steps<Connection[]> {
  const own = compiled.byIp;
  const forbidden: Connection[] = [];
  for (const connection of connections) {
    if (!own.has(connection.source) && !own.has(connection.target)) continue;
    if (!isAllowed(compiled, connection)) forbidden.push(connection);
    yield;
  }
  return forbidden;
}

function isAllowed(compiled: Compiled, { protocol, source, target, targetPort }: Connection): boolean {
  const flow = { source, destination: target };
  // Of a running ping, too, only the first packet was asked about.
  if (protocol === 'other') return evaluate(compiled, { ...flow, protocol: 'ICMP' }).allowed;
  const known = PROTOCOLS.find((one) => one.toLowerCase() === protocol)!;
  return evaluate(compiled, { ...flow, protocol: known, port: targetPort }).allowed;
}
