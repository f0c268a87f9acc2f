/** How long ago something was, in the few characters of a column: `5s`, `3m20s`, `2d3h`. */

const SECOND = 1;
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** @param since RFC 3339. @param now milliseconds since 1970. */
export function formatAge(since: string, now: number): string {
  const then = Date.parse(since);
  if (Number.isNaN(then)) return '<unknown>';
  return formatSeconds(Math.max(0, Math.floor((now - then) / 1000)));
}

/** Two units up to ten of the larger one, then one. */
export function formatSeconds(seconds: number): string {
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  if (seconds < 10 * MINUTE) return two(seconds, MINUTE, 'm', SECOND, 's');
  if (seconds < 3 * HOUR) return `${Math.floor(seconds / MINUTE)}m`;
  if (seconds < 8 * HOUR) return two(seconds, HOUR, 'h', MINUTE, 'm');
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)}h`;
  if (seconds < 8 * DAY) return two(seconds, DAY, 'd', HOUR, 'h');
  return `${Math.floor(seconds / DAY)}d`;
}

function two(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)}${largeName}${rest === 0 ? '' : `${rest}${smallName}`}`;
}
