/** An nftables of tables in memory, for tests: what was put in is what is read. */
import { FairleadError } from '../../base/errors/errors.ts';
import type { Nftables } from './nft.ts';
import type { Element, Table } from './objects.ts';
import { formatTable } from './transaction.ts';

export type FakeNftables = Nftables & { readonly tables: Map<string, Table> };

export function createFakeNftables(): FakeNftables {
  const tables = new Map<string, Table>();
  const key = ({ family, name }: Pick<Table, 'family' | 'name'>) => `${family} ${name}`;
  return {
    tables,
    pids: new Set(),
    replace: async (table) => void tables.set(key(table), table),
    amend: async (before, after) => {
      const present = tables.get(key(before));
      if (present === undefined) throw refuse(before.name, 'ENOENT');
      tables.set(key(after), after);
    },
    counts: async (name) =>
      new Map((tables.get(key(name))?.counters ?? []).map((counter) => [counter, { packets: 0, bytes: 0 }])),
    remove: async (table) => void tables.delete(key(table)),
    change: (name, changes) => {
      const table = tables.get(key(name));
      if (table === undefined) throw refuse(name.name, 'ENOENT');
      const sets = new Map(table.sets.map((set) => [set.name, set]));
      for (const { change, set, elements } of changes) {
        const present = sets.get(set.name);
        if (present === undefined) throw refuse(set.name, 'ENOENT');
        const kept = new Map(present.elements.map((element) => [keyOf(element), element]));
        for (const element of elements) {
          if (change === 'add') kept.set(keyOf(element), element);
          else if (!kept.delete(keyOf(element))) throw refuse(set.name, 'ENOENT');
        }
        sets.set(set.name, { ...present, elements: [...kept.values()] });
      }
      tables.set(key(name), { ...table, sets: [...sets.values()] });
    },
    holds: (name, questions) => {
      const sets = tables.get(key(name))?.sets ?? [];
      return questions.every(({ set, elements }) => {
        const present = new Set(sets.find((candidate) => candidate.name === set.name)?.elements.map(keyOf));
        return elements.every((element) => present.has(keyOf(element)));
      });
    },
    read: async (name) => {
      const table = tables.get(key(name));
      return table === undefined ? undefined : formatTable(table);
    },
    baseChains: async () =>
      [...tables].flatMap(([table, { chains }]) =>
        chains.flatMap(({ name, hook }) =>
          hook === undefined
            ? []
            : [{ table, chain: name, hook: hook.hook, policy: hook.policy ?? 'accept' }],
        ),
      ),
    foreignNat: async (own) =>
      [...tables].flatMap(([name, { chains }]) =>
        name !== key(own) && chains.some(({ hook }) => hook?.type === 'nat') ? [name] : [],
      ),
    [Symbol.dispose]: () => undefined,
  };
}

function keyOf({ key }: Element): string {
  return key.join(' . ');
}

function refuse(what: string, errno: string): FairleadError {
  return new FairleadError('FL_NFT', `elements of ${what} were refused: ${errno}`);
}
