/** Latency and loss of the paths to the peers, for Prometheus. */
import { createHistogram, type Labels, type Metric } from '../../base/metrics/registry.ts';
import type { Reach } from '../../plan/probe/rounds.ts';

/** Seconds: from two nodes in a rack to two continents. */
const BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
/** Paths that have series of their own; where there are more, those alone that lost a probe. */
const MOST_PATHS = 100;

export type ProbeMetrics = {
  answered(mode: string, seconds: number): void;
  all(reaches: readonly Reach[], silent: readonly Reach[]): Metric[];
};

export function createProbeMetrics(): ProbeMetrics {
  const times = createHistogram(
    'fairlead_peer_probe_rtt_seconds',
    'Round trip of the probes that peers answered, by the mode of the path.',
    BOUNDS,
  );
  return {
    answered: (mode, seconds) => times.observe({ mode }, seconds),
    all: (reaches, silent) => {
      const shown = worthSeries(reaches);
      const perPath = (
        name: string,
        type: 'counter' | 'gauge',
        help: string,
        value: (reach: Reach) => number | undefined,
      ): Metric => ({
        name,
        type,
        help,
        samples: () =>
          shown.flatMap((reach) => {
            const one = value(reach);
            return one === undefined ? [] : [{ labels: labelsOf(reach), value: one }];
          }),
      });
      return [
        times.metric,
        perPath(
          'fairlead_peer_probe_last_rtt_seconds',
          'gauge',
          'Round trip of the last probe that the peer answered.',
          ({ rttSeconds }) => rttSeconds,
        ),
        perPath('fairlead_peer_probe_sent_total', 'counter', 'Probes to the peer.', ({ sent }) => sent),
        perPath(
          'fairlead_peer_probe_lost_total',
          'counter',
          'Probes that the peer did not answer in time.',
          ({ lost }) => lost,
        ),
        {
          name: 'fairlead_peers_unreachable',
          type: 'gauge',
          help: 'Paths to other nodes on which the last probes were all lost.',
          samples: () => [{ value: silent.length }],
        },
      ];
    },
  };
}

/** A path that lost many stays among them. */
function worthSeries(reaches: readonly Reach[]): readonly Reach[] {
  if (reaches.length <= MOST_PATHS) return reaches;
  return reaches
    .filter(({ lost }) => lost > 0)
    .toSorted((a, b) => b.lost - a.lost)
    .slice(0, MOST_PATHS);
}

function labelsOf({ target: { peer, family } }: Reach): Labels {
  return { peer, family: String(family) };
}
