/**
 * Long work in small steps, each of which takes well below a millisecond: done all at once, or in turns with others
 * (turns.ts).
 */

/** Each `yield` is the end of a step. */
export type Slices<T> = Generator<void, T>;

export function runToEnd<T>(steps: Slices<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Objects of a loop that are one step. */
const AT_A_TIME = 64;

/** Objects that are sorted in one step. */
const SORTED_AT_A_TIME = 1024;

/** Sorted, and stable. */
export function* sortSteps<T>(items: readonly T[], compare: (a: T, b: T) => number): Slices<T[]> {
  if (items.length <= SORTED_AT_A_TIME) return items.toSorted(compare);
  const middle = items.length >> 1;
  const first = yield* sortSteps(items.slice(0, middle), compare);
  yield;
  const second = yield* sortSteps(items.slice(middle), compare);
  const sorted: T[] = [];
  let [a, b] = [0, 0];
  while (a < first.length || b < second.length) {
    const fromFirst = b >= second.length || (a < first.length && compare(first[a]!, second[b]!) <= 0);
    sorted.push(fromFirst ? first[a++]! : second[b++]!);
    if (sorted.length % SORTED_AT_A_TIME === 0) yield;
  }
  return sorted;
}

/** The objects; every so often a step ends. */
export function* stepping<T>(objects: readonly T[], each: (object: T) => void): Slices<void> {
  for (let from = 0; from < objects.length; from += AT_A_TIME) {
    for (const object of objects.slice(from, from + AT_A_TIME)) each(object);
    yield;
  }
}
