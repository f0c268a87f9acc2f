/** The agent of one node: wires everything together between its edges, and ends in the reverse order. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Configuration, compareConfigurations } from '../base/config/configuration.ts';
import { describeError } from '../base/errors/errors.ts';
import { rememberErrors } from '../base/log/last-error.ts';
import { createLogger, type Logger } from '../base/log/logger.ts';
import { Runner } from '../base/run/runner.ts';
import { versionOf } from '../base/version.ts';
import type { AgentReporter } from '../cluster/report/agent-reporter.ts';
import { readInherited } from '../datapath/nftables/inherited.ts';
import { TABLE } from '../datapath/nftables/node-table.ts';
import { POLICY_TABLE } from '../datapath/nftables/policy/render.ts';
import { SERVICE_TABLES } from '../datapath/nftables/service/objects.ts';
import type { RequestFrame } from '../edge/cni/frame.ts';
import { targetsOf } from '../plan/probe/target.ts';
import { type CniContext, handleCni } from './attach/cni-handler.ts';
import { listenForPlugins } from './attach/cni-server.ts';
import { createHostPorts } from './attach/host-ports.ts';
import { openPendingDeletions } from './attach/pending-deletions.ts';
import { lookAtFirewalls } from './datapath/foreign-firewalls.ts';
import { PolicyEnforcer } from './datapath/policy-enforcer.ts';
import { readSpoofDrops } from './drops/spoofed.ts';
import type { ConfigurationSource, Edges } from './edges.ts';
import { buried, createAttachmentTable } from './node/attachments.ts';
import { LinkRemoval } from './node/link-removal.ts';
import { NodeNetwork } from './node/network.ts';
import { keepNetworkList, type NetworkListKeeper } from './node/network-list.ts';
import { nodeNameOf } from './node/node-name.ts';
import { loadNodeView } from './node/node-record.ts';
import { listenForQuestions, listenForScrapes } from './serve/api-server.ts';
import { watchEventLoop } from './serve/event-loop.ts';
import { createAgentMetrics } from './serve/metrics.ts';
import { createQuestions } from './serve/questions.ts';
import { describeSelf } from './serve/self-report.ts';
import { describeAgent } from './serve/status.ts';
import { Services } from './services/services.ts';
import { writeSysctls } from './settings/sysctl.ts';

/** Indexes below are what the kernel itself hands out first. */
const FIRST_INDEX = 1000;
/** Every pod that comes or goes causes a dozen notifications: they are looked into together. */
const KERNEL_EVENT_MS = 150;
/** Changes of others' tables are looked into together: each look is a run of nft. */
const FOREIGN_TABLES_MS = 1000;
/** How often to look whether legacy iptables translates addresses: it sends no notifications. */
const LEGACY_NAT_MS = 1000;

/** How often to look for DELs that the plugin had to keep. */
const KEPT_MS = 1000;

