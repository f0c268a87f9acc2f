/** How long to wait after a failure: longer each time, and never the same for all nodes of a cluster. */

export type Backoff = {
  /** Milliseconds before the second attempt. */
  firstMs: number;
  /** Milliseconds that are never exceeded, but for what the server asks. */
  lastMs: number;
};

export const API_BACKOFF: Backoff = { firstMs: 200, lastMs: 30_000 };

/** Milliseconds; more than what any sane server asks for. */
const LONGEST_ASKED_MS = 300_000;

/**
 * Half of the time is fixed, half is chance, so that thousands of agents do not come back in one moment.
 * @param failures how many there were before this one, in a row.
 * @param askedMs what the server asked for (`Retry-After`).
 * @param chance 0 … 1.
 * @returns milliseconds.
 */
export function retryDelay(
  { firstMs, lastMs }: Backoff,
  failures: number,
  askedMs = 0,
  chance: number = Math.random(),
): number {
  const longest = Math.min(lastMs, firstMs * 2 ** Math.min(failures, 30));
  const asked = Math.min(askedMs, LONGEST_ASKED_MS);
  return Math.max(longest / 2, asked) + (chance * longest) / 2;
}
