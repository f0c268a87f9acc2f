/** What the agent counts, and what of its state is told at every scrape. */
import { readdirSync } from 'node:fs';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { createCounter, createHistogram, type Metric, type Sample } from '../../base/metrics/registry.ts';
import type { PolicyCount } from '../../datapath/datapath.ts';
import type { CniReply } from '../../edge/cni/result/reply.ts';
import { capacityOf, usedIn } from '../../plan/ipam/allocate.ts';
import type { AgentStatus } from './status.ts';

/** Seconds: an ADD takes a few milliseconds, one that waits up to seconds. */
const CNI_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Series of one metric; more policies than these are in no dashboard. */
const MOST_POLICY_SERIES = 1000;
const RESYNC_BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export type AgentMetrics = {
  /** Counts one call of the plugin. @param seconds how long it took. */
  called: (command: string, reply: CniReply, seconds: number) => void;
  resynced: (reasons: readonly string[], seconds: number, succeeded: boolean) => void;
  /**
   * @param counts of policies; none where there are none.
   * @param logged messages by level.
   * @param names whether policies are named.
   */
  all: (
    status: AgentStatus,
    counts: readonly PolicyCount[],
    logged: Readonly<Record<string, number>>,
    names: boolean,
  ) => Metric[];
};

export function createAgentMetrics(version: string): AgentMetrics {
  const calls = createCounter(
    'fairlead_cni_requests_total',
    'Calls of the CNI plugin, by command and code (0 is success).',
  );
  const callTimes = createHistogram(
    'fairlead_cni_request_duration_seconds',
    'Time that the agent took for a call of the CNI plugin.',
    CNI_BOUNDS,
  );
  const resyncs = createCounter(
    'fairlead_resyncs_total',
    'Comparisons of the kernel with what it shall hold, by reason and outcome.',
  );
  const resyncTimes = createHistogram(
    'fairlead_resync_duration_seconds',
    'Time that a comparison took.',
    RESYNC_BOUNDS,
  );
  return {
    called: (command, { exitCode, stdout }, seconds) => {
      calls.add({ command, code: exitCode === 0 ? '0' : codeOf(stdout) });
      callTimes.observe({ command }, seconds);
    },
    resynced: (reasons, seconds, succeeded) => {
      for (const reason of reasons) resyncs.add({ reason, outcome: succeeded ? 'success' : 'failure' });
      resyncTimes.observe({}, seconds);
    },
    all: (status, counts, logged, names) => [
      calls.metric,
      callTimes.metric,
      resyncs.metric,
      resyncTimes.metric,
      ...describe(status),
      ...(status.policy === undefined ? [] : [policyPackets(counts, names)]),
      {
        name: 'fairlead_log_messages_total',
        type: 'counter',
        help: 'Messages of the log that something went wrong, by level.',
        samples: () => Object.entries(logged).map(([level, value]) => ({ labels: { level }, value })),
      },
      gauge('fairlead_build_info', 'Version of the agent; always 1.', [
        { labels: { version, node_version: process.version }, value: 1 },
      ]),
      ...ofProcess(),
    ],
  };
}

