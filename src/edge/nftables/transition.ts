/**
 * From what a table is to what it shall be, so that packets meet the one or the other. One transaction is not enough
 * (net/netfilter/nf_tables_api.c). Rules and elements take effect at one moment, but what a transaction puts into a set of
 * ranges is seen only later (nft_set_commit_update; 5 ms at 2,000 ranges): until then it is empty for rules that are new
 * already. And a packet that is under way keeps to the rules of before, but finds the elements of now: none in a map that
 * goes with its rules, and no rule in a chain that comes with its element. So what is new is made first, where no packet
 * comes; a second transaction leads there; and a third one removes what nobody comes to any more. Ranges of a set that is
 * there already are seen as they were until they are seen as they are.
 */

import type { Steps } from '../../base/run/slices.ts';
import { changesOf, elementDifference, sameChain, sameSet } from './diff.ts';
import type { Chain, Element, NftSet, Table } from './objects.ts';
import {
  formatElement,
  formatHook,
  formatRule,
  formatSet,
  identifier,
  kindOf,
  nameOf,
  replaceTable,
} from './transaction.ts';

/** What a table holds, by name. */
export type Inventory = {
  counters: readonly string[];
  sets: readonly Pick<NftSet, 'name' | 'value'>[];
  chains: readonly { name: string; called: boolean }[];
};

/** Texts of transactions, in their order; whatever ends between them has changed nothing for any packet. */
export type Transition = string[];

/**
 * By what differs: chains and sets that stay are not touched, and counters go on.
 * @param before which the kernel holds, or the first transaction is refused.
 */
export function* amendTable(before: Table, after: Table): Steps<Transition> {
  const sets = changesOf(before.sets, after.sets, sameSet);
  const chains = changesOf(before.chains, after.chains, sameChain);
  const [counters, counted] = [before.counters ?? [], after.counters ?? []];
  const switching = [
    // Whoever leads to something that goes is led elsewhere first.
    ...sets.kept.flatMap(([old, now]) => {
      const { gone, come } = elementDifference(old, now);
      return [...changeElements('delete', after, now, gone), ...changeElements('add', after, now, come)];
    }),
    ...chains.changed.flatMap((chain) => refillChain(after, chain)),
  ];
  const leaving = removal(after, {
    counters: lacking(counters, counted),
    sets: sets.removed,
    chains: chains.removed,
  });
  const added = { ...after, counters: lacking(counted, counters), sets: sets.added, chains: chains.added };
  yield;
  return yield* inStages(added, switching, leaving);
}

/** Whatever the table holds becomes what is wanted. @param present undefined where there is no such table. */
export function* refillTable(present: Inventory | undefined, table: Table): Steps<Transition> {
  const { counters, sets, chains } = present ?? { counters: [], sets: [], chains: [] };
  if (table.chains.some((chain) => isOfAnotherKind(chain, chains))) return [replaceTable(table)];
  const counted = table.counters ?? [];
  const [oldSet, oldChain] = [belongsTo(sets), belongsTo(chains)];
  const [newSet, newChain] = [belongsTo(table.sets), belongsTo(table.chains)];
  // Who knows when a chain that the kernel calls is called: it is made anew.
  const [called, kept] = [table.chains.filter(isCalled), table.chains.filter((chain) => !isCalled(chain))];
  const leaving = removal(table, {
    counters: lacking(counters, counted),
    sets: sets.filter((set) => !newSet(set)),
    chains: chains.filter((chain) => !chain.called && !newChain(chain)),
  });
  const calledBefore = removal(table, {
    counters: [],
    sets: [],
    chains: chains.filter((chain) => chain.called),
  });
  const refilled: string[] = [];
  for (const set of table.sets.filter(oldSet)) {
    refilled.push(`flush ${kindOf(set)} ${nameOf(table)} ${identifier(set.name)}`);
    refilled.push(...changeElements('add', table, set, set.elements));
    yield;
  }
  const switching = [
    ...refilled,
    ...kept.filter(oldChain).flatMap((chain) => refillChain(table, chain)),
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
  return present === undefined ? [`table ${nameOf(table)}\n${stages[0] ?? ''}`, ...stages.slice(1)] : stages;
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
  switching: readonly string[],
  leaving: readonly string[],
): Steps<Transition> {
  const preparing = yield* addition({ ...added, chains: added.chains.filter((chain) => !isCalled(chain)) });
  const called = yield* addition({ ...added, counters: [], sets: [], chains: added.chains.filter(isCalled) });
  return [preparing, [...called, ...switching], leaving]
    .filter((lines) => lines.length > 0)
    .map((lines) => [...lines, ''].join('\n'));
}

function* addition(added: Table): Steps<string[]> {
  const name = nameOf(added);
  const lines = (added.counters ?? []).map((counter) => `add counter ${name} ${identifier(counter)}`);
  // Sets lead to chains, and rules ask sets.
  for (const { name: chain, hook } of added.chains)
    lines.push(
      `add chain ${name} ${identifier(chain)}${hook === undefined ? '' : ` { ${formatHook(hook)} }`}`,
    );
  for (const set of added.sets) {
    lines.push(`add ${formatSet(set, `${name} `).trim()}`);
    yield;
  }
  for (const chain of added.chains) {
    lines.push(...addRules(added, chain));
    yield;
  }
  return lines;
}

/** All that leads to something goes before it. */
function removal(
  table: Table,
  { counters, sets, chains }: Omit<Inventory, 'chains'> & { chains: readonly { name: string }[] },
): string[] {
  const name = nameOf(table);
  return [
    ...chains.map((chain) => `flush chain ${name} ${identifier(chain.name)}`),
    ...sets.map((set) => `delete ${kindOf(set)} ${name} ${identifier(set.name)}`),
    ...chains.map((chain) => `delete chain ${name} ${identifier(chain.name)}`),
    ...counters.map((counter) => `delete counter ${name} ${identifier(counter)}`),
  ];
}

function refillChain(table: Table, chain: Chain): string[] {
  return [`flush chain ${nameOf(table)} ${identifier(chain.name)}`, ...addRules(table, chain)];
}

function addRules(table: Table, { name, rules }: Chain): string[] {
  return rules.map((rule) => `add rule ${nameOf(table)} ${identifier(name)} ${formatRule(rule)}`);
}

function changeElements(
  verb: 'add' | 'delete',
  table: Table,
  set: NftSet,
  elements: readonly Element[],
): string[] {
  if (elements.length === 0) return [];
  const texts = elements.map((element) => formatElement(verb === 'add' ? element : { key: element.key }));
  return [`${verb} element ${nameOf(table)} ${identifier(set.name)} { ${texts.join(', ')} }`];
}

/** @returns those that the others have not. */
function lacking(names: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return [...new Set(names)].filter((name) => !known.has(name));
}
