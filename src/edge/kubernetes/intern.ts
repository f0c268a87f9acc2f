/**
 * One value for many equal ones. Pods of one set lie next to each other in a list, with the same labels, namespace and
 * ports: a short memory finds nearly all of them, and cannot grow with what comes and goes.
 */

/** Values that are remembered before all are forgotten. */
const MOST = 1024;

/** @returns a function that gives for equal values the same one. @param keyOf equal for equal values alone. */
export function createInterner<T>(keyOf: (value: T) => string): (value: T) => T {
  const known = new Map<string, T>();
  return (value) => {
    const key = keyOf(value);
    const same = known.get(key);
    if (same !== undefined) return same;
    if (known.size >= MOST) known.clear();
    known.set(key, value);
    return value;
  };
}

export const internText: (text: string) => string = createInterner<string>((text) => text);
