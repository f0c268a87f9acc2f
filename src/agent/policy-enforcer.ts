/** Brings the cluster's policies into force for the pods of this node, before they start and ever after. */
import type { PolicySource } from '../cluster/policy-source.ts';
import type { Conntrack } from '../conntrack/conntrack.ts';
import type { Connection } from '../conntrack/list.ts';
import { type Ip, ipFamily } from '../ip/ip.ts';
import type { Logger } from '../log/logger.ts';
import type { Nftables } from '../nftables/nft.ts';
import { type Compiled, compile, type PolicyInput } from '../policy/compile.ts';
import { evaluate } from '../policy/evaluate.ts';
import type { PolicyPod } from '../policy/objects.ts';
import { POLICY_TABLE, renderTable } from '../policy/render.ts';
import { Runner } from '../reconcile/runner.ts';
import type { AttachmentTable, LiveAttachment } from './attachments.ts';
import { TableKeeper } from './table-keeper.ts';

export type PolicyEnforcerOptions = {
  source: PolicySource;
  nftables: Nftables;
  table: AttachmentTable;
  /** Called when other addresses than before need their connections tracked; resolves when they are. */
  track: () => Promise<void>;
  conntrack: Conntrack;
  log: Logger;
  /** Milliseconds that an ADD waits for the first view of the cluster's policies. */
  patienceMs?: number;
};

const PATIENCE_MS = 2000;

export class PolicyEnforcer {
  readonly #options: PolicyEnforcerOptions;
  readonly #keeper: TableKeeper;
  readonly #runner: Runner;
  readonly #watching: { [Symbol.dispose](): void };
  #compiled: Compiled = { pods: [], population: compile(NOTHING).population };
  #tracked: readonly Ip[] = [];
  /** How many connections were cut because a policy forbids them now. */
  #cut = 0;

  constructor(options: PolicyEnforcerOptions) {
    this.#options = options;
    this.#keeper = new TableKeeper(options.nftables, POLICY_TABLE, options.log);
    this.#runner = new Runner({
      task: () => this.#enforce(),
      onError: (error, retryAfterMs) =>
        options.log.error('the policies are not in force', { reason: error, retryAfterMs }),
    });
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
    };
  }

  get problems(): readonly string[] {
    return this.#options.source.problems;
  }

  /** Somebody changed a ruleset of this namespace, or a pod came or went. */
  distrust(): void {
    this.#keeper.distrust();
    this.#runner.trigger('nftables');
  }

  podsChanged(): void {
    this.#runner.trigger('pods');
  }

  /** Resolves when the policies are in force for all pods that are attached now. */
  async admit(): Promise<void> {
    const { source, patienceMs = PATIENCE_MS } = this.#options;
    const deadline = performance.now() + patienceMs;
    while (source.state === undefined && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await this.#runner.runNow('pods');
  }

  async stop(): Promise<void> {
    this.#watching[Symbol.dispose]();
    await this.#runner.stop();
  }

  async #enforce(): Promise<void> {
    const { source, table, track, conntrack, log } = this.#options;
    const { state } = source;
    // An agent that has just started knows nothing: what its predecessor enforced stays.
    if (state === undefined) return;
    const before = this.#compiled;
    const live = [...table.live.values()];
    const compiled = compileNode(state, live);
    const tracked = compiled.pods.flatMap(({ pod }) => pod.podIPs);
    // Answers must be known as such before anything is dropped; and until nothing is, when a policy goes.
    const grows = tracked.some((ip) => !this.#tracked.includes(ip));
    const [former, union] = [this.#tracked, [...new Set([...this.#tracked, ...tracked])]];
    if (grows) {
      this.#tracked = union;
      await track();
    }
    await this.#keeper.ensure(() => (compiled.pods.length === 0 ? undefined : renderTable(compiled)));
    this.#compiled = compiled;
    this.#tracked = tracked;
    if (former.some((ip) => !tracked.includes(ip))) await track();
    if (sameGrants(before, compiled)) return;
    const cut = await cutForbidden(compiled, conntrack);
    this.#cut += cut;
    if (cut > 0) log.info('connections were cut that a policy forbids now', { connections: cut });
  }
}

const NOTHING: PolicyInput = { pods: [], namespaces: [], policies: [] };

/**
 * The node's own pods by what is attached, which is known before the cluster tells their addresses. One that the cluster
 * has not told of yet may be selected by any policy of its namespace: until it is known, those allow it nothing.
 */
export function compileNode(state: PolicyInput, attachments: readonly LiveAttachment[]): Compiled {
  const ours = new Map<string, LiveAttachment[]>();
  for (const attachment of attachments) {
    if (attachment.pod === undefined) continue;
    const key = `${attachment.pod.namespace}/${attachment.pod.name}`;
    ours.set(key, [...(ours.get(key) ?? []), attachment]);
  }
  const known = new Set<string>();
  const pods = state.pods.map((pod): PolicyPod => {
    const key = `${pod.namespace}/${pod.name}`;
    const own = ours.get(key);
    if (own === undefined) return pod;
    known.add(key);
    return { ...pod, podIPs: own.flatMap(({ ips }) => ips) };
  });
  const compiled = compile({ ...state, pods }, (pod) => ours.has(`${pod.namespace}/${pod.name}`));
  const unknown = [...ours].flatMap(([key, own]) => {
    const { namespace, name } = own[0]!.pod!;
    const policies = state.policies.filter((policy) => policy.namespace === namespace);
    if (known.has(key) || policies.length === 0) return [];
    const pod: PolicyPod = {
      namespace,
      name,
      labels: {},
      podIPs: own.flatMap(({ ips }) => ips),
      hostNetwork: false,
      phase: 'Pending',
      ports: [],
    };
    const closed = { grants: [], policies: policies.map((policy) => `${namespace}/${policy.name}`) };
    const closes = (direction: 'ingress' | 'egress') =>
      policies.some((policy) => policy[direction] !== undefined) ? { [direction]: closed } : {};
    return [{ pod, ...closes('ingress'), ...closes('egress') }];
  });
  return { ...compiled, pods: [...compiled.pods, ...unknown] };
}

function sameGrants(a: Compiled, b: Compiled): boolean {
  return JSON.stringify(a.pods) === JSON.stringify(b.pods);
}

/** Of the connections that were let through once, those that would not be now. @returns how many there were. */
async function cutForbidden(compiled: Compiled, conntrack: Conntrack): Promise<number> {
  const own = new Set(compiled.pods.flatMap(({ pod }) => pod.podIPs));
  const forbidden = (await conntrack.list()).filter(
    (connection) =>
      (own.has(connection.source) || own.has(connection.target)) && !isAllowed(compiled, connection),
  );
  await conntrack.forget(
    forbidden.map(({ protocol, source, sourcePort, destination, destinationPort }) => ({
      family: ipFamily(source),
      protocol,
      original: { source, sourcePort, destination, destinationPort },
    })),
  );
  return forbidden.length;
}

function isAllowed(compiled: Compiled, { protocol, source, target, targetPort }: Connection): boolean {
  const flow = {
    source,
    destination: target,
    protocol: protocol.toUpperCase() as 'TCP' | 'UDP' | 'SCTP',
    port: targetPort,
  };
  return evaluate(compiled, flow).allowed;
}
