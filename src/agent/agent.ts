/** The agent of one node: its parts, the one runner that brings them about, and what it serves; ends in the reverse order. */
import type { Logger } from '../base/log/logger.ts';
import type { AgentReporter } from '../cluster/report/agent-reporter.ts';
import { serveCni } from './attach/serve-cni.ts';
import { type Basis, openBasis } from './basis.ts';
import type { ConfigurationSource, Edges } from './edges.ts';
import { type NetworkListReconciler, reconcileNetworkList } from './node/network-list.ts';
import { openParts, type Parts } from './parts.ts';
import { createAgentMetrics } from './serve/metrics.ts';
import { describeSelf } from './serve/self-report.ts';
import { serveQuestions } from './serve/serve-questions.ts';
import { createResyncs, watchAll } from './triggers.ts';

export type RunningAgent = {
  log: Logger;
  /** Where Fairlead is being removed, the cluster is told, and list and plugin go with the last pod; all else stays. */
  stop: () => Promise<void>;
};

/** Starts the agent; it serves when this resolves. The edges stay open when it stops: they are the caller's. */
export async function startAgent(edges: Edges, source: ConfigurationSource): Promise<RunningAgent> {
  const basis = openBasis(edges, source);
  const { log, configuration } = basis;
  await using stack = new AsyncDisposableStack();
  let reporter: AgentReporter | undefined;
  const parts = await openParts({ edges, basis, stack, onForce: () => reporter?.look() });
  const { store, table, network, datapath } = parts;
  reporter = reportSelf(basis, parts);
  stack.defer(() => reporter?.[Symbol.dispose]());
  const metrics = createAgentMetrics(basis.version);
  let list: NetworkListReconciler | undefined;
  const resyncs = createResyncs({ clock: edges.clock, basis, parts, metrics, reporter, list: () => list });
  const { runner } = resyncs;
  stack.defer(() => runner.stop());
  const watches = stack.use(watchAll(edges, basis, parts, runner));
  await runner.runNow('start').catch(() => undefined);
  const cni = stack.use(
    await serveCni({ edges, basis, parts, metrics, resync: () => runner.trigger('ports') }),
  );
  // Only now can a pod be attached, which is what the list says to a kubelet.
  list = stack.use(reconcileNetworkList(configuration, () => runner.trigger('network list'), log));
  if (network.readiness.ready) list.ensure();
  stack.use(await serveQuestions({ edges, basis, parts, metrics, resyncs, watches, list, reporter }));
  stack.use(
    basis.follow(() => {
      datapath.invalidate(['node']);
      runner.trigger('configuration');
    }),
  );
  log.info('the agent serves', {
    socket: cni.path,
    pods: table.now.known ? table.now.live.size : 'not known yet',
    readiness: network.readiness,
  });
  const running = stack.move();
  return {
    log,
    stop: async () => {
      if ((await store.removal?.isUnderWay()) === true) {
        list.remove(table.now);
        await store.leave?.();
      }
      await running.disposeAsync();
    },
  };
}

/** Tells the cluster how this agent is, where the cluster wants to know. */
function reportSelf({ version, errors }: Basis, parts: Parts): AgentReporter | undefined {
  const { store, network, table, enforcer, prober } = parts;
  return store.reportAgent?.(() =>
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
}
