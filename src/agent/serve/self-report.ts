/** What this agent tells the cluster of itself. */

import type { LoggedError } from '../../base/log/last-error.ts';
import type { AgentReport } from '../../cluster/report/agent-report.ts';
import type { Reach } from '../../plan/probe/rounds.ts';
import type { NodeNetwork } from '../node/network.ts';

export type SelfReportInput = {
  version: string;
  network: NodeNetwork;
  pods: number;
  /** Digest of the policies in force. */
  policies: string | undefined;
  policyProblems: readonly string[];
  silent: readonly Reach[];
  lastError: LoggedError | undefined;
};

export function describeSelf(input: SelfReportInput): AgentReport {
  const { version, network, pods, policies, policyProblems, silent, lastError } = input;
  const { readiness, reached } = network;
  const paths: Record<string, number> = {};
  for (const peer of reached.overlay?.peers ?? [])
    for (const { path } of peer.paths) paths[path.mode] = (paths[path.mode] ?? 0) + 1;
  return {
    version,
    ready: readiness.ready,
    message: readiness.ready ? '' : readiness.reason,
    problems: [...reached.problems, ...policyProblems],
    ...(policies === undefined ? {} : { policies }),
    ranges: readiness.ready ? readiness.view.ranges : [],
    ...(readiness.ready ? { mtu: readiness.view.mtu } : {}),
    pods,
    paths,
    silent: { count: silent.length, peers: [...new Set(silent.map(({ target }) => target.peer))] },
    ...(lastError === undefined ? {} : { lastError: { at: lastError.at, text: lastError.text } }),
  };
}
