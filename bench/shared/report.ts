/** Findings as a table for people, as JSON, and as a picture. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { Findings, Ratio } from './bench.ts';

const RESULTS = new URL('../results/', import.meta.url);

export function toJson(name: string, { cases, ratios }: Findings): string {
  const plain = cases.map(({ case: what, metric, unit, n, ...rest }) => ({
    case: what,
    metric,
    unit,
    min: round(rest.min),
    median: round(rest.median),
    p95: round(rest.p95),
    n,
  }));
  const keyed = Object.fromEntries(ratios.map(({ key, value }) => [key, round(value)]));
  return JSON.stringify({ name, machine: machine(), cases: plain, ratios: keyed }, null, 2);
}

export function toTable({ cases, ratios, notes = [] }: Findings): string {
  const rows = cases.map(({ case: name, metric, unit, min, median, p95, n }) => [
    name,
    metric,
    unit,
    ...[min, median, p95].map((value) => String(round(value))),
    String(n),
  ]);
  const head = ['case', 'metric', 'unit', 'min', 'median', 'p95', 'n'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column > 2 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ');
  return [
    machine(),
    '',
    line(head),
    ...rows.map(line),
    '',
    ...notes,
    ...(notes.length > 0 ? [''] : []),
    ...ratios.map(formatRatio),
    '',
  ].join('\n');
}

/** Writes NAME.json and NAME.svg. */
export function save(name: string, findings: Findings): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(new URL(`${name}.json`, RESULTS), `${toJson(name, findings)}\n`);
  writeFileSync(new URL(`${name}.svg`, RESULTS), drawRatios(name, findings.ratios));
}

function formatRatio(ratio: Ratio): string {
  const { key, value, budget, least } = ratio;
  const wanted = least === undefined ? `≤ ${budget}` : `${least} to ${budget}`;
  const verdict =
    budget === undefined ? '' : isMet(ratio) ? `met (${wanted})` : `NOT REACHED (wanted ${wanted})`;
  return `${key.padEnd(36)} ${round(value).toFixed(3).padStart(8)}  ${verdict}`.trimEnd();
}

function isMet({ value, budget = Infinity, least = 0 }: Ratio): boolean {
  return value >= least && value <= budget;
}

/** A bar per ratio, with a mark where its budget is. */
function drawRatios(name: string, ratios: readonly Ratio[]): string {
  const [left, width, row] = [290, 460, 30];
  const scale = width / Math.max(1, ...ratios.map(({ value, budget }) => Math.max(value, budget ?? 0)));
  const height = 60 + ratios.length * row;
  const bars = ratios.flatMap((ratio, index) => {
    const { key, value, budget } = ratio;
    const y = 50 + index * row;
    const color = budget === undefined ? '#8a949e' : isMet(ratio) ? '#2a7d4f' : '#b3261e';
    return [
      `<text x="${left - 10}" y="${y + 14}" text-anchor="end">${key}</text>`,
      `<rect x="${left}" y="${y}" width="${value * scale}" height="18" fill="${color}"/>`,
      `<text x="${left + value * scale + 6}" y="${y + 14}">${round(value)}</text>`,
      ...(budget === undefined
        ? []
        : [
            `<path d="M ${left + budget * scale} ${y - 4} v 26" stroke="#000000" stroke-width="2"><title>budget ${budget}</title></path>`,
          ]),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 80}" height="${height}" font-family="sans-serif" font-size="13">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    `<text x="16" y="28" font-size="16" font-weight="bold">${name}: ratios; the mark is the budget</text>`,
    ...bars,
    '</svg>',
    '',
  ].join('\n');
}

function machine(): string {
  const model = cpus()[0]?.model.trim() || modelName();
  return `${cpus().length} × ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node.js ${process.version}`;
}

function modelName(): string {
  return /model name\s*:\s*(.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'CPU';
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
