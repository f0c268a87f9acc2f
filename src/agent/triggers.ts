/** When the parts are brought about anew: the one runner, and what triggers it. */

import { describeError } from '../base/errors/errors.ts';
import type { Clock } from '../base/run/clock.ts';
import { Runner } from '../base/run/runner.ts';
import type { AgentReporter } from '../cluster/report/agent-reporter.ts';
import { targetsOf } from '../plan/probe/target.ts';
import type { Basis } from './basis.ts';
import type { Edges } from './edges.ts';
import type { NetworkListReconciler } from './node/network-list.ts';
import type { Parts } from './parts.ts';
import type { AgentMetrics } from './serve/metrics.ts';

/** A pod that comes or goes causes a dozen notifications: they are looked into together. */
const KERNEL_EVENT_MS = 150;
/** Changes of others' tables are looked into together: each look is a run of nft. */
const FOREIGN_TABLES_MS = 1000;

export type Resyncs = {
  runner: Runner;
  /** Milliseconds since the latest has ended. */
  sinceMs: () => number;
};

export type ResyncsOptions = {
  clock: Clock;
  basis: Basis;
  parts: Parts;
  metrics: AgentMetrics;
  reporter: AgentReporter | undefined;
  /** Absent until pods can be attached. */
  list: () => NetworkListReconciler | undefined;
};

export function createResyncs({ clock, basis, parts, metrics, reporter, list }: ResyncsOptions): Resyncs {
  const { network, enforcer, prober, services } = parts;
  const { log, configuration } = basis;
  let endedAt = clock.now();
  const runner = new Runner({
    clock,
    task: async (reasons) => {
      const started = clock.now();
      // What was not reached does not keep the others from what was.
      const [outcome] = await Promise.allSettled([network.resync(reasons)]);
      endedAt = clock.now();
      metrics.resynced(reasons, (endedAt - started) / 1000, outcome.status === 'fulfilled');
      // What the cluster says of nodes leaves the pods of this one as they are.
      if (reasons.some((reason) => reason !== 'cluster')) enforcer?.podsChanged();
      services.look();
      if (network.readiness.ready) list()?.ensure();
      prober.aim(targetsOf(network.reached.overlay?.peers ?? []));
      reporter?.look();
      if (outcome.status === 'rejected') throw outcome.reason;
    },
    onError: (error, retryAfterMs) =>
      log.error('a resync did not reach all', { reason: describeError(error), retryAfterMs }),
    periodMs: configuration().resyncSeconds * 1000,
  });
  return { runner, sinceMs: () => clock.now() - endedAt };
}

export type Watches = Disposable & {
  /** While one of them hears nothing, one sentence each. */
  readonly problems: readonly string[];
};

/** The cluster, the kernel and others' rulesets. */
export function watchAll(edges: Edges, { log }: Basis, parts: Parts, runner: Runner): Watches {
  using stack = new DisposableStack();
  const { store, network, datapath, enforcer, services } = parts;
  const onUnheard = (problem: string) => log.error(problem);
  stack.use(store.watch(() => runner.trigger('cluster', 0)));
  const kernel = stack.use(
    edges.watchKernel((event) => {
      if (network.notice(event)) runner.trigger(event.kind, KERNEL_EVENT_MS);
    }, onUnheard),
  );
  const rulesets = stack.use(
    datapath.watch((causes) => {
      if (causes.includes('policies')) enforcer?.stale();
      if (causes.includes('services')) services.distrust();
      if (causes.includes('others')) services.othersChanged();
      // Whether others translate addresses counts too; some change their tables all the time.
      runner.trigger('nftables', causes.includes('node') ? undefined : FOREIGN_TABLES_MS);
    }, onUnheard),
  );
  const open = stack.move();
  return {
    get problems() {
      return [kernel.problem, rulesets.problem].filter((problem) => problem !== undefined);
    },
    [Symbol.dispose]: () => open.dispose(),
  };
}