/** Whatever else is asked for is one: metrics do not grow by what callers invent. */
const KNOWN_COMMANDS: ReadonlySet<string> = new Set(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']);

export type RunningAgent = {
  log: Logger;
  /** Where Fairlead is being removed, the cluster is told, and list and plugin go with the last pod; all else stays. */
  stop: () => Promise<void>;
};

/** Starts the agent; it serves when this resolves. The edges stay open when it stops: they are the caller's. */
export async function startAgent(edges: Edges, source: ConfigurationSource): Promise<RunningAgent> {
  const { namespace, kernel, nftables, conntrack } = edges;
  let configuration = source.read();
  const logSettings = { ...configuration.log };
  const name = nodeNameOf(configuration.node.name, process.env['NODE_NAME'], hostname());
  const errors = rememberErrors(createLogger(logSettings).child({ node: name }));
  const { log } = errors;
  const { socketDirectory, stateDirectory } = configuration.paths;

  await using stack = new AsyncDisposableStack();
  const store = stack.adopt(
    edges.openCluster(() => configuration, name, log),
    (opened) => opened.close(),
  );
  const table = createAttachmentTable();
  const removal = new LinkRemoval(
    kernel,
    (links) => table.now.known && buried(table.now, links),
    (error) => log.error('interfaces could not be deleted', { reason: describeError(error) }),
  );
  stack.defer(() => removal.settled());
  // Asked for when the first one is needed: a start must not fail because the links cannot be read just now.
  let lastIndex: number | undefined;
  const nextIndex = () => {
    lastIndex ??= Math.max(FIRST_INDEX, ...kernel.links().map(({ index }) => index));
    return ++lastIndex;
  };

  const firewalls = lookAtFirewalls(nftables);
  const inherited = readInherited(await nftables.read(TABLE));
  const network = new NodeNetwork({
    name,
    configuration: () => configuration,
    store,
    kernel,
    nftables,
    table,
    removal,
    nextIndex,
    openSysctls: edges.openSysctls,
    trackedIps: () => enforcer?.tracked ?? [],
    forgetFlows: conntrack.forget,
    log,
    lastView: loadNodeView(stateDirectory, name),
    inherited,
  });
  stack.defer(() => network.stop());
  const enforcer: PolicyEnforcer | undefined =
    store.policies === undefined
      ? undefined
      : new PolicyEnforcer({
          source: store.policies,
          nftables,
          table,
          track: () => network.refreshFirewall(),
          conntrack,
          node: () => ({ name, ips: kernel.addresses().map(({ ip }) => ip) }),
          log,
          tracked: inherited.tracked,
          stateDirectory,
          onForce: () => reporter?.look(),
        });
  stack.defer(() => enforcer?.stop());
  const services = new Services({
    store,
    configuration: () => configuration,
    kernel,
    nftables,
    conntrack,
    openSysctls: (folder) => edges.openSysctls(folder),
    log,
  });
  stack.defer(() => services.stop());
  let list: NetworkListKeeper | undefined;
  enforcer?.drops?.follow((denial) => store.denials?.tell(denial));
  const prober = stack.use(
    edges.startProber({ intervalSeconds: () => configuration.probes.intervalSeconds, log }),
  );
  const version = versionOf();
  const metrics = createAgentMetrics(version);
  const reporter: AgentReporter | undefined = store.reportAgent?.(() =>
    describeSelf({
      version,
      network,
      table,
      policies: enforcer?.status.enforced?.policies,
      policyProblems: enforcer?.problems ?? [],
      silent: prober.silent,
      lastError: errors.last,
    }),
  );
  stack.defer(() => reporter?.[Symbol.dispose]());
  let resyncedAt = performance.now();
  const runner = new Runner({
    task: async (reasons) => {
      const started = performance.now();
      // What was not reached does not keep the others from what was.
      const [outcome] = await Promise.allSettled([network.resync(reasons)]);
      resyncedAt = performance.now();
      metrics.resynced(reasons, (resyncedAt - started) / 1000, outcome.status === 'fulfilled');
      // What the cluster says of nodes leaves the pods of this one as they are.
      if (reasons.some((reason) => reason !== 'cluster')) enforcer?.podsChanged();
      services.look();
      if (network.readiness.ready) list?.ensure();
      prober.aim(targetsOf(network.reached.overlay?.peers ?? []));
      reporter?.look();
      if (outcome.status === 'rejected') throw outcome.reason;
    },
    onError: (error, retryAfterMs) =>
      log.error('a resync did not reach all', { reason: describeError(error), retryAfterMs }),
    periodMs: configuration.resyncSeconds * 1000,
  });
  stack.defer(() => runner.stop());
  stack.use(store.watch(() => runner.trigger('cluster', 0)));
  const onUnheard = (problem: string) => log.error(problem);
  const kernelWatch = stack.use(
    edges.watchKernel((event) => {
      if (network.notice(event)) runner.trigger(event.kind, KERNEL_EVENT_MS);
    }, onUnheard),
  );
  const rulesetWatch = stack.use(
    nftables.watch((tables) => {
      firewalls.invalidate();
      const isOurs = (one: string) => tables === undefined || tables.has(one);
      if (isOurs(POLICY_TABLE.name)) enforcer?.distrust();
      if (SERVICE_TABLES.some(isOurs)) services.distrust();
      if (!SERVICE_TABLES.some((one) => tables?.has(one))) services.othersChanged();
      if (isOurs(TABLE.name)) network.distrustFirewall();
      // Whether others translate addresses counts too; some change their tables all the time.
      else network.othersChanged();
      runner.trigger('nftables', isOurs(TABLE.name) ? undefined : FOREIGN_TABLES_MS);
    }, onUnheard),
  );
  let legacyNat = network.legacyNat;
  const look = setInterval(() => {
    if (legacyNat !== network.legacyNat) runner.trigger('iptables');
    legacyNat = network.legacyNat;
  }, LEGACY_NAT_MS);
  stack.defer(() => clearInterval(look));
  await runner.runNow('start').catch(() => undefined);

  const context: CniContext = {
    log,
    kernel,
    namespace,
    pods: edges.pods,
    table,
    removal,
    nextIndex,
    readiness: () => network.readiness,
    writeSysctls: (settings, of) => {
      const sysctls = edges.openSysctls(configuration.paths.sysctlDirectory);
      // What is not as it must be is a problem of the next resync.
      for (const problem of writeSysctls(settings, sysctls, of)) log.debug(problem);
    },
    admit: ({ pod }) => enforcer?.admit(pod) ?? Promise.resolve(),
    completeKept: (key, complete) => pending.completeOf(key, complete),
    hostPorts: createHostPorts({
      network,
      localIps: () => kernel.addresses().map(({ ip }) => ip),
      forget: conntrack.forget,
      resync: () => runner.trigger('ports'),
      log,
    }),
  };
  const handle = async (frame: RequestFrame) => {
    const started = performance.now();
    const reply = await handleCni(frame, context);
    const command = frame.environment['CNI_COMMAND'] ?? '';
    const known = KNOWN_COMMANDS.has(command) ? command : 'unknown';
    metrics.called(known, reply, (performance.now() - started) / 1000);
    return reply;
  };
  const pending = openPendingDeletions({ stateDirectory: () => stateDirectory, handle, log });
  const plugins = await listenForPlugins(join(socketDirectory, 'cni.sock'), handle, log);
  // The plugin keeps one whenever it gets no answer, which may be while the agent runs, too.
  const completeKept = async () => (table.now.known ? pending.complete() : undefined);
  await completeKept();
  const lookForKept = setInterval(() => void completeKept(), KEPT_MS);
  stack.defer(() => clearInterval(lookForKept));
  stack.defer(() => void plugins.close());
  // Only now can a pod be attached, which is what the list says to a kubelet.
  list = stack.use(
    keepNetworkList(
      () => configuration,
      () => runner.trigger('network list'),
      log,
    ),
  );
  if (network.readiness.ready) list.ensure();
  const eventLoop = stack.use(watchEventLoop());
  const startedAt = new Date().toISOString();
  const describe = async () =>
    describeAgent({
      spoofDrops: await readSpoofDrops(nftables, () => new Date()),
      name,
      startedAt,
      backend: configuration.backend,
      table,
      network,
      eventLoopDelay: eventLoop.read(),
      policy: enforcer?.status,
      services: services.status,
      otherProblems: [
        ...services.problems,
        ...(enforcer?.problems ?? []),
        ...(reporter?.problem === undefined ? [] : [reporter.problem]),
        ...(list?.problems ?? []),
        ...(await firewalls.problems()),
        ...[kernelWatch.problem, rulesetWatch.problem].filter((problem) => problem !== undefined),
      ],
      prober,
      lastError: errors.last,
      version,
    });
  const questions = createQuestions({
    describe,
    node: name,
    kernel,
    table,
    podNetwork: () => configuration.podNetwork,
    policies: store.policies,
    enforcer,
    metrics,
    prober,
    errors,
    network,
    conntrack,
    services,
    sinceResyncMs: () => performance.now() - resyncedAt,
    resyncSeconds: () => configuration.resyncSeconds,
    policyNames: () => configuration.metrics.policyNames,
  });
  const socket = await listenForQuestions(join(socketDirectory, 'api.sock'), questions);
  stack.defer(() => void socket.close());
  if (configuration.metrics.address !== '') {
    const scrapes = await listenForScrapes(configuration.metrics.address, questions);
    stack.defer(() => void scrapes.close());
  }
  stack.use(
    source.follow(
      (changed) => {
        follow(configuration, changed, log);
        configuration = changed;
        Object.assign(logSettings, changed.log);
        network.distrustFirewall();
        runner.trigger('configuration');
      },
      (error) =>
        log.error('the configuration file is refused; the last good one stays', {
          reason: describeError(error),
        }),
    ),
  );
  log.info('the agent serves', {
    socket: join(socketDirectory, 'cni.sock'),
    pods: table.now.known ? table.now.live.size : 'not known yet',
    readiness: network.readiness,
  });
  const running = stack.move();
  return {
    log,
    stop: async () => {
      if ((await store.removal?.isUnderWay()) === true) {
        list?.remove(table.now);
        await store.leave?.();
      }
      await running.disposeAsync();
    },
  };
}

function follow(before: Configuration, after: Configuration, log: Logger): void {
  const { live, restart } = compareConfigurations(before, after);
  if (live.length > 0) log.info('the configuration changed', { keys: live });
  for (const { path, reason } of restart)
    log.warn('a changed key waits for the next start', { key: path, reason });
}
