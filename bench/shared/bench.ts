/** What a benchmark is, and what it finds. */

export type Case = {
  case: string;
  metric: string;
  unit: string;
  min: number;
  median: number;
  p95: number;
  n: number;
  /** The mean of the best fifth: what ratios are made of, since disturbance only adds. */
  best: number;
};

export type Ratio = {
  key: string;
  value: number;
  /** The most that is wanted. */
  budget?: number;
  /** The least, where less is no better. */
  least?: number;
};

export type Findings = {
  cases: Case[];
  ratios: Ratio[];
  /** Lines for people. */
  notes?: readonly string[];
};

export type Bench = {
  name: string;
  summary: string;
  /** @param tell progress for people. */
  run: (tell: (step: string) => void) => Promise<Findings>;
};

export function summarize(name: string, metric: string, unit: string, values: readonly number[]): Case {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (fraction: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
  const fifth = sorted.slice(0, Math.max(1, Math.ceil(sorted.length / 5)));
  return {
    case: name,
    metric,
    unit,
    min: at(0),
    median: at(0.5),
    p95: at(0.95),
    n: sorted.length,
    best: fifth.reduce((sum, value) => sum + value, 0) / fifth.length,
  };
}

export function findCase(cases: readonly Case[], name: string, metric: string): Case {
  const found = cases.find((candidate) => candidate.case === name && candidate.metric === metric);
  if (found === undefined) throw new Error(`nothing was measured for ${name}, ${metric}`);
  return found;
}
