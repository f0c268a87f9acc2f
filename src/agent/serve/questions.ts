/** What the agent answers, and from what it knows it. */

import { describeError } from '../../base/errors/errors.ts';
import type { ErrorMemory } from '../../base/log/last-error.ts';
import { renderMetrics } from '../../base/metrics/registry.ts';
import type { PolicySource } from '../../cluster/policy-source.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import { type Known as KnownEnds, mayBeService } from '../../plan/policy/answer/ends.ts';
import { type Explanation, explainFlow } from '../../plan/policy/answer/why.ts';
import type { PolicyEnforcer } from '../datapath/policy-enforcer.ts';
import type { NodeNetwork } from '../node/network.ts';
import type { Prober } from '../probes/prober.ts';
import type { Questions } from './api-server.ts';
import type { AgentMetrics } from './metrics.ts';
import { recentFlows } from './recent-flows.ts';
import type { AgentStatus } from './status.ts';

export type Known = {
  describe: () => AgentStatus;
  policies: PolicySource | undefined;
  enforcer: PolicyEnforcer | undefined;
  metrics: AgentMetrics;
  prober: Prober;
  errors: ErrorMemory;
  network: NodeNetwork;
  conntrack: Conntrack;
  sinceResyncMs: () => number;
  resyncSeconds: () => number;
};

/** Milliseconds between looks at what the kernel denied without reporting it, while somebody follows. */
const COUNT_MS = 1000;
/** Resyncs that may be overdue before the agent counts as stuck. */
const OVERDUE = 3;

export function createQuestions(known: Known): Questions {
  const { describe, policies, enforcer, metrics, prober, errors, network, conntrack } = known;
  return {
    status: describe,
    why: async (query) => JSON.stringify(await explain(policies, query)),
    drops: () => JSON.stringify({ denials: enforcer?.drops?.latest ?? [] }),
    flows: async () => JSON.stringify({ flows: await recentFlows(conntrack, enforcer?.drops?.latest ?? []) }),
    followDrops: (onLine) => followDrops(enforcer, onLine),
    metrics: async () => {
      const counts = (await enforcer?.counts()) ?? [];
      return renderMetrics([...metrics.all(describe(), counts, errors.counts), ...prober.metrics()]);
    },
    health: () => {
      const silent = known.sinceResyncMs() / 1000;
      return silent > OVERDUE * known.resyncSeconds()
        ? `the last resync ended ${Math.round(silent)} seconds ago, and one is due every ${known.resyncSeconds()}`
        : undefined;
    },
    readiness: () => (network.readiness.ready ? undefined : network.readiness.reason),
  };
}

/** Each denied packet, and once a second how many more the kernel counted than it reported. */
function followDrops(enforcer: PolicyEnforcer | undefined, onLine: (line: string) => void) {
  const following = enforcer?.drops?.follow((denial) => onLine(JSON.stringify(denial)));
  let [counted, reported] = [-1, 0];
  const count = async () => {
    const counts = (await enforcer?.counts()) ?? [];
    const total = counts
      .filter(({ outcome }) => !outcome.allowed || outcome.proposed !== undefined)
      .reduce((sum, { packets }) => sum + packets, 0);
    const shown = enforcer?.drops?.reported ?? 0;
    const unreported = total - counted - (shown - reported);
    if (counted >= 0 && unreported > 0) onLine(JSON.stringify({ unreported }));
    // Reports come a moment after their packets were counted.
    if (counted < 0 || unreported !== 0) [counted, reported] = [total, shown];
  };
  const timer = setInterval(() => void count().catch(() => undefined), COUNT_MS);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      following?.[Symbol.dispose]();
    },
  };
}

/** An explanation, or what is wrong with the question. */
async function explain(
  source: PolicySource | undefined,
  query: URLSearchParams,
): Promise<Explanation | { error: string }> {
  const state = source?.state;
  if (source === undefined || state === undefined)
    return { error: 'this agent knows no policies (yet): its cluster has none, or was not read' };
  const [from, to] = [query.get('source') ?? '', query.get('destination') ?? ''];
  const port = query.get('port');
  try {
    const known = { ...state, nodes: [...source.nodes()] };
    const services = [from, to].some((end) => mayBeService(known, end)) ? await readServices(source) : [];
    return explainFlow(
      { ...known, services },
      {
        source: from,
        destination: to,
        protocol: query.get('protocol') ?? 'tcp',
        ...(port === null ? {} : { port: Number(port) }),
      },
    );
  } catch (error) {
    return { error: describeError(error) };
  }
}

/** An API that does not answer leaves all other questions answered. */
async function readServices(source: PolicySource): Promise<NonNullable<KnownEnds['services']>> {
  try {
    return await source.readServices();
  } catch (error) {
    return { problem: describeError(error) };
  }
}
