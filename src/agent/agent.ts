/** The agent of one node: wires everything together, and ends in the reverse order. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Configuration, compareConfigurations } from '../base/config/configuration.ts';
import { followConfigurationFile, readConfigurationFile } from '../base/config/file.ts';
import { describeError } from '../base/errors/errors.ts';
import { rememberErrors } from '../base/log/last-error.ts';
import { createLogger, type Logger } from '../base/log/logger.ts';
import { Runner } from '../base/run/runner.ts';
import { versionOf } from '../base/version.ts';
import type { AgentReporter } from '../cluster/report/agent-reporter.ts';
import { readInherited } from '../datapath/nftables/inherited.ts';
import { TABLE } from '../datapath/nftables/node-table.ts';
import { POLICY_TABLE } from '../datapath/nftables/policy/render.ts';
import type { RequestFrame } from '../edge/cni/frame.ts';
import { openConntrack } from '../edge/conntrack/conntrack.ts';
import { watchKernel } from '../edge/netlink/monitor.ts';
import { NetworkNamespace } from '../edge/netlink/namespace.ts';
import { openKernel } from '../edge/netlink/rtnetlink.ts';
import { openNftables } from '../edge/nftables/nft.ts';
import { watchRulesets } from '../edge/nftables/watch.ts';
import { targetsOf } from '../plan/probe/target.ts';
import { type CniContext, handleCni } from './attach/cni-handler.ts';
import { listenForPlugins } from './attach/cni-server.ts';
import { createHostPorts } from './attach/host-ports.ts';
import { completePendingDeletions } from './attach/pending-deletions.ts';
import { openCluster } from './cluster-source.ts';
import { PolicyEnforcer } from './datapath/policy-enforcer.ts';
import { buried, createAttachmentTable } from './node/attachments.ts';
import { LinkRemoval } from './node/link-removal.ts';
import { NodeNetwork } from './node/network.ts';
import { keepNetworkList, type NetworkListKeeper } from './node/network-list.ts';
import { loadNodeView } from './node/node-record.ts';
import { startProber } from './probes/prober.ts';
import { listenForQuestions, listenForScrapes } from './serve/api-server.ts';
import { watchEventLoop } from './serve/event-loop.ts';
import { createAgentMetrics } from './serve/metrics.ts';
import { createQuestions } from './serve/questions.ts';
import { describeSelf } from './serve/self-report.ts';
import { describeAgent } from './serve/status.ts';

/** Indexes below are what the kernel itself hands out first. */
const FIRST_INDEX = 1000;
/** Every pod that comes or goes causes a dozen notifications: they are looked into together. */
const KERNEL_EVENT_MS = 150;
/** How often to look whether legacy iptables translates addresses: it sends no notifications. */
const LEGACY_NAT_MS = 1000;

