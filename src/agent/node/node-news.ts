/** Tells log and cluster how the node is, as far as that is news. */

import type { Logger } from '../../base/log/logger.ts';
import type { ClusterStore, NodeReport } from '../../cluster/store.ts';
import type { NodeReached } from './network.ts';
import type { Readiness } from './node-view.ts';
import { refusalsOf } from './peer-refusals.ts';

export type NodeNews = {
  /** @param firewallProblems of its table, one sentence each. */
  tell(reached: NodeReached, readiness: Readiness, firewallProblems: readonly string[]): void;
};

/** @param isKnown whether the cluster has an accepted record of this node: only such a node is reported. */
export function createNodeNews(
  { log, store }: { log: Logger; store: Pick<ClusterStore, 'report'> },
  isKnown: () => boolean,
): NodeNews {
  let told: ReadonlySet<string> = new Set();
  return {
    tell: (reached, readiness, firewallProblems) => {
      const { problems, problem: unplanned, resync } = reached;
      const [now, before] = [new Set(problems), told];
      for (const problem of now) {
        if (before.has(problem)) continue;
        // An agent that starts has not read the cluster yet, which is no fault.
        if (problem === unplanned && resync?.reasons.includes('start') === true) log.info(problem);
        else log.warn(problem);
      }
      for (const problem of before) if (!now.has(problem)) log.info('no longer a problem', { problem });
      told = now;
      if (isKnown()) store.report?.({ ...pathState(reached, readiness, firewallProblems), problems });
    },
  };
}

/** Whether pods of this node are reached: more than that new ones may start, for which the last good view is enough. */
export function pathState(
  { underlays = [], links = [], problem, reached, overlay }: NodeReached,
  readiness: Readiness,
  firewallProblems: readonly string[],
): Pick<NodeReport, 'ready' | 'message'> {
  if (!readiness.ready) return { ready: false, message: readiness.reason };
  const dead = underlays.find(
    ({ linkIndex }) => links.find(({ index }) => index === linkIndex)?.running !== true,
  );
  // What was refused of a peer's path is a fault of that path: pods of this node are reached from all others.
  const [ownFailure] = reached === undefined ? [] : refusalsOf(reached, overlay?.peers ?? []).own;
  const fault =
    problem ??
    (dead === undefined
      ? (ownFailure?.error.message ?? firewallProblems[0])
      : `${dead.linkName}, which holds the node's address ${dead.address}, has no carrier; look at the cable, the switch and the link's state`);
  return fault === undefined
    ? { ready: true, message: `pods of ${readiness.view.ranges.join(', ')} are reached` }
    : { ready: false, message: fault };
}
