/** Peers that do not answer, as problems of this node. */
import { cureOfSilence, nameOfPath } from '../overlay/silence.ts';
import type { Reach } from './rounds.ts';

/** Sentences; the rest is counted. */
const MOST_NAMED = 10;

/** @param all how many peers are probed. */
export function problemsOfSilence(silent: readonly Reach[], all: number): string[] {
  if (silent.length > 1 && silent.length === all) {
    const since = Math.min(...silent.map(({ silentSince = Infinity }) => silentSince));
    return [
      `none of the ${all} paths to other nodes answers since ${timeOf(since)}; look at the interface that holds the ` +
        'address of this node, and at what filters between the nodes',
    ];
  }
  const sentences = silent.slice(0, MOST_NAMED).map(({ target: { peer, family, path }, silentSince = 0 }) => {
    const where = `IPv${family}, ${path.mode}`;
    return `node ${peer} (${where}) does not answer through ${nameOfPath(path)} since ${timeOf(silentSince)}; ${cureOfSilence(peer, path)}`;
  });
  const more = silent.length - sentences.length;
  return more > 0 ? [...sentences, `${more} more paths to other nodes do not answer`] : sentences;
}

/** RFC 3339, to the second: a problem that stays is the same sentence. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
