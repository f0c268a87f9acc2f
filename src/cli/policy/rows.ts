/** Lines that are equal but for one end, as one row that names the first few of those. */

const MOST_NAMED = 3;

export function gatherRows<T>(
  lines: readonly T[],
  cellsOf: (line: T) => readonly string[],
  memberOf: (line: T) => string,
): string[][] {
  const groups = Map.groupBy(lines, (line) => cellsOf(line).join('\n'));
  return [...groups.values()].map((alike) => {
    const named = alike.slice(0, MOST_NAMED).map(memberOf).join(', ');
    const more = alike.length - MOST_NAMED;
    return [...cellsOf(alike[0]!), more > 0 ? `${named}, and ${more} more` : named];
  });
}
