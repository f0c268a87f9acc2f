/** What a transaction does to a table, one object at a time, and how nft(8) is told of it. */
import type { Slices } from '../../../base/run/slices.ts';
import type { Chain, Element, NftSet, Rule, Table } from '../objects.ts';
import {
  formatElement,
  formatHook,
  formatRule,
  formatSet,
  identifier,
  kindOf,
  nameOf,
  replaceTable,
} from '../transaction.ts';

type Kind = Pick<NftSet, 'name' | 'value'>;

export type Operation =
  | { verb: 'create table' }
  /** Whatever is there under its name. */
  | { verb: 'replace table'; table: Table }
  | { verb: 'add counter' | 'delete counter'; counter: string }
  /** Without its rules. */
  | { verb: 'add chain'; chain: Chain }
  | { verb: 'flush chain' | 'delete chain'; chain: Pick<Chain, 'name'> }
  /** With its elements. */
  | { verb: 'add set'; set: NftSet }
  | { verb: 'flush set' | 'delete set'; set: Kind }
  | { verb: 'add element' | 'delete element'; set: NftSet; elements: readonly Element[] }
  | { verb: 'add rule'; chain: Pick<Chain, 'name'>; rule: Rule };

/** All of them as one transaction of nft(8). */
export function* formatOperations(
  table: Pick<Table, 'family' | 'name'>,
  operations: readonly Operation[],
): Slices<string> {
  const lines: string[] = [];
  for (const operation of operations) {
    lines.push(formatOperation(nameOf(table), operation));
    yield;
  }
  return [...lines, ''].join('\n');
}

function formatOperation(table: string, operation: Operation): string {
  switch (operation.verb) {
    case 'create table':
      return `table ${table}`;
    case 'replace table':
      return replaceTable(operation.table);
    case 'add counter':
    case 'delete counter':
      return `${operation.verb} ${table} ${identifier(operation.counter)}`;
    case 'add chain': {
      const { name, hook } = operation.chain;
      return `add chain ${table} ${identifier(name)}${hook === undefined ? '' : ` { ${formatHook(hook)} }`}`;
    }
    case 'flush chain':
    case 'delete chain':
      return `${operation.verb} ${table} ${identifier(operation.chain.name)}`;
    case 'add set':
      return `add ${formatSet(operation.set, `${table} `).trim()}`;
    case 'flush set':
    case 'delete set':
      return `${operation.verb.split(' ')[0]} ${kindOf(operation.set)} ${table} ${identifier(operation.set.name)}`;
    case 'add element':
    case 'delete element': {
      const { verb, set, elements } = operation;
      const texts = elements.map((element) =>
        formatElement(verb === 'add element' ? element : { key: element.key }),
      );
      return `${verb} ${table} ${identifier(set.name)} { ${texts.join(', ')} }`;
    }
    case 'add rule':
      return `add rule ${table} ${identifier(operation.chain.name)} ${formatRule(operation.rule)}`;
  }
}
