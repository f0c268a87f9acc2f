/** What a policy test found, as a matrix for people and as JUnit XML for CI systems. */
import type { Cell } from './check.ts';

/** Wider tables are of no use on a screen. */
const MOST_COLUMNS = 40;

export function formatMatrix(cells: readonly Cell[]): string {
  const wrong = cells.filter(({ passed, allow }) => passed !== allow);
  const tables = [...Map.groupBy(cells, portOf)].map(([port, own]) => formatTable(port, own));
  const faults = wrong.flatMap(({ from, to, allow, at, because, ...cell }) => [
    `${from} → ${to}, ${portOf(cell)}: ${allow ? 'is denied, and must be allowed' : 'is allowed, and must be denied'} (${at})`,
    ...(because === undefined ? [] : [`  ${because}`]),
  ]);
  const verdict =
    wrong.length === 0
      ? `All ${cells.length} are as they must be.`
      : `${wrong.length} of ${cells.length} are not as they must be:`;
  return `${[...tables, verdict, ...faults].join('\n')}\n`;
}

/** Rows are who asks. `.` is let through, `X` is not, `-` was not asked; `!` behind it marks what must be otherwise. */
function formatTable(port: string, cells: readonly Cell[]): string {
  const rows = [...new Set(cells.map(({ from }) => from))];
  const columns = [...new Set(cells.map(({ to }) => to))].slice(0, MOST_COLUMNS);
  const byPair = new Map(cells.map((cell) => [`${cell.from} ${cell.to}`, cell]));
  const width = Math.max(...rows.map(({ length }) => length), port.length);
  const mark = (cell: Cell | undefined) => {
    if (cell === undefined) return '- ';
    return `${cell.passed ? '.' : 'X'}${cell.passed === cell.allow ? ' ' : '!'}`;
  };
  return [
    port,
    ...columns.map((to, index) => `${' '.repeat(width + 2)}${'│ '.repeat(index)}${to}`),
    ...rows.map(
      (from) => `${from.padEnd(width + 2)}${columns.map((to) => mark(byPair.get(`${from} ${to}`))).join('')}`,
    ),
    '',
  ].join('\n');
}

/** As CI servers read it: a test case for each cell, a suite for each port. */
export function formatJunit(cells: readonly Cell[], seconds: number): string {
  const suites = [...Map.groupBy(cells, portOf)].map(([port, own]) => {
    const failures = own.filter(({ passed, allow }) => passed !== allow).length;
    const cases = own.map((cell) => {
      const name = `${cell.from} to ${cell.to} is ${cell.allow ? 'allowed' : 'denied'}`;
      const head = `    <testcase classname="${escapeXml(port)}" name="${escapeXml(name)}"`;
      if (cell.passed === cell.allow) return `${head}/>`;
      const message = `${cell.passed ? 'allowed' : 'denied'}; ${cell.because ?? ''} (${cell.at})`;
      return `${head}>\n      <failure message="${escapeXml(message)}"/>\n    </testcase>`;
    });
    return `  <testsuite name="${escapeXml(port)}" tests="${own.length}" failures="${failures}">\n${cases.join('\n')}\n  </testsuite>`;
  });
  const failures = cells.filter(({ passed, allow }) => passed !== allow).length;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="fairlead lab test" tests="${cells.length}" failures="${failures}" time="${seconds.toFixed(1)}">\n${suites.join('\n')}\n</testsuites>\n`;
}

function portOf({ protocol, port }: Pick<Cell, 'protocol' | 'port'>): string {
  return protocol === 'ICMP' ? 'ICMP' : `${protocol} ${port}`;
}

function escapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' };
  return text
    .replaceAll(/[<>&"]/g, (sign) => names[sign]!)
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/g, '?');
}
