/** From one table to another by changes of elements alone, where that is all that differs. */
import type { ElementChange } from './elements.ts';
import type { Element, NftSet, Table } from './objects.ts';

/** @returns undefined when more than elements differs: then the table is to be replaced. */
export function elementChanges(before: Table, after: Table): ElementChange[] | undefined {
  if (JSON.stringify(withoutElements(before)) !== JSON.stringify(withoutElements(after))) return undefined;
  return after.sets.flatMap((set, index) => {
    const old = before.sets[index]!;
    return [...change('delete', set, missing(old, set)), ...change('add', set, missing(set, old))];
  });
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

export function holdsSets(table: Table, changes: readonly ElementChange[]): boolean {
  return changes.every(({ set }) => table.sets.some(({ name }) => name === set.name));
}

function change(kind: ElementChange['change'], set: NftSet, elements: readonly Element[]): ElementChange[] {
  return elements.length === 0 ? [] : [{ change: kind, set, elements }];
}

function missing(from: NftSet, other: NftSet): Element[] {
  const present = new Set(other.elements.map((element) => JSON.stringify(element)));
  return from.elements.filter((element) => !present.has(JSON.stringify(element)));
}

function withoutElements(table: Table): Table {
  return { ...table, sets: table.sets.map((set) => ({ ...set, elements: [] })) };
}
