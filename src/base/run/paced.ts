/** Reading much without keeping others waiting: what the kernel holds of a connection may be megabytes. */
import { setImmediate } from 'node:timers/promises';

/** Milliseconds of work on what was read, after which all else has a turn. */
const SLICE_MS = 5;

export async function* paced<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  let begun = performance.now();
  for await (const chunk of source) {
    yield chunk;
    if (performance.now() - begun < SLICE_MS) continue;
    await setImmediate();
    begun = performance.now();
  }
}
