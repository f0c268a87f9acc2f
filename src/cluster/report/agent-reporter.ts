/** Tells the cluster how this node's agent is: news as they come, all else with the signs of life between them. */
import { describeError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import { retryDelay } from '../../base/run/backoff.ts';
import { ApiError, isStatus } from '../../edge/kubernetes/api-error.ts';
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { leasePath } from '../kinds/lease.ts';
import { type AgentLife, agentLeaseName, leaseOfAgent } from './agent-record.ts';
import { type AgentReport, newsOf } from './agent-report.ts';

export type AgentReporter = {
  /** Something may be new. */
  look(): void;
  /** Why the cluster refuses to be told; absent while it does not. */
  readonly problem: string | undefined;
  [Symbol.dispose](): void;
};

export type AgentReporterOptions = {
  client: KubeClient;
  namespace: string;
  node: string;
  uid: () => string | undefined;
  /** How many nodes the cluster has. */
  nodes: () => number;
  /** As it is now. */
  report: () => AgentReport;
  log: Logger;
  times?: Partial<ReportTimes>;
};

export type ReportTimes = {
  /** Milliseconds from the first news to their telling, in which others join them. */
  leastMs: number;
  /** Seconds between two signs of life in a small cluster. */
  renewSeconds: number;
  /** Milliseconds before the second attempt where the first one failed. */
  retryMs: number;
};

const TIMES: ReportTimes = { leastMs: 50, renewSeconds: 10, retryMs: 1000 };
/** Of the whole cluster: of news that all nodes have at once, and of signs of life. */
const NEWS_PER_SECOND = 100;
const RENEWALS_PER_SECOND = 50;
/** Signs of life that may be missing before an agent counts as silent. */
const MISSING = 3;
const LONGEST_REQUEST_MS = 10_000;

/** Milliseconds by which one node's news wait, so that those of all nodes come one after the other. */
export function spreadMs(nodes: number, chance: number): number {
  return (chance * nodes * 1000) / NEWS_PER_SECOND;
}

export function renewalSeconds(nodes: number, least: number): number {
  return Math.max(least, Math.ceil(nodes / RENEWALS_PER_SECOND));
}

export function reportAgent(options: AgentReporterOptions): AgentReporter {
  const { client, namespace, node, uid, nodes, report, log } = options;
  const { leastMs, renewSeconds, retryMs } = { ...TIMES, ...options.times };
  const controller = new AbortController();
  let told: string | undefined;
  let due = Infinity;
  let timer: NodeJS.Timeout | undefined;
  let publishing = false;
  let failures = 0;
  let problem: string | undefined;
  let said: string | undefined;

  const schedule = (ms: number) => {
    const at = performance.now() + ms;
    if (at >= due || controller.signal.aborted) return;
    due = at;
    clearTimeout(timer);
    timer = setTimeout(() => void tell(), ms);
    timer.unref();
  };
  const look = () => {
    // While the cluster refuses, its back-off decides.
    if (publishing || failures > 0 || newsOf(report()) === told) return;
    schedule(leastMs + spreadMs(nodes(), Math.random()));
  };
  const tell = async () => {
    due = Infinity;
    publishing = true;
    const seconds = renewalSeconds(nodes(), renewSeconds);
    const [life, current] = [{ namespace, node, uid: uid(), promisedSeconds: MISSING * seconds }, report()];
    // A tenth more or less: what an outage brought together drifts apart again.
    let next = seconds * 1000 * (0.9 + Math.random() / 5);
    try {
      await publish(client, life, current, controller.signal);
      told = newsOf(current);
      failures = 0;
      if (said !== undefined) log.info('no longer a problem', { problem: said });
      problem = said = undefined;
    } catch (error) {
      if (controller.signal.aborted) return;
      const backoff = { firstMs: retryMs, lastMs: next };
      const asked = error instanceof ApiError ? error.retryAfterMs : undefined;
      // Who has no right to is not given it by asking often.
      if (!isStatus(error, 403)) next = retryDelay(backoff, failures, asked);
      failures++;
      // That no answer comes is said by those who list and watch.
      const refused = error instanceof ApiError && error.status !== undefined;
      const reason = `the cluster is not told how this agent is: ${describeError(error)}`;
      if (reason !== said) log.warn(reason);
      said = reason;
      problem = refused ? reason : undefined;
    } finally {
      publishing = false;
    }
    schedule(next);
    look();
  };
  return {
    look,
    get problem() {
      return problem;
    },
    [Symbol.dispose]: () => {
      controller.abort();
      clearTimeout(timer);
    },
  };
}

async function publish(
  client: KubeClient,
  life: AgentLife,
  report: AgentReport,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, node } = life;
  const request = {
    body: leaseOfAgent(life, report, new Date(client.serverTimeMs)),
    signal,
    totalMs: LONGEST_REQUEST_MS,
  };
  try {
    await client.json({
      ...request,
      method: 'PATCH',
      path: leasePath(namespace, agentLeaseName(node)),
      contentType: 'application/merge-patch+json',
    });
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    await client.json({ ...request, method: 'POST', path: leasePath(namespace) });
  }
}
