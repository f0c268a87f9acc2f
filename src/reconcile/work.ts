/** Long computations that can be interrupted: nobody else shall wait for the end of one. */

/** Yields wherever somebody else may have a turn. */
export type Work<T> = Generator<undefined, T>;

/** In one go. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
