/**
 * What a node tells the cluster of itself: whether its network is up (condition NetworkUnavailable, which schedulers
 * and people look at), the start-up taint that goes with it, and an Event for every new problem.
 */

import { fieldsAt, isFields, listAt, textAt } from '../../base/fields/fields.ts';
import type { Logger } from '../../base/log/logger.ts';
import { Runner } from '../../base/run/runner.ts';
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { type EventText, eventOf, timeOf } from '../../edge/kubernetes/event.ts';
import type { KubeNode } from '../kinds/node.ts';
import type { NodeReport } from '../store.ts';

export type NodeReporter = { report(report: NodeReport): void; [Symbol.dispose](): void };

export type NodeReporterOptions = {
  client: KubeClient;
  /** The record of this node, as it is known now. */
  node: () => KubeNode | undefined;
  /** Key of the taint that keeps pods away until the network is up; empty for none. */
  taint: () => string;
  log: Logger;
  /** Milliseconds in which one problem makes one Event. */
  repeatMs?: number;
};

const REPEAT_MS = 600_000;
/** Of one report; all of them are in the agent's status. */
const MOST_EVENTS = 10;
const LONGEST_MESSAGE = 1000;
const NETWORK_UNAVAILABLE = 'NetworkUnavailable';

export function reportNode(options: NodeReporterOptions): NodeReporter {
  const { client, node, taint, log, repeatMs = REPEAT_MS } = options;
  let latest: NodeReport | undefined;
  /** What the cluster was told last, and of which record of the node. */
  let told = '';
  /** Since when the condition has its status, of which record of the node. */
  let standing: { uid: string; status: string; since: string } | undefined;
  const events = new Map<string, number>();

  const task = async () => {
    const own = node();
    if (latest === undefined || own === undefined) return;
    const report = latest;
    const condition = JSON.stringify([own.uid, report.ready, report.message]);
    if (condition !== told) {
      const now = new Date();
      if (standing?.uid !== own.uid) standing = await readStanding(client, own);
      const next = conditionOf(report, now, standing);
      await client.json({
        method: 'PATCH',
        path: `/api/v1/nodes/${own.name}/status`,
        // Conditions are merged by their type: those of others stay.
        contentType: 'application/strategic-merge-patch+json',
        body: { status: { conditions: [next] } },
      });
      told = condition;
      standing = { uid: own.uid, status: next.status, since: next.lastTransitionTime };
    }
    if (report.ready) await removeTaint(client, own, taint());
    for (const problem of freshProblems(report.problems, events, repeatMs, performance.now())) {
      await client.json({
        method: 'POST',
        path: '/api/v1/namespaces/default/events',
        body: eventOf(problemEvent(own, problem), new Date()),
      });
      events.set(problem, performance.now());
    }
  };
  const runner = new Runner({
    task,
    onError: (error, retryAfterMs) =>
      log.warn('the cluster could not be told how this node is', { reason: error, retryAfterMs }),
    delayMs: 100,
  });
  return {
    report: (report) => {
      latest = report;
      runner.trigger('report');
    },
    [Symbol.dispose]: () => void runner.stop(),
  };
}

/**
 * Of a Node's status (core/v1 NodeCondition).
 * @param standing the status that it has, and since when (RFC 3339): another reason for the same is no transition.
 */
export function conditionOf(
  { ready, message }: NodeReport,
  now: Date,
  standing?: { status: string; since: string },
) {
  const time = timeOf(now);
  const status = ready ? 'False' : 'True';
  return {
    type: NETWORK_UNAVAILABLE,
    status,
    reason: ready ? 'FairleadIsUp' : 'FairleadIsNotReady',
    message: message.slice(0, LONGEST_MESSAGE),
    lastHeartbeatTime: time,
    lastTransitionTime: standing?.status === status && standing.since !== '' ? standing.since : time,
  };
}

/** As an earlier agent left it. */
async function readStanding(client: KubeClient, own: KubeNode) {
  const node = await client.json({ path: `/api/v1/nodes/${own.name}` });
  const conditions = isFields(node) ? listAt(fieldsAt(node, 'status'), 'conditions') : [];
  const condition = conditions.filter(isFields).find((one) => one['type'] === NETWORK_UNAVAILABLE) ?? {};
  return {
    uid: own.uid,
    status: textAt(condition, 'status') ?? '',
    since: textAt(condition, 'lastTransitionTime') ?? '',
  };
}

/** The version makes it a compare-and-swap: taints are a list, and others write theirs. */
async function removeTaint(client: KubeClient, own: KubeNode, key: string): Promise<void> {
  if (key === '' || !own.taints.some((taint) => taint.key === key)) return;
  await client.json({
    method: 'PATCH',
    path: `/api/v1/nodes/${own.name}`,
    contentType: 'application/merge-patch+json',
    body: {
      metadata: { uid: own.uid, resourceVersion: own.resourceVersion },
      spec: { taints: own.taints.filter((taint) => taint.key !== key) },
    },
  });
}

/** Forgets those that are over, so that they are told again when they come back. */
export function freshProblems(
  problems: readonly string[],
  told: Map<string, number>,
  repeatMs: number,
  nowMs: number,
): string[] {
  for (const problem of told.keys()) if (!problems.includes(problem)) told.delete(problem);
  return [...new Set(problems)]
    .filter((problem) => nowMs - (told.get(problem) ?? -Infinity) >= repeatMs)
    .slice(0, MOST_EVENTS);
}

/** Events about nodes are found by the name in place of the uid, as kubelets write them. */
function problemEvent({ name }: KubeNode, message: string): EventText {
  const involved = { apiVersion: 'v1', kind: 'Node', name, uid: name };
  return { involved, reason: 'NetworkProblem', message, type: 'Warning', host: name };
}
