/** Long work without keeping others waiting. */
import { setImmediate } from 'node:timers/promises';
import type { Slices } from './slices.ts';

/** Milliseconds of a slice, after which all else has a turn. */
const TURN_MS = 5;

/** Work that ends within one slice keeps nothing waiting, and ends before anything else begins. */
export async function runSliced<T>(steps: Slices<T>): Promise<T> {
  for (;;) {
    const end = performance.now() + TURN_MS;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (performance.now() < end);
    await setImmediate();
  }
}
