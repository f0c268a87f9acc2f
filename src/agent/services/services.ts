/** Serves the services of the cluster on this node, as long as it shall: from what the cluster says to the kernel. */
import type { Configuration } from '../../base/config/configuration.ts';
import { describeError } from '../../base/errors/errors.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Metric } from '../../base/metrics/registry.ts';
import { Runner } from '../../base/run/runner.ts';
import { runSliced } from '../../base/run/sliced.ts';
import type { ServiceSource } from '../../cluster/service-source.ts';
import type { ServiceTableOptions } from '../../datapath/nftables/service/objects.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';
import { isEligible } from '../../plan/service/health.ts';
import { type Lingering, linger } from '../../plan/service/linger.ts';
import { createServicePlanner } from '../../plan/service/plan.ts';
import { mayMakeStale } from '../../plan/service/stale.ts';
import type { PlannedPort, ServiceTable } from '../../plan/service/table.ts';
import type { ClusterSource } from '../cluster-source.ts';
import { cutStale, dropUnused, readLingering } from './flows.ts';
import { createHealthServer, type HealthServer } from './health-server.ts';
import { ServiceKeeper } from './keeper.ts';
import { createServiceMetrics } from './metrics.ts';
import { findOtherProxies } from './other-proxies.ts';
import { createPlanInput } from './plan-input.ts';
import { serviceSysctls } from './sysctls.ts';

export type ServicesOptions = {
  store: ClusterSource;
  configuration: () => Configuration;
  kernel: Kernel;
  nftables: Nftables;
  conntrack: Conntrack;
  openSysctls: (folder: string) => Sysctls;
  log: Logger;
};

/** Times are RFC 3339. */
export type ServicesStatus = {
  mode: Configuration['services']['mode'];
  serving: boolean;
  /** Present where the node serves none. */
  why?: string;
  services: number;
  endpoints: number;
  /** Endpoints that have left, and still have connections. */
  lingering: number;
  writtenAt?: string;
  flowsCut: number;
};

/** Milliseconds in which changes join the first one. */
const GATHER_MS = 20;
/** Milliseconds between looks whether endpoints that have left still have connections. */
const LINGER_MS = 30_000;
const NODE_PORTS = { first: 30_000, last: 32_767 } as const;
/** Problems of single services; the rest is counted. */
const MOST_PROBLEMS = 20;

export class Services {
  readonly #options: ServicesOptions;
  readonly #keeper: ServiceKeeper;
  readonly #planner = createServicePlanner();
  readonly #planInput = createPlanInput();
  readonly #runner: Runner;
  readonly #lingerLook: NodeJS.Timeout;
  #source: ServiceSource | undefined;
  #watching: Disposable | undefined;
  #table: ServiceTable | undefined;
  #lingering: readonly Lingering[] = [];
  #why: string | undefined = 'the agent has just started';
  /** What shows of another proxy; undefined until it was looked. */
  #others: readonly string[] | undefined;
  #failure: string | undefined;
  #settingProblems: readonly string[] = [];
  readonly #health: HealthServer;
  readonly #metrics = createServiceMetrics();
  /** Since when a change waits to be written. */
  #queuedSince: Date | undefined;
  #writtenAt: Date | undefined;
  #flowsCut = 0;
  readonly #startedAt = new Date();

