/**
 * Ranges for the nodes of a cluster in which nothing else assigns any. Every agent looks, one acts: the lease is taken
 * when there is something to do, and given back when it is done, so that thousands of agents renew nothing meanwhile.
 */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import { Runner } from '../../base/run/runner.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import type { KubeStore } from '../kube-store.ts';
import type { Leadership } from './leadership.ts';
import { planRanges } from './plan.ts';

export type RangeAssignmentOptions = {
  store: KubeStore;
  leadership: Leadership;
  /** Asked for at every run, since the configuration may change. */
  podNetwork: () => readonly Cidr[];
  prefixLengths: () => Readonly<Record<IpFamily, number>>;
  serviceNetwork?: () => readonly Cidr[];
  log: Logger;
  /** Milliseconds for which a node is left to others who may assign: kube-controller-manager takes a second or two. */
  patienceMs?: number;
  /** Milliseconds after which the lease is tried again, and as much again by chance. */
  retryMs?: number;
};

export function assignRanges(options: RangeAssignmentOptions): { [Symbol.dispose](): void } {
  const { store, leadership, log, patienceMs = 10_000, retryMs = 2000 } = options;
  /** By uid, when a node was first seen without a range: milliseconds of our own clock. */
  const waitingSince = new Map<string, number>();
  let reported = '';
  const soon = (ms: number) => runner.trigger('waiting', ms + Math.random() * retryMs);

  const task = async () => {
    const ripe = ripeNodes(store.state.nodes, waitingSince, patienceMs);
    if (waitingSince.size === 0) return;
    if (ripe.length === 0) return soon(patienceMs);
    if (!(await leadership.take())) return soon(retryMs);
    try {
      // What an earlier leader assigned a moment ago may not have reached our own view.
      const nodes = await store.listNodes();
      const uids = new Set(ripe.map(({ uid }) => uid));
      const waiting = nodes.filter(({ uid, podCidrs }) => podCidrs.length === 0 && uids.has(uid));
      const plan = planRanges(
        nodes,
        waiting,
        options.podNetwork(),
        options.prefixLengths(),
        options.serviceNetwork?.(),
      );
      const failures: unknown[] = [];
      for (const { node, ranges } of plan.assignments) {
        if (leadership.remainingMs < leadership.graceMs && !(await leadership.take())) return soon(retryMs);
        try {
          if (await store.claimRanges(node, ranges, () => leadership.remainingMs > 0))
            log.info('gave a node its range', { to: node.name, ranges });
          else soon(retryMs);
        } catch (error) {
          failures.push(error);
        }
      }
      const problem = plan.problems.join('; ');
      if (problem !== reported && problem !== '') log.error(problem);
      reported = problem;
      if (problem !== '') soon(15 * retryMs);
      if (failures.length > 0) throw new AggregateError(failures, 'not every node has its range');
    } finally {
      await leadership.release();
    }
  };
  const runner = new Runner({
    task,
    onError: (error, retryAfterMs) =>
      log.warn('ranges could not be assigned', { reason: error, retryAfterMs }),
    delayMs: 100,
  });
  const watching = store.watch(() => runner.trigger('cluster'));
  runner.trigger('start');
  return {
    [Symbol.dispose]: () => {
      watching[Symbol.dispose]();
      void runner.stop();
    },
  };
}

/** Keeps the times up to date. @returns the nodes that have waited long enough. */
function ripeNodes(
  nodes: readonly ClusterNode[],
  waitingSince: Map<string, number>,
  patienceMs: number,
): ClusterNode[] {
  const now = performance.now();
  const waiting = nodes.filter(({ podCidrs }) => podCidrs.length === 0);
  const uids = new Set(waiting.map(({ uid }) => uid));
  for (const uid of waitingSince.keys()) if (!uids.has(uid)) waitingSince.delete(uid);
  for (const uid of uids) if (!waitingSince.has(uid)) waitingSince.set(uid, now);
  return waiting.filter(({ uid }) => now - waitingSince.get(uid)! >= patienceMs);
}
