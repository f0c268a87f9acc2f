/** Publishes how this node's agent is: on change, and every few minutes as a sign of life. */
import { isStatus } from '../kube/api-error.ts';
import type { KubeClient } from '../kube/client.ts';
import { leasePath } from '../kube/kinds/lease.ts';
import type { Logger } from '../log/logger.ts';
import { Runner } from '../reconcile/runner.ts';
import { AGENT_NAMESPACE, agentLeaseName, leaseOfAgent } from './agent-record.ts';
import type { NodeReport } from './store.ts';

export type AgentReport = NodeReport & {
  version: string;
  /** Digest of the policies in force; absent while none are known. */
  policies?: string;
};

export type AgentReporter = { tell(report: Partial<AgentReport>): void; [Symbol.dispose](): void };

export type AgentReporterOptions = {
  client: KubeClient;
  node: string;
  version: string;
  /** How many nodes the cluster has: when a policy changes they all report. */
  nodes: () => number;
  log: Logger;
  /** Seconds between signs of life. */
  renewSeconds?: number;
};

const RENEW_SECONDS = 300;
/** Reports of the whole cluster that the API server is to take each second. */
const REPORTS_PER_SECOND = 100;
const LEAST_MS = 50;

export function reportAgent(options: AgentReporterOptions): AgentReporter {
  const { client, node, version, nodes, log, renewSeconds = RENEW_SECONDS } = options;
  let report: AgentReport = { version, ready: false, message: 'it has just started', problems: [] };
  const runner = new Runner({
    task: () => publish(client, node, report, renewSeconds),
    onError: (error, retryAfterMs) =>
      log.warn('the cluster could not be told how this agent is', { reason: error, retryAfterMs }),
    periodMs: renewSeconds * 1000,
  });
  return {
    tell: (changes) => {
      const next = { ...report, ...changes };
      if (JSON.stringify(next) === JSON.stringify(report)) return;
      report = next;
      const spreadMs = (nodes() / REPORTS_PER_SECOND) * 1000;
      runner.trigger('report', LEAST_MS + Math.random() * spreadMs);
    },
    [Symbol.dispose]: () => void runner.stop(),
  };
}

async function publish(
  client: KubeClient,
  node: string,
  report: AgentReport,
  renewSeconds: number,
): Promise<void> {
  const body = leaseOfAgent(node, report, renewSeconds, new Date());
  try {
    await client.json({
      method: 'PATCH',
      path: leasePath(AGENT_NAMESPACE, agentLeaseName(node)),
      contentType: 'application/merge-patch+json',
      body,
    });
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    await client.json({ method: 'POST', path: leasePath(AGENT_NAMESPACE), body });
  }
}
