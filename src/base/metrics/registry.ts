/** Metrics and their text for Prometheus (text exposition format 0.0.4). Names follow its conventions: base units, `_total`. */

export type Labels = Readonly<Record<string, string>>;

export type Sample = { labels?: Labels; value: number };

export type Metric = {
  name: string;
  type: 'counter' | 'gauge' | 'histogram' | 'summary';
  /** One sentence: what is counted, in which unit. */
  help: string;
  /** Asked at every scrape. */
  samples: () => readonly (Sample & { suffix?: string })[];
};

export type Counter = { metric: Metric; add: (labels: Labels, amount?: number) => void };
export type Histogram = { metric: Metric; observe: (labels: Labels, value: number) => void };

/** Series of one metric; labels that grow without end are a fault of their setter. */
const MOST_SERIES = 1000;

export function createCounter(name: string, help: string): Counter {
  const series = new Map<string, { labels: Labels; value: number }>();
  return {
    metric: { name, type: 'counter', help, samples: () => [...series.values()] },
    add: (labels, amount = 1) => {
      const key = JSON.stringify(labels);
      const known = series.get(key);
      if (known !== undefined) known.value += amount;
      else if (series.size < MOST_SERIES) series.set(key, { labels, value: amount });
    },
  };
}

/** @param bounds upper ones of the buckets, ascending; above the last there is always one more. */
export function createHistogram(name: string, help: string, bounds: readonly number[]): Histogram {
  const series = new Map<string, { labels: Labels; counts: number[]; sum: number; count: number }>();
  return {
    metric: {
      name,
      type: 'histogram',
      help,
      samples: () =>
        [...series.values()].flatMap(({ labels, counts, sum, count }) => [
          ...bounds.map((bound, index) => ({
            suffix: '_bucket',
            labels: { ...labels, le: String(bound) },
            value: counts.slice(0, index + 1).reduce((total, one) => total + one, 0),
          })),
          { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
          { suffix: '_sum', labels, value: sum },
          { suffix: '_count', labels, value: count },
        ]),
    },
    observe: (labels, value) => {
      const key = JSON.stringify(labels);
      let known = series.get(key);
      if (known === undefined) {
        if (series.size >= MOST_SERIES) return;
        known = { labels, counts: bounds.map(() => 0), sum: 0, count: 0 };
        series.set(key, known);
      }
      const bucket = bounds.findIndex((bound) => value <= bound);
      if (bucket >= 0) known.counts[bucket]!++;
      known.sum += value;
      known.count++;
    },
  };
}

export function renderMetrics(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ name, type, help, samples }) => [
    `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
    `# TYPE ${name} ${type}`,
    ...samples().map(
      ({ suffix = '', labels = {}, value }) =>
        `${name}${suffix}${renderLabels(labels)} ${renderValue(value)}`,
    ),
  ]);
  return `${lines.join('\n')}\n`;
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function renderValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf';
}