/** Whatever else is asked for is one: metrics do not grow by what callers invent. */
const KNOWN_COMMANDS: ReadonlySet<string> = new Set(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']);

export type RunningAgent = {
  log: Logger;
  /** Takes list and plugin of the runtime away where Fairlead is being removed; all else stays. */
  stop: () => Promise<void>;
};

/** Starts the agent; it serves when this resolves. */
export async function startAgent(configurationFile: string): Promise<RunningAgent> {
  let configuration = readConfigurationFile(configurationFile);
  const logSettings = { ...configuration.log };
  const name = configuration.node.name || process.env['NODE_NAME'] || hostname();
  const errors = rememberErrors(createLogger(logSettings).child({ node: name }));
  const { log } = errors;
  const { socketDirectory, stateDirectory } = configuration.paths;

  await using stack = new AsyncDisposableStack();
  const namespace = stack.use(NetworkNamespace.own());
  const kernel = stack.use(openKernel());
  const store = stack.adopt(
    openCluster(() => configuration, name, log),
    (opened) => opened.close(),
  );
  const table = createAttachmentTable();
  const removal = new LinkRemoval(
    kernel,
    (links) => buried(table, links),
    (error) => log.error('interfaces could not be deleted', { reason: describeError(error) }),
  );
  stack.defer(() => removal.settled());
  let lastIndex = Math.max(FIRST_INDEX, ...kernel.links().map(({ index }) => index));
  const nextIndex = () => ++lastIndex;

  const nftables = stack.use(openNftables());
  const conntrack = stack.use(openConntrack());
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
    trackedIps: () => enforcer?.tracked ?? [],
    forgetFlows: conntrack.forget,
    log,
    lastView: loadNodeView(stateDirectory),
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
          log,
          tracked: inherited.tracked,
          stateDirectory,
          onForce: () => reporter?.look(),
        });
  stack.defer(() => enforcer?.stop());
  let list: NetworkListKeeper | undefined;
  enforcer?.drops?.follow((denial) => store.denials?.tell(denial));
  const prober = stack.use(startProber({ intervalSeconds: () => configuration.probes.intervalSeconds, log }));
  const version = versionOf();
  const metrics = createAgentMetrics(version);
  const reporter: AgentReporter | undefined = store.reportAgent?.(() =>
    describeSelf({
      version,
      network,
      pods: table.live.size,
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
      let succeeded = false;
      try {
        await network.resync(reasons);
        succeeded = true;
      } finally {
        resyncedAt = performance.now();
        metrics.resynced(reasons, (resyncedAt - started) / 1000, succeeded);
      }
      // What the cluster says of nodes leaves the pods of this one as they are.
      if (reasons.some((reason) => reason !== 'cluster')) enforcer?.podsChanged();
      if (network.readiness.ready) list?.ensure();
      prober.aim(targetsOf(network.reached.overlay?.peers ?? []));
      reporter?.look();
    },
    onError: (error, retryAfterMs) =>
      log.error('a resync did not reach all', { reason: describeError(error), retryAfterMs }),
    periodMs: configuration.resyncSeconds * 1000,
  });
  stack.defer(() => runner.stop());
  stack.use(store.watch(() => runner.trigger('cluster', 0)));
  stack.use(
    watchKernel({
      own: kernel.portIds,
      onEvent: (event) => {
        if (network.notice(event)) runner.trigger(event.kind, KERNEL_EVENT_MS);
      },
    }),
  );
  stack.use(
    watchRulesets(nftables.pids, (tables) => {
      // Whether others translate addresses counts too.
      network.distrustFirewall();
      if (tables === undefined || tables.has(POLICY_TABLE.name)) enforcer?.distrust();
      runner.trigger('nftables');
    }),
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
    table,
    removal,
    nextIndex,
    readiness: () => network.readiness,
    admit: ({ pod }) => enforcer?.admit(pod) ?? Promise.resolve(),
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
  await completePendingDeletions(stateDirectory, handle, log);
  const plugins = await listenForPlugins(join(socketDirectory, 'cni.sock'), handle, log);
  // One more look: a DEL may have been kept just before the socket was there.
  await completePendingDeletions(stateDirectory, handle, log);
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
  const describe = () =>
    describeAgent({
      name,
      startedAt,
      backend: configuration.backend,
      table,
      network,
      eventLoopDelay: eventLoop.read(),
      policy: enforcer?.status,
      otherProblems: [
        ...(enforcer?.problems ?? []),
        ...(reporter?.problem === undefined ? [] : [reporter.problem]),
        ...(list?.problems ?? []),
      ],
      prober,
      lastError: errors.last,
      version,
    });
  const questions = createQuestions({
    describe,
    policies: store.policies,
    enforcer,
    metrics,
    prober,
    errors,
    network,
    conntrack,
    sinceResyncMs: () => performance.now() - resyncedAt,
    resyncSeconds: () => configuration.resyncSeconds,
  });
  const socket = await listenForQuestions(join(socketDirectory, 'api.sock'), questions);
  stack.defer(() => void socket.close());
  if (configuration.metrics.address !== '') {
    const scrapes = await listenForScrapes(configuration.metrics.address, questions);
    stack.defer(() => void scrapes.close());
  }
  stack.use(
    followConfigurationFile(
      configurationFile,
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
    pods: table.live.size,
    readiness: network.readiness,
  });
  const running = stack.move();
  return {
    log,
    stop: async () => {
      if ((await store.removal?.isUnderWay()) === true) list?.remove();
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
