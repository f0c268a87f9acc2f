/** One subject of which the cluster tells: what it is now, known or not, and when it changes. Services will be a further one. */

import type { Known } from '../base/known.ts';

export type Topic<T extends object> = {
  /** Not known until all of it was listed once: half of it would look like all. */
  readonly now: Known<T>;
  /** What of it could not be read, one sentence each; the rest counts all the same. */
  readonly problems: readonly string[];
  /** Calls back after every change; ask {@link now} for what it is then. */
  watch(onChange: () => void): { [Symbol.dispose](): void };
};
