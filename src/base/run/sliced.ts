/** Long work without keeping others waiting. */
import { setImmediate } from 'node:timers/promises';
import type { Steps } from './slices.ts';

/** Milliseconds of one's own, after which everybody else has a turn. */
const TURN_MS = 5;

/** Work that ends within one turn keeps nobody waiting, and ends before anybody else begins. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const end = performance.now() + TURN_MS;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (performance.now() < end);
    await setImmediate();
  }
}
