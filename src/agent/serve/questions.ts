/** What the agent answers, and from what it knows it. */

import { describeError } from '../../base/errors/errors.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import type { ErrorMemory } from '../../base/log/last-error.ts';
import { renderMetrics } from '../../base/metrics/registry.ts';
import type { Clock } from '../../base/run/clock.ts';
import { held } from '../../base/run/held.ts';
import type { PolicySource } from '../../cluster/policy-source.ts';
import type { PolicyCount } from '../../datapath/datapath.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import type { FlowRecord } from '../../plan/flow/flow-record.ts';
import { nameOf } from '../../plan/policy/compile/clause.ts';
import { hasNetwork } from '../../plan/policy/compile/population.ts';
import type { PolicyEnforcer } from '../datapath/policy-enforcer.ts';
import type { NodeNetwork } from '../node/network.ts';
import type { Prober } from '../probes/prober.ts';
import { explainServices } from '../services/explain.ts';
import type { Services } from '../services/services.ts';
import type { Questions } from './api-server.ts';
import type { AgentMetrics } from './metrics.ts';
import { recentFlows } from './recent-flows.ts';
import type { AgentStatus } from './status.ts';
import { explainWhy, type WhyAnswer, type WhyKnown } from './why.ts';

export type Known = Pick<WhyKnown, 'node' | 'kernel' | 'table' | 'podNetwork'> & {
  clock: Clock;
  describe: () => Promise<AgentStatus>;
  policies: PolicySource | undefined;
  enforcer: PolicyEnforcer | undefined;
  metrics: AgentMetrics;
  prober: Prober;
  errors: ErrorMemory;
  network: NodeNetwork;
  conntrack: Conntrack;
  services: Pick<Services, 'source' | 'table' | 'status' | 'metrics'>;
  sinceResyncMs: () => number;
  resyncSeconds: () => number;
  /** Whether all who may ask for metrics may know what policies are called. */
  policyNames: () => boolean;
};

/** Milliseconds between looks at what the kernel denied without reporting it, while it is followed. */
const COUNT_MS = 1000;
/** Milliseconds for which one answer is given to all who scrape at an address. */
const OPEN_SCRAPE_MS = 1000;
/** Resyncs that may be overdue before the agent counts as stuck. */
const OVERDUE = 3;

export function createQuestions(known: Known): Questions {
  const { clock, describe, prober, network } = known;
  const now = () => clock.now();
  // Each is a process of nft: one at a time, however many ask.
  const enforcer = known.enforcer;
  const counts = held(0, async () => (await enforcer?.counts()) ?? [], now);
  const scrape = async (names: boolean) => {
    const counted = await counts();
    const { metrics, errors } = known;
    return renderMetrics([
      ...metrics.all(await describe(), counted, errors.counts, names),
      ...prober.metrics(),
      ...known.services.metrics(),
    ]);
  };
  const openScrape = held(OPEN_SCRAPE_MS, () => scrape(known.policyNames()), now);
  return {
    status: describe,
    why: async (query) => JSON.stringify(await explain(known, query)),
    drops: () => JSON.stringify({ denials: enforcer?.drops?.latest ?? [] }),
    flows: async () => JSON.stringify({ flows: await seen(known) }),
    services: (query) => JSON.stringify(explainServices(known.services, query.get('name') ?? undefined)),
    followDrops: (onLine) => followDrops(known, counts, onLine),
    metrics: (audience) => (audience === 'root' ? scrape(true) : openScrape()),
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
function followDrops(
  { enforcer, clock }: Pick<Known, 'enforcer' | 'clock'>,
  counts: () => Promise<readonly PolicyCount[]>,
  onLine: (line: string) => void,
) {
  const following = enforcer?.drops?.follow((denial) => onLine(JSON.stringify(denial)));
  let [counted, reported] = [-1, 0];
  const count = async () => {
    const total = (await counts())
      .filter(({ outcome }) => !outcome.allowed || outcome.proposed !== undefined)
      .reduce((sum, { packets }) => sum + packets, 0);
    const shown = enforcer?.drops?.reported ?? 0;
    const unreported = total - counted - (shown - reported);
    if (counted >= 0 && unreported > 0) onLine(JSON.stringify({ unreported }));
    // Reports come a moment after their packets were counted.
    if (counted < 0 || unreported !== 0) [counted, reported] = [total, shown];
  };
  const timer = clock.every(COUNT_MS, () => void count().catch(() => undefined));
  return {
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      following?.[Symbol.dispose]();
    },
  };
}

async function seen({ conntrack, enforcer, policies, kernel, table }: Known): Promise<FlowRecord[]> {
  const names = new Map(
    (policies?.now.known === true ? policies.now.state.pods : [])
      .filter(hasNetwork)
      .flatMap((pod) => pod.podIPs.map((ip) => [ip, nameOf(pod)] as const)),
  );
  return recentFlows(conntrack, enforcer?.drops?.latest ?? [], {
    podAt: (ip) => names.get(ip),
    own: new Set(kernel.addresses().map(({ ip }) => ip)),
    attached: new Set(table.now.known ? [...table.now.live.values()].flatMap(({ ips }) => ips) : []),
  });
}

/** An explanation, or what is wrong with the question. */
async function explain(known: Known, query: URLSearchParams): Promise<WhyAnswer | { error: string }> {
  const { policies: source, enforcer, network } = known;
  if (source === undefined || enforcer === undefined)
    return { error: 'this agent knows no policies: the nodes of its cluster come from a directory' };
  const [port, family] = [query.get('port'), query.get('family')];
  try {
    return await explainWhy(
      { ...known, source, inForce: () => enforcer.inForce, reached: () => network.reached },
      {
        source: query.get('source') ?? '',
        destination: query.get('destination') ?? '',
        protocol: query.get('protocol') ?? 'tcp',
        ...(port === null ? {} : { port: Number(port) }),
        ...(family === null ? {} : { family: readFamily(family) }),
      },
    );
  } catch (error) {
    return { error: describeError(error) };
  }
}

function readFamily(text: string): IpFamily {
  if (text === '4') return 4;
  if (text === '6') return 6;
  throw new Error(`--family: ${JSON.stringify(text)} does not fit; use 4 or 6`);
}
