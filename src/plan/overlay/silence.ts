/** What to say of a path without an answer. */
import { kindOf } from './kind/kinds.ts';
import type { OpenPath } from './kind/path-kind.ts';

export type { OpenPath } from './kind/path-kind.ts';

/** As in “no answer through the route via 192.168.1.3”. */
export function nameOfPath(path: OpenPath): string {
  return kindOf(path).describe(path);
}

export function cureOfSilence(peer: string, path: OpenPath): string {
  return kindOf(path).cureOfSilence(peer);
}
