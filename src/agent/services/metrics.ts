/** Metrics of services: those of kube-proxy that dashboards and scale tests read, by its names, and our own. */
import { createCounter, createHistogram, type Metric } from '../../base/metrics/registry.ts';
import type { ServiceChanges } from '../../cluster/service-source.ts';
import type { ServiceTable } from '../../plan/service/table.ts';
import type { Written } from './keeper.ts';
import type { ServicesStatus } from './services.ts';

/** Seconds, as kube-proxy has them. */
const PROGRAMMING = [
  0.25,
  0.5,
  ...Array.from({ length: 59 }, (_, index) => index + 1),
  ...Array.from({ length: 12 }, (_, index) => 60 + index * 5),
  ...Array.from({ length: 7 }, (_, index) => 120 + index * 30),
];
const SYNC = Array.from({ length: 15 }, (_, index) => 0.001 * 2 ** index);

export type ServiceMetrics = {
  /** Something was written. */
  wrote(written: Exclude<Written, 'nothing'>, seconds: number, changes: ServiceChanges, now: Date): void;
  failed(): void;
  all(status: ServicesStatus, table: ServiceTable | undefined): Metric[];
};

export function createServiceMetrics(): ServiceMetrics {
  const programming = createHistogram(
    'kubeproxy_network_programming_duration_seconds',
    'From a change of endpoints in the cluster until it was in the kernel.',
    PROGRAMMING,
  );
  const sync = (kind: '' | 'full_' | 'partial_', what: string) =>
    createHistogram(`kubeproxy_sync_${kind}proxy_rules_duration_seconds`, what, SYNC);
  const [any, full, partial] = [
    sync('', 'What writing services took.'),
    sync('full_', 'What writing all of them took.'),
    sync('partial_', 'What writing a change of them took.'),
  ];
  const services = createCounter(
    'kubeproxy_sync_proxy_rules_service_changes_total',
    'Changes of services that were written.',
  );
  const endpoints = createCounter(
    'kubeproxy_sync_proxy_rules_endpoint_changes_total',
    'Changes of endpoint slices that were written.',
  );
  const failures = createCounter(
    'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
    'Writes that the kernel, or nft, refused.',
  );
  let writtenAt = 0;
  return {
    wrote: (written, seconds, changes, now) => {
      any.observe({}, seconds);
      (written === 'all' ? full : partial).observe({}, seconds);
      services.add({}, changes.services);
      endpoints.add({}, changes.slices);
      for (const at of changes.triggeredAt) programming.observe({}, Math.max(0, now.getTime() - at) / 1000);
      writtenAt = now.getTime() / 1000;
    },
    failed: () => failures.add({}),
    all: (status, table) => [
      programming.metric,
      any.metric,
      full.metric,
      partial.metric,
      services.metric,
      endpoints.metric,
      failures.metric,
      gauge(
        'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
        'When services were written last.',
        writtenAt,
      ),
      gauge('fairlead_services_serving', 'Whether this node serves services.', status.serving ? 1 : 0),
      gauge('fairlead_services', 'Services that this node serves.', status.services),
      gauge('fairlead_service_endpoints', 'Endpoints of their ports that serve.', status.endpoints),
      gauge('fairlead_service_problems', 'Of services that are served in part.', table?.problems.length ?? 0),
      {
        name: 'fairlead_service_flows_cut_total',
        type: 'counter',
        help: 'UDP flows that were cut because their endpoint serves no more.',
        samples: () => [{ value: status.flowsCut }],
      },
    ],
  };
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, type: 'gauge', help, samples: () => [{ value }] };
}
