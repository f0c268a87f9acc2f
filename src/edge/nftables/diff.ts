/** From one table to another by changes of elements alone, where that is all that differs. */
import type { ElementChange } from './elements.ts';
import type { Chain, Element, NftSet, Table } from './objects.ts';

/** @returns undefined when more than elements differs: then the table is to be amended or replaced. */
export function elementChanges(before: Table, after: Table): ElementChange[] | undefined {
  const sets = changesOf(before.sets, after.sets, sameSet);
  const chains = changesOf(before.chains, after.chains, sameChain);
  const others = [sets.added, sets.removed, sets.changed, chains.added, chains.removed, chains.changed];
  if (others.some(({ length }) => length > 0)) return undefined;
  if (String(before.counters ?? []) !== String(after.counters ?? [])) return undefined;
  return sets.kept.flatMap(([old, now]) => {
    const { gone, come } = elementDifference(old, now);
    return [...change('delete', now, gone), ...change('add', now, come)];
  });
}

/** @property kept what is in both as it was, elements aside. @property changed as it shall be. */
export type Changes<T> = { added: T[]; removed: T[]; changed: T[]; kept: [T, T][] };

export function changesOf<T extends { name: string }>(
  before: readonly T[],
  after: readonly T[],
  same: (a: T, b: T) => boolean,
): Changes<T> {
  const old = new Map(before.map((item) => [item.name, item]));
  const changes: Changes<T> = { added: [], removed: [], changed: [], kept: [] };
  for (const item of after) {
    const former = old.get(item.name);
    old.delete(item.name);
    if (former === undefined) changes.added.push(item);
    else if (same(former, item)) changes.kept.push([former, item]);
    else changes.changed.push(item);
  }
  changes.removed.push(...old.values());
  return changes;
}

export function sameChain(a: Chain, b: Chain): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** Elements aside. */
export function sameSet(a: NftSet, b: NftSet): boolean {
  return a === b || JSON.stringify({ ...a, elements: [] }) === JSON.stringify({ ...b, elements: [] });
}

/** What has another value goes and comes. */
export function elementDifference(before: NftSet, after: NftSet): { gone: Element[]; come: Element[] } {
  if (before.elements === after.elements) return { gone: [], come: [] };
  // Most of them are the very same objects: what is left is compared by what it says.
  const [old, now] = [new Set(before.elements), new Set(after.elements)];
  const [gone, come] = [
    before.elements.filter((element) => !now.has(element)),
    after.elements.filter((element) => !old.has(element)),
  ];
  return { gone: missing(come, gone), come: missing(gone, come) };
}

/**
 * As transactions that follow each other. What moves from one set to another is in both meanwhile: a packet that is asked
 * about in the one before and in the other after would be in neither.
 * @param added sets that come with these changes.
 */
export function withoutGaps(
  changes: readonly ElementChange[],
  added: readonly NftSet[] = [],
): ElementChange[][] {
  const comeTo = new Map<string, string[]>();
  const come = (set: string, elements: readonly Element[]) => {
    for (const { key } of elements) {
      const text = key.join(' . ');
      comeTo.set(text, [...(comeTo.get(text) ?? []), set]);
    }
  };
  if (!changes.some((one) => one.change === 'delete')) return changes.length === 0 ? [] : [[...changes]];
  for (const { change: kind, set, elements } of changes) if (kind === 'add') come(set.name, elements);
  for (const set of added) come(set.name, set.elements);
  const [first, later]: [ElementChange[], ElementChange[]] = [[], []];
  for (const one of changes) {
    const isMoved = ({ key }: Element) => {
      const sets = comeTo.get(key.join(' . '));
      return one.change === 'delete' && sets !== undefined && !sets.includes(one.set.name);
    };
    first.push(
      ...change(
        one.change,
        one.set,
        one.elements.filter((element) => !isMoved(element)),
      ),
    );
    later.push(...change(one.change, one.set, one.elements.filter(isMoved)));
  }
  return [first, later].filter(({ length }) => length > 0);
}

/** The table as it is after the changes. */
export function changeElements(table: Table, changes: readonly ElementChange[]): Table {
  const sets = table.sets.map((set) => {
    const own = changes.filter((candidate) => candidate.set.name === set.name);
    if (own.length === 0) return set;
    const elements = new Map(set.elements.map((element) => [JSON.stringify(element.key), element]));
    for (const { change: kind, elements: changed } of own) {
      for (const element of changed) {
        if (kind === 'add') elements.set(JSON.stringify(element.key), element);
        else elements.delete(JSON.stringify(element.key));
      }
    }
    return { ...set, elements: [...elements.values()] };
  });
  return { ...table, sets };
}

/** Without deletions of what the table does not have: one of those would be refused, and all others with it. */
export function withoutAbsent(table: Table, changes: readonly ElementChange[]): ElementChange[] {
  return changes.flatMap((one) => {
    if (one.change === 'add') return [one];
    const set = table.sets.find(({ name }) => name === one.set.name);
    const present = new Set(set?.elements.map(({ key }) => JSON.stringify(key)));
    return change(
      'delete',
      one.set,
      one.elements.filter(({ key }) => present.has(JSON.stringify(key))),
    );
  });
}

export function holdsSets(table: Table, changes: readonly ElementChange[]): boolean {
  return changes.every(({ set }) => table.sets.some(({ name }) => name === set.name));
}

function change(kind: ElementChange['change'], set: NftSet, elements: readonly Element[]): ElementChange[] {
  return elements.length === 0 ? [] : [{ change: kind, set, elements }];
}

/** What of these the others lack. */
function missing(others: readonly Element[], elements: readonly Element[]): Element[] {
  if (elements.length === 0) return [];
  const present = new Set(others.map((element) => JSON.stringify(element)));
  return elements.filter((element) => !present.has(JSON.stringify(element)));
}
