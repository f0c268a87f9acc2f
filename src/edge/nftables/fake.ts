/**
 * An nftables of tables in memory, for tests: what was put in is what is read. Each transaction is a generation more, with
 * an owner, as in the kernel.
 */
import { FairleadError } from '../../base/errors/errors.ts';
import { TransactionLedger } from './ledger.ts';
import type { Nftables } from './nft.ts';
import type { Element, Table } from './objects.ts';
import { formatTable } from './transaction.ts';

const OWN_PORT = 1;
const OTHER_PORT = 2;

export type FakeNftables = Nftables & {
  readonly tables: Map<string, Table>;
  /** Transactions so far, of all programs. */
  readonly generation: number;
  /** Listings of tables so far. */
  readonly listings: number;
  /** What was committed in the words of nft(8); it is in no table here. */
  readonly texts: readonly string[];
  /** What other programs do. */
  readonly others: { replace(table: Table): void; remove(table: Pick<Table, 'family' | 'name'>): void };
};

/** @param pause what a transaction of a whole table waits for before it takes effect. */
export function createFakeNftables(pause: () => Promise<void> = async () => undefined): FakeNftables {
  const tables = new Map<string, Table>();
  const texts: string[] = [];
  const key = ({ family, name }: Pick<Table, 'family' | 'name'>) => `${family} ${name}`;
  let ledger: TransactionLedger | undefined;
  let generation = 0;
  let listings = 0;
  const commit = ({ name }: Pick<Table, 'name'>, port: number, change: () => void) => {
    change();
    generation++;
    ledger?.notified({ generation, port, tables: new Set([name]) });
  };
  const commitOwn = async (table: Pick<Table, 'name'>, change: () => void) => {
    const own = ledger?.begin(generation);
    own?.port(OWN_PORT);
    let committed = false;
    try {
      await pause();
      commit(table, OWN_PORT, change);
      committed = true;
    } finally {
      own?.end(committed ? generation : undefined);
    }
  };
  return {
    tables,
    get generation() {
      return generation;
    },
    get listings() {
      return listings;
    },
    texts,
    others: {
      replace: (table) => commit(table, OTHER_PORT, () => tables.set(key(table), table)),
      remove: (table) => commit(table, OTHER_PORT, () => tables.delete(key(table))),
    },
    watch: (onChange) => {
      ledger = new TransactionLedger(generation, onChange);
      return {
        problem: undefined,
        [Symbol.dispose]: () => {
          ledger = undefined;
        },
      };
    },
    replace: (table) => commitOwn(table, () => tables.set(key(table), table)),
    amend: (before, after) =>
      commitOwn(after, () => {
        if (!tables.has(key(before))) throw refuse(before.name, 'ENOENT');
        tables.set(key(after), after);
      }),
    counts: async (name) =>
      new Map((tables.get(key(name))?.counters ?? []).map((counter) => [counter, { packets: 0, bytes: 0 }])),
    remove: (table) => commitOwn(table, () => tables.delete(key(table))),
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
      const own = ledger?.begin(generation);
      own?.port(OWN_PORT);
      commit(name, OWN_PORT, () => tables.set(key(name), { ...table, sets: [...sets.values()] }));
      own?.end(generation);
    },
    commit: (text) => commitOwn({ name: 'text' }, () => void texts.push(text)),
    send: () => commitOwn({ name: 'batch' }, () => undefined),
    holds: (name, questions) => {
      const sets = tables.get(key(name))?.sets ?? [];
      return questions.every(({ set, elements }) => {
        const present = new Set(sets.find((candidate) => candidate.name === set.name)?.elements.map(keyOf));
        return elements.every((element) => present.has(keyOf(element)));
      });
    },
    read: async (name) => {
      listings++;
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
    chains: async () =>
      [...tables].flatMap(([table, { chains }]) => chains.map(({ name }) => `${table} ${name}`)),
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