function describe(status: AgentStatus): Metric[] {
  const { readiness, attachments, peers, problems, eventLoopDelay, policy } = status;
  const ranges = readiness.ready ? readiness.view.ranges : [];
  const taken = new Set(attachments.flatMap(({ ips }) => ips.map((ip) => parseIp(ip))));
  const modes = peers.flatMap(({ paths }) => paths.map(({ family, path }) => `${family} ${path.mode}`));
  const paths = [...Map.groupBy(modes, (mode) => mode)].map(([mode, group]): Sample => {
    const [family = '', name = ''] = mode.split(' ');
    return { labels: { family, mode: name }, value: group.length };
  });
  const refusals = [...Map.groupBy(status.rangeRefusals, ({ cause }) => cause)].map(
    ([cause, group]): Sample => ({ labels: { cause }, value: group.length }),
  );
  const perRange = (value: (range: string) => number) =>
    ranges.map((range): Sample => ({ labels: { range }, value: value(range) }));
  return [
    gauge('fairlead_ready', 'Whether pods can be attached.', [{ value: readiness.ready ? 1 : 0 }]),
    gauge('fairlead_problems', 'Problems that the agent reports now.', [{ value: problems.length }]),
    gauge(
      'fairlead_attachments',
      'Interfaces of pods on this node; absent while it is not known.',
      status.attachmentsUnknown === undefined ? [{ value: attachments.length }] : [],
    ),
    gauge('fairlead_peers', 'Other nodes.', [{ value: peers.length }]),
    gauge('fairlead_peer_paths', 'Paths to other nodes, by family and mode (none: not reached).', paths),
    gauge(
      'fairlead_addresses_capacity',
      'Pods that a range of this node can hold.',
      perRange((range) => capacityOf(parseCidr(range))),
    ),
    gauge(
      'fairlead_addresses_used',
      'Addresses of a range of this node that pods have.',
      perRange((range) => usedIn(parseCidr(range), taken)),
    ),
    spoofDrops(status),
    gauge('fairlead_range_refusals', 'Ranges that are refused, and nodes that get none, by cause.', refusals),
    {
      ...gauge('fairlead_event_loop_delay_seconds', 'How late the agent was, since its start.', [
        { labels: { quantile: '0.5' }, value: eventLoopDelay.p50 / 1000 },
        { labels: { quantile: '0.99' }, value: eventLoopDelay.p99 / 1000 },
        { labels: { quantile: '1' }, value: eventLoopDelay.max / 1000 },
      ]),
      type: 'summary',
    },
    ...(policy === undefined
      ? []
      : [
          gauge('fairlead_policies', 'Network policies of the cluster.', [{ value: policy.policies }]),
          gauge('fairlead_policy_isolated_pods', 'Pods of this node that some policy isolates.', [
            { value: policy.isolated },
          ]),
          gauge('fairlead_policy_synced', 'Whether all policies are known.', [
            { value: policy.synced ? 1 : 0 },
          ]),
          counter(
            'fairlead_policy_connections_cut_total',
            'Connections that were cut because a policy forbade them.',
            policy.connectionsCut,
          ),
        ]),
  ];
}

/** None where they are not known: a zero would say that there were none. */
function spoofDrops({ spoofDrops: drops }: AgentStatus): Metric {
  const packets = drops.known ? Object.entries(drops.packets) : [];
  return {
    name: 'fairlead_spoof_drops_total',
    type: 'counter',
    help: 'Packets that were dropped because they were not what they claimed to be, by kind.',
    samples: () => packets.map(([kind, value]) => ({ labels: { kind }, value })),
  };
}

/** What is staged counts by what it would have done; what is in force by what it did. */
function policyPackets(counts: readonly PolicyCount[], named: boolean): Metric {
  const samples = counts.flatMap(({ outcome, packets }): Sample[] => {
    const { direction, allowed, policies, proposed } = outcome;
    const sample = (verdict: string, names: readonly string[]): Sample[] =>
      names.length === 0
        ? []
        : [{ labels: { ...(named ? { policy: names.join(',') } : {}), direction, verdict }, value: packets }];
    return [
      ...sample(allowed ? 'allowed' : 'denied', policies),
      ...(proposed === undefined
        ? []
        : sample(proposed.allowed ? 'would_allow' : 'would_deny', proposed.policies)),
    ];
  });
  const sums = [...Map.groupBy(samples, ({ labels }) => JSON.stringify(labels)).values()].map(
    (same): Sample => ({ labels: same[0]!.labels!, value: same.reduce((sum, { value }) => sum + value, 0) }),
  );
  return {
    name: 'fairlead_policy_packets_total',
    type: 'counter',
    help: 'Packets that began a connection, or tried to, by the policies that decided and how.',
    samples: () => sums.slice(0, MOST_POLICY_SERIES),
  };
}

function ofProcess(): Metric[] {
  const { user, system } = process.cpuUsage();
  return [
    gauge('process_resident_memory_bytes', 'Resident memory.', [{ value: process.memoryUsage.rss() }]),
    counter('process_cpu_seconds_total', 'Time on processors.', (user + system) / 1e6),
    gauge('process_open_fds', 'Open file descriptors.', [{ value: readdirSync('/proc/self/fd').length }]),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: 'gauge', help, samples: () => samples };
}

function counter(name: string, help: string, value: number): Metric {
  return { name, type: 'counter', help, samples: () => [{ value }] };
}

function codeOf(stdout: string): string {
  return /"code":(\d+)/.exec(stdout)?.[1] ?? 'unknown';
}
