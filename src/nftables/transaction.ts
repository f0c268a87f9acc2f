/** Tables as the text of one transaction of nft(8): all of it takes effect at once, or nothing. */
import { changesOf, elementDifference, sameChain, sameSet } from './diff.ts';
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
    ...table.sets.map(formatSet),
    ...table.chains.map(formatChain),
  ];
  return `table ${nameOf(table)} {\n${blocks.join('')}}\n`;
}

/**
 * From one table to another by what differs: chains and sets that stay are not touched, counters go on, and packets meet
 * the one or the other.
 */
export function amendTable(before: Table, after: Table): string {
  const name = nameOf(after);
  const sets = changesOf(before.sets, after.sets, sameSet);
  const chains = changesOf(before.chains, after.chains, sameChain);
  const [counters, counted] = [new Set(before.counters), new Set(after.counters)];
  const added: Table = {
    ...after,
    counters: [...counted].filter((counter) => !counters.has(counter)),
    sets: sets.added,
    chains: chains.added,
  };
  const lines = (verb: 'add' | 'delete', set: NftSet, elements: readonly Element[]) =>
    elements.length === 0
      ? []
      : [`${verb} element ${name} ${identifier(set.name)} { ${elements.map(formatElement).join(', ')} }`];
  return [
    formatTable(added),
    // Whoever leads to something that goes is led elsewhere first.
    ...sets.kept.flatMap(([old, now]) => {
      const { gone, come } = elementDifference(old, now);
      return [
        ...lines(
          'delete',
          now,
          gone.map(({ key }) => ({ key })),
        ),
        ...lines('add', now, come),
      ];
    }),
    ...chains.changed.flatMap(({ name: chain, rules }) => [
      `flush chain ${name} ${identifier(chain)}`,
      ...rules.map((rule) => `add rule ${name} ${identifier(chain)} ${formatRule(rule)}`),
    ]),
    ...chains.removed.map((chain) => `flush chain ${name} ${identifier(chain.name)}`),
    ...sets.removed.map((set) => `delete ${kindOf(set)} ${name} ${identifier(set.name)}`),
    ...chains.removed.map((chain) => `delete chain ${name} ${identifier(chain.name)}`),
    ...[...counters]
      .filter((counter) => !counted.has(counter))
      .map((counter) => `delete counter ${name} ${identifier(counter)}`),
    '',
  ].join('\n');
}

function deletion(table: Pick<Table, 'family' | 'name'>): string {
  return `delete table ${nameOf(table)}`;
}

function nameOf({ family, name }: Pick<Table, 'family' | 'name'>): string {
  return `${family} ${identifier(name)}`;
}

function formatSet(set: NftSet): string {
  const lines = [`type ${set.key.join(' . ')}${formatValueType(set.value)}`];
  if (set.interval === true) lines.push('flags interval');
  if (set.elements.length > 0)
    lines.push(`elements = { ${set.elements.map(formatElement).join(',\n      ')} }`);
  return block(`${kindOf(set)} ${identifier(set.name)}`, lines);
}

function kindOf({ value }: NftSet): string {
  return value === undefined ? 'set' : 'map';
}

function formatValueType(value: NftSet['value']): string {
  if (value === undefined) return '';
  return ` : ${value === 'verdict' ? value : value.join(' . ')}`;
}

function formatElement({ key, value }: Element): string {
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

function formatRule({ match, comment }: Rule): string {
  return comment === undefined ? oneLine(match) : `${oneLine(match)} comment ${quoted(comment)}`;
}

function formatHook({ type, hook, priority, policy }: BaseChain): string {
  return `type ${type} hook ${hook} priority ${priority}; policy ${policy ?? 'accept'};`;
}

function block(head: string, lines: readonly string[]): string {
  return `  ${head} {\n${lines.map((line) => `    ${line}\n`).join('')}  }\n`;
}

/** Names and values come from elsewhere: what could end a word and begin a command is refused. */
function identifier(name: string): string {
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
