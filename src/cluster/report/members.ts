/** The whole cluster as its agents tell of themselves: who is there, who lags, who has fallen silent. */
import type { AgentRecord } from './agent-record.ts';
import type { AgentReport } from './agent-report.ts';

export type Member = {
  node: string;
  /** `silent`: it gave no sign of life for as long as it promised to. `unheard`: it never gave one. */
  agent: 'alive' | 'silent' | 'unheard';
  /** The last sign of life, RFC 3339. */
  seenAt?: string;
  /** Whether what it enforces are the policies that the API has now, as far as it said last. */
  policies: 'current' | 'behind' | 'unknown';
  report?: AgentReport;
};

/** @param generation digest of the policies that the API has now. */
export function membersOf(
  nodes: readonly string[],
  records: readonly AgentRecord[],
  generation: string,
  nowMs: number,
): Member[] {
  const byNode = new Map<string, AgentRecord>();
  for (const record of records) {
    const other = byNode.get(record.node);
    // Of two the later one: the agents have moved to another namespace.
    if (other === undefined || Date.parse(other.seenAt) < Date.parse(record.seenAt))
      byNode.set(record.node, record);
  }
  return nodes.map((node): Member => {
    const record = byNode.get(node);
    if (record === undefined) return { node, agent: 'unheard', policies: 'unknown' };
    const { seenAt, promisedSeconds, report } = record;
    const silent = nowMs - Date.parse(seenAt) > promisedSeconds * 1000;
    return {
      node,
      agent: silent ? 'silent' : 'alive',
      seenAt,
      policies:
        report.policies === undefined ? 'unknown' : report.policies === generation ? 'current' : 'behind',
      report,
    };
  });
}

/** Whether its agent is there and enforces what the API has. */
export function isInForce({ agent, policies }: Member): boolean {
  return agent === 'alive' && policies === 'current';
}

export function isWell({ agent, report }: Member): boolean {
  return (
    agent === 'alive' && report?.ready === true && report.problems.length === 0 && report.silent.count === 0
  );
}
