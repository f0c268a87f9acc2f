/** An answer that costs something, asked for by any number of callers. */

/**
 * At most one call is under way, and all who ask meanwhile get its answer.
 * @param ms for which an answer is given again without asking; 0: only while it is on its way.
 * @param now milliseconds of a clock that only goes forward.
 */
export function held<T>(ms: number, ask: () => Promise<T>, now = () => performance.now()): () => Promise<T> {
  let latest: { answer: Promise<T>; until: number } | undefined;
  return () => {
    if (latest !== undefined && now() < latest.until) return latest.answer;
    const current = { answer: ask(), until: Infinity };
    latest = current;
    // A failure is not kept: the next caller asks again.
    current.answer.then(
      () => (current.until = now() + ms),
      () => (current.until = -Infinity),
    );
    return current.answer;
  };
}
