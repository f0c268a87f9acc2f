/** What may match a selector, without asking all: by one label that it wants, or by namespace. */
import type { Labels, Selector } from '../parse/objects.ts';

type Described = { namespace: string; labels: Labels };

export type LabelIndex<T> = {
  add(item: T, described: Described): void;
  remove(item: T, described: Described): void;
  /** @returns all that may match it, and others; undefined where that may be all. */
  find(selector: Selector, namespace: string | undefined): Iterable<T> | undefined;
};

export function openIndex<T>(): LabelIndex<T> {
  const items = new Map<string, Set<T>>();
  const keysOf = ({ namespace, labels }: Described) => [
    namespace,
    ...Object.entries(labels).map(([key, value]) => keyOf(key, value)),
  ];
  return {
    add: (item, described) => {
      for (const key of keysOf(described)) {
        const known = items.get(key);
        if (known === undefined) items.set(key, new Set([item]));
        else known.add(item);
      }
    },
    remove: (item, described) => {
      for (const key of keysOf(described)) {
        const known = items.get(key);
        known?.delete(item);
        if (known?.size === 0) items.delete(key);
      }
    },
    find: (selector, namespace) => {
      if (namespace !== undefined) {
        const inside = items.get(namespace) ?? new Set();
        const labelled = byLabel(items, selector);
        return labelled === undefined || inside.size < labelled.length ? inside : labelled;
      }
      return byLabel(items, selector);
    },
  };
}

function byLabel<T>(items: ReadonlyMap<string, ReadonlySet<T>>, selector: Selector): T[] | undefined {
  const found = selector.flatMap((requirement) => {
    if (requirement.operator !== 'In') return [];
    const values = [...new Set(requirement.values)];
    return [values.flatMap((value) => [...(items.get(keyOf(requirement.key, value)) ?? [])])];
  });
  return found.toSorted((a, b) => a.length - b.length)[0];
}

/** No name of a namespace has an equals sign. */
function keyOf(key: string, value: string): string {
  return `${key}=${value}`;
}
