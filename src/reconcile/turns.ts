/** Does long work in turns with whatever else the process has to do. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Work } from './work.ts';

/** Milliseconds after which others have a turn. */
const TURN_MS = 8;

export async function inTurns<T>(work: Work<T>): Promise<T> {
  let began = performance.now();
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (performance.now() - began < TURN_MS) continue;
    await nextTurn();
    began = performance.now();
  }
}
