/**
 * Long work in small steps, each of which takes well below a millisecond: done all at once, or in turns with others
 * (turns.ts).
 */

/** Each `yield` is the end of a step. */
export type Steps<T> = Generator<void, T>;

export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Objects of a loop that are one step. */
const AT_A_TIME = 64;

/** The objects; every so often a step ends. */
export function* stepping<T>(objects: readonly T[], each: (object: T) => void): Steps<void> {
  for (let from = 0; from < objects.length; from += AT_A_TIME) {
    for (const object of objects.slice(from, from + AT_A_TIME)) each(object);
    yield;
  }
}
