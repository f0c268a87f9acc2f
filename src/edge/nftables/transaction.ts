/** Tables as the text of one transaction of nft(8): all of it takes effect at once, or nothing. */
import type { BaseChain, Chain, Element, NftSet, Rule, Table, Verdict } from './objects.ts';

/** Replaces the whole table, whether or not there is one: the first line creates it where it is not, for the second. */
export function replaceTable(table: Table): string {
  return `table ${nameOf(table)}\n${deletion(table)}\n${formatTable(table)}`;
}

/** Succeeds also when there is no such table. */
export function deleteTable(table: Pick<Table, 'family' | 'name'>): string {
  return `table ${nameOf(table)}\n${deletion(table)}\n`;
}

export function formatTable(table: Table): string {
  const blocks = [
    ...(table.counters ?? []).map((counter) => block(`counter ${identifier(counter)}`, [])),
    ...table.sets.map((set) => formatSet(set)),
    ...table.chains.map(formatChain),
  ];
  return `table ${nameOf(table)} {\n${blocks.join('')}}\n`;
}

function deletion(table: Pick<Table, 'family' | 'name'>): string {
  return `delete table ${nameOf(table)}`;
}

export function nameOf({ family, name }: Pick<Table, 'family' | 'name'>): string {
  return `${family} ${identifier(name)}`;
}

/** @param within what stands before its name: `inet fairlead ` outside of its table. */
export function formatSet(set: NftSet, within = ''): string {
  const lines = [`type ${set.key.join(' . ')}${formatValueType(set.value)}`];
  if (set.interval === true) lines.push('flags interval');
  if (set.elements.length > 0)
    lines.push(`elements = { ${set.elements.map(formatElement).join(',\n      ')} }`);
  return block(`${kindOf(set)} ${within}${identifier(set.name)}`, lines);
}

export function kindOf({ value }: Pick<NftSet, 'value'>): string {
  return value === undefined ? 'set' : 'map';
}

function formatValueType(value: NftSet['value']): string {
  if (value === undefined) return '';
  return ` : ${value === 'verdict' ? value : value.join(' . ')}`;
}

export function formatElement({ key, value }: Element): string {
  const left = key.map(atom).join(' . ');
  if (value === undefined) return left;
  return `${left} : ${'verdict' in value ? formatVerdict(value) : value.map(atom).join(' . ')}`;
}

function formatVerdict(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.verdict} ${identifier(verdict.chain)}` : verdict.verdict;
}

function formatChain(chain: Chain): string {
  const head = chain.hook === undefined ? [] : [formatHook(chain.hook)];
  return block(`chain ${identifier(chain.name)}`, [...head, ...chain.rules.map(formatRule)]);
}

export function formatRule({ match, comment }: Rule): string {
  return comment === undefined ? oneLine(match) : `${oneLine(match)} comment ${quoted(comment)}`;
}

export function formatHook({ type, hook, priority, policy }: BaseChain): string {
  return `type ${type} hook ${hook} priority ${priority}; policy ${policy ?? 'accept'};`;
}

function block(head: string, lines: readonly string[]): string {
  return `  ${head} {\n${lines.map((line) => `    ${line}\n`).join('')}  }\n`;
}

/** Names and values come from elsewhere: what could end a word and begin a command is refused. */
export function identifier(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/.test(name))
    throw new TypeError(`not a name for nftables: ${JSON.stringify(name)}`);
  return name;
}

function atom(text: string): string {
  if (/^[0-9A-Za-z.:/_-]+$/.test(text)) return text;
  throw new TypeError(`not a value for nftables: ${JSON.stringify(text)}`);
}

function oneLine(match: string): string {
  if (/[\n\r{};#]/.test(match.replaceAll(/\{[^{};#\n\r]*\}/g, '')))
    throw new TypeError(`not one rule: ${JSON.stringify(match)}`);
  return match;
}

/** Comments have 128 bytes and no quotes in nft's grammar. */
function quoted(comment: string): string {
  return `"${comment.replaceAll(/[^ !#-[\]-~]/g, '?').slice(0, 120)}"`;
}