  constructor(options: ServicesOptions) {
    this.#options = options;
    this.#keeper = new ServiceKeeper(options.nftables);
    this.#runner = new Runner({
      task: () => this.#run(),
      delayMs: 0,
      onError: (error, retryAfterMs) => {
        this.#metrics.failed();
        this.#failure = `services are not served as they shall be: ${describeError(error)}`;
        options.log.error('services are not served as they shall be', {
          reason: describeError(error),
          retryAfterMs,
        });
      },
    });
    this.#health = createHealthServer(options.configuration().services.healthAddress, () =>
      this.#healthNow(),
    );
    this.#lingerLook = setInterval(() => {
      if (this.#lingering.length > 0) void this.#lookAtLingering();
    }, LINGER_MS);
    this.#lingerLook.unref();
  }

  get status(): ServicesStatus {
    const services = this.#table?.services ?? [];
    return {
      mode: this.#options.configuration().services.mode,
      serving: this.#why === undefined,
      ...(this.#why === undefined ? {} : { why: this.#why }),
      services: services.length,
      endpoints: services.reduce(
        (sum, { ports }) => sum + ports.reduce((all, { serving }) => all + serving.length, 0),
        0,
      ),
      lingering: this.#lingering.length,
      ...(this.#writtenAt === undefined ? {} : { writtenAt: this.#writtenAt.toISOString() }),
      flowsCut: this.#flowsCut,
    };
  }

  /** One sentence each. */
  get problems(): readonly string[] {
    const ofServices = (this.#table?.problems ?? []).map(
      ({ service, problem }) => `service ${service}: ${problem}`,
    );
    const { mode } = this.#options.configuration().services;
    const both =
      mode === 'on' && this.#others !== undefined && this.#others.length > 0
        ? [`services.mode is on, and another proxy shows too, by ${this.#others.join(', ')}; remove it`]
        : [];
    return [
      ...(this.#failure === undefined ? [] : [this.#failure]),
      ...both,
      ...this.#settingProblems,
      ...this.#health.problems,
      ...(this.#source?.problems ?? []),
      ...ofServices.slice(0, MOST_PROBLEMS),
      ...(ofServices.length > MOST_PROBLEMS
        ? [`${ofServices.length - MOST_PROBLEMS} more problems of services`]
        : []),
    ];
  }

  metrics(): Metric[] {
    return this.#metrics.all(this.status, this.#table);
  }

  /** What is in force; undefined where nothing is. */
  get table(): ServiceTable | undefined {
    return this.#why === undefined ? this.#table : undefined;
  }

  get source(): ServiceSource | undefined {
    return this.#source;
  }

  /** The node, or the configuration, may be another than before. */
  look(): void {
    this.#runner.trigger('look');
  }

  /** Our table was changed by others. */
  distrust(): void {
    this.#keeper.distrust();
    this.#runner.trigger('distrust');
  }

  /** Others changed theirs: another proxy may have come or gone. */
  othersChanged(): void {
    this.#others = undefined;
    this.#runner.trigger('others', 1000);
  }

  /** What is served stays served. */
  async stop(): Promise<void> {
    clearInterval(this.#lingerLook);
    await this.#runner.stop();
    this.#close();
    await this.#health.close();
  }

  async #run(): Promise<void> {
    const why = await this.#reasonAgainst();
    if (why !== undefined) {
      this.#close();
      await this.#health.close();
      this.#queuedSince = undefined;
      this.#why = why;
      this.#table = undefined;
      this.#lingering = [];
      // Where there are none, none was ever made.
      if (this.#options.store.openServices !== undefined) await this.#keeper.remove();
    } else await this.#serve();
    this.#failure = undefined;
  }

  /** Why none shall be served here. */
  async #reasonAgainst(): Promise<string | undefined> {
    const { store, configuration, nftables, kernel } = this.#options;
    const { mode } = configuration().services;
    if (store.openServices === undefined) return 'the nodes of this cluster come from a directory';
    if (mode === 'off') return 'services.mode is off';
    this.#others ??= await findOtherProxies(nftables, kernel, !this.#health.isOpen);
    if (mode === 'on' || this.#others.length === 0) return undefined;
    return `services.mode is auto, and another proxy serves this node: it shows by ${this.#others.join(', ')}`;
  }

  #open(): ServiceSource {
    if (this.#source !== undefined) return this.#source;
    this.#source = this.#options.store.openServices!();
    this.#watching = this.#source.watch(() => {
      this.#queuedSince ??= new Date();
      this.#runner.trigger('cluster', 0);
    });
    return this.#source;
  }

  #close(): void {
    this.#watching?.[Symbol.dispose]();
    this.#source?.close();
    this.#source = undefined;
  }

  async #serve(): Promise<void> {
    const { store, configuration, kernel, conntrack } = this.#options;
    const started = performance.now();
    const source = this.#open();
    const { state } = source;
    if (!state.known) {
      this.#why ??= state.why;
      if (this.#table === undefined) this.#why = state.why;
      return;
    }
    const { podNetwork, cluster, services } = configuration();
    const input = this.#planInput({
      state,
      podNetwork,
      nodePortAddresses: services.nodePortAddresses,
      masqueradeAll: services.masqueradeAll,
      serviceRanges: [...new Set([...cluster.serviceNetwork, ...(store.serviceNetwork ?? [])])].toSorted(),
      localIps: kernel.addresses().map(({ ip }) => ip),
      nodeIps: store.state.nodes.flatMap(({ internalIps }) => internalIps),
      podIps: podIpsOf(store),
    });
    const table = await runSliced(this.#planner(input));
    const options: ServiceTableOptions = {
      families: input.families,
      nodeIps: input.node.ips,
      nodePortRange: NODE_PORTS,
    };
    const before = this.#table;
    const lingering =
      before === undefined || this.#keeper.table === undefined
        ? await readLingering(conntrack, table)
        : linger(this.#lingering, before, table);
    if (before === undefined) this.#ensureSettings();
    const queued = this.#queuedSince;
    const written = await this.#keeper.ensure(table, options, lingering);
    if (this.#queuedSince === queued) this.#queuedSince = undefined;
    await this.#health.serve(table.services);
    this.#table = table;
    this.#lingering = lingering;
    this.#why = undefined;
    if (written === 'nothing') return;
    this.#options.log.debug('services were written', { written, services: table.services.length });
    this.#writtenAt = new Date();
    this.#metrics.wrote(written, (performance.now() - started) / 1000, source.takeChanges(), this.#writtenAt);
    if (before === undefined || mayHaveStale(before, table))
      this.#flowsCut += await cutStale(conntrack, table, before);
    // Changes that come now join the first of them.
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS).unref());
  }

  #healthNow() {
    const state = this.#source?.state;
    const now = new Date();
    const lastUpdated = this.#writtenAt ?? this.#startedAt;
    const queued = this.#queuedSince === undefined ? {} : { queuedSince: this.#queuedSince };
    const node = state?.known === true ? state.node : undefined;
    return {
      now,
      progress: (this.#table?.families ?? []).map((family) => ({ family, lastUpdated, ...queued })),
      nodeEligible: isEligible(node && { deleting: node.deleting === true, taints: node.taints }),
    };
  }

  #ensureSettings(): void {
    const { openSysctls, configuration } = this.#options;
    const sysctls = openSysctls(configuration().paths.sysctlDirectory);
    this.#settingProblems = serviceSysctls(sysctls);
  }

  async #lookAtLingering(): Promise<void> {
    const looked = this.#lingering;
    const used = await dropUnused(this.#options.conntrack, looked).catch(() => looked);
    if (used.length === looked.length || this.#lingering !== looked) return;
    this.#lingering = used;
    this.#runner.trigger('lingering');
  }
}

function podIpsOf({ policies }: ClusterSource): Ip[] {
  const now = policies?.now;
  return (now?.known === true ? now.state.pods : [])
    .filter(({ hostNetwork, phase }) => !hostNetwork && phase !== 'Succeeded' && phase !== 'Failed')
    .flatMap(({ podIPs }) => podIPs);
}

function mayHaveStale(before: ServiceTable, now: ServiceTable): boolean {
  const former = new Map(before.services.map((service) => [service.name, service]));
  const ports = (list: readonly PlannedPort[] = []) =>
    new Map(list.map((port) => [`${port.name} ${port.protocol} ${port.port} ${port.family}`, port]));
  for (const service of now.services) {
    const old = former.get(service.name);
    former.delete(service.name);
    if (old === service) continue;
    const [a, b] = [ports(old?.ports), ports(service.ports)];
    for (const key of new Set([...a.keys(), ...b.keys()]))
      if (mayMakeStale(a.get(key), b.get(key))) return true;
  }
  return [...former.values()].some(({ ports: gone }) => gone.some((port) => mayMakeStale(port, undefined)));
}
