/**
 * From what a table is to what it shall be, so that packets meet the one or the other. One transaction is not enough
 * (net/netfilter/nf_tables_api.c). Rules and elements take effect at one moment, but what a transaction puts into a set of
 * ranges is seen only later (nft_set_commit_update; 5 ms at 2,000 ranges): until then it is empty for rules that are new
 * already. And a packet that is under way keeps to the rules of before, but finds the elements of now: none in a map that
 * goes with its rules, and no rule in a chain that comes with its element. So what is new is made first, where no packet
 * comes; a second transaction leads there; and a third one removes what is not reached any more. Ranges of a set that is
 * there already are seen as they were until they are seen as they are.
 */

import type { Slices } from '../../base/run/slices.ts';
import type { Operation } from './batch/operations.ts';
import { changesOf, elementDifference, sameChain, sameSet, withoutGaps } from './diff.ts';
import type { ElementChange } from './elements.ts';
import type { Chain, NftSet, Table } from './objects.ts';

/** What a table holds, by name. */
export type Inventory = {
  counters: readonly string[];
  sets: readonly Pick<NftSet, 'name' | 'value'>[];
  chains: readonly { name: string; called: boolean }[];
};

/** Transactions in their order; whatever ends between them has changed nothing for any packet. */
export type Transition = Operation[][];

/**
 * By what differs: chains and sets that stay are not touched, and counters go on.
 * @param before which the kernel holds, or the first transaction is refused.
 */
export function* amendTable(before: Table, after: Table): Slices<Transition> {
  const sets = changesOf(before.sets, after.sets, sameSet);
  const chains = changesOf(before.chains, after.chains, sameChain);
  const [counters, counted] = [before.counters ?? [], after.counters ?? []];
  const [changing = [], moving = []] = withoutGaps(
    sets.kept.flatMap(([old, now]): ElementChange[] => {
      const { gone, come } = elementDifference(old, now);
      return [
        { change: 'delete', set: now, elements: gone },
        { change: 'add', set: now, elements: come },
      ];
    }),
    sets.added,
  );
  // What leads to something that goes is led elsewhere first.
  const switching = [...changing.flatMap(changeElements), ...chains.changed.flatMap(refillChain)];
  const leaving = [
    ...moving.flatMap(changeElements),
    ...removal({
      counters: lacking(counters, counted),
      sets: sets.removed,
      chains: chains.removed,
    }),
  ];
  const added = { ...after, counters: lacking(counted, counters), sets: sets.added, chains: chains.added };
  yield;
  return yield* inStages(added, switching, leaving);
}

/** Whatever the table holds becomes what is wanted. @param present undefined where there is no such table. */
export function* refillTable(present: Inventory | undefined, table: Table): Slices<Transition> {
  const { counters, sets, chains } = present ?? { counters: [], sets: [], chains: [] };
  if (table.chains.some((chain) => isOfAnotherKind(chain, chains)))
    return [[{ verb: 'replace table', table }]];
  const counted = table.counters ?? [];
  const [oldSet, oldChain] = [belongsTo(sets), belongsTo(chains)];
  const [newSet, newChain] = [belongsTo(table.sets), belongsTo(table.chains)];
  // Who knows when a chain that the kernel calls is called: it is made anew.
  const [called, kept] = [table.chains.filter(isCalled), table.chains.filter((chain) => !isCalled(chain))];
  const leaving = removal({
    counters: lacking(counters, counted),
    sets: sets.filter((set) => !newSet(set)),
    chains: chains.filter((chain) => !chain.called && !newChain(chain)),
  });
  const calledBefore = removal({ counters: [], sets: [], chains: chains.filter((chain) => chain.called) });
  const refilled: Operation[] = [];
  for (const set of table.sets.filter(oldSet)) {
    refilled.push(
      { verb: 'flush set', set },
      ...changeElements({ change: 'add', set, elements: set.elements }),
    );
    yield;
  }
  const switching = [
    ...refilled,
    ...kept.filter(oldChain).flatMap(refillChain),
    ...calledBefore,
    ...(yield* addition({ ...table, counters: [], sets: [], chains: called })),
  ];
  const added = {
    ...table,
    counters: lacking(counted, counters),
    sets: table.sets.filter((set) => !oldSet(set)),
    chains: kept.filter((chain) => !oldChain(chain)),
  };
  const stages = yield* inStages(added, switching, leaving);
  const [first = [], ...more] = stages;
  return present === undefined ? [[{ verb: 'create table' }, ...first], ...more] : stages;
}

function isOfAnotherKind(chain: Chain, present: Inventory['chains']): boolean {
  return present.some(({ name, called }) => name === chain.name && called !== isCalled(chain));
}

function belongsTo(items: readonly { name: string }[]): (item: { name: string }) => boolean {
  const names = new Set(items.map(({ name }) => name));
  return ({ name }) => names.has(name);
}

function isCalled({ hook }: Chain): boolean {
  return hook !== undefined;
}

/** Chains that the kernel calls are no preparation: they come last. */
function* inStages(
  added: Table,
  switching: readonly Operation[],
  leaving: readonly Operation[],
): Slices<Transition> {
  const preparing = yield* addition({ ...added, chains: added.chains.filter((chain) => !isCalled(chain)) });
  const called = yield* addition({ ...added, counters: [], sets: [], chains: added.chains.filter(isCalled) });
  return [preparing, [...called, ...switching], [...leaving]].filter((stage) => stage.length > 0);
}

function* addition({ counters = [], chains, sets }: Table): Slices<Operation[]> {
  const operations: Operation[] = counters.map((counter) => ({ verb: 'add counter', counter }));
  // Sets lead to chains, and rules ask sets.
  for (const chain of chains) operations.push({ verb: 'add chain', chain });
  for (const set of sets) operations.push({ verb: 'add set', set });
  yield;
  for (const chain of chains) {
    operations.push(...addRules(chain));
    yield;
  }
  return operations;
}

/** All that leads to something goes before it. */
function removal({
  counters,
  sets,
  chains,
}: Omit<Inventory, 'chains'> & { chains: readonly { name: string }[] }): Operation[] {
  return [
    ...chains.map((chain): Operation => ({ verb: 'flush chain', chain })),
    ...sets.map((set): Operation => ({ verb: 'delete set', set })),
    ...chains.map((chain): Operation => ({ verb: 'delete chain', chain })),
    ...counters.map((counter): Operation => ({ verb: 'delete counter', counter })),
  ];
}

function refillChain(chain: Chain): Operation[] {
  return [{ verb: 'flush chain', chain }, ...addRules(chain)];
}

function addRules(chain: Chain): Operation[] {
  return chain.rules.map((rule) => ({ verb: 'add rule', chain, rule }));
}

function changeElements({ change, set, elements }: ElementChange): Operation[] {
  return elements.length === 0 ? [] : [{ verb: `${change} element`, set, elements }];
}

/** @returns those that the others have not. */
function lacking(names: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return [...new Set(names)].filter((name) => !known.has(name));
}
