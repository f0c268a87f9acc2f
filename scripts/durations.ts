/** A reporter of node:test: what each file took, its lab and all, the slowest first. `node --test --test-reporter=./scripts/durations.ts`. */

type Event = { type: string; data: { file?: string; duration_ms?: number; counts?: { tests: number } } };

export default async function* durations(events: AsyncIterable<Event>): AsyncGenerator<string> {
  const files: { name: string; seconds: number; tests: number }[] = [];
  for await (const { type, data } of events) {
    // That of the whole run names no file.
    if (type !== 'test:summary' || data.file === undefined) continue;
    const name = data.file.replace(`${process.cwd()}/`, '');
    files.push({ name, seconds: (data.duration_ms ?? 0) / 1000, tests: data.counts?.tests ?? 0 });
  }
  const sum = (of: (file: (typeof files)[number]) => number) =>
    files.reduce((total, file) => total + of(file), 0);
  yield line(
    sum(({ seconds }) => seconds),
    sum(({ tests }) => tests),
    `all ${files.length} files`,
  );
  for (const { name, seconds, tests } of files.toSorted((a, b) => b.seconds - a.seconds))
    yield line(seconds, tests, name);
}

function line(seconds: number, tests: number, name: string): string {
  return `${seconds.toFixed(1).padStart(8)} s ${String(tests).padStart(5)} tests  ${name}\n`;
}
