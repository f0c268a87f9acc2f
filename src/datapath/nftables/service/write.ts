/** Rendered services as transactions: texts of nft(8), and elements for its netlink protocol, which costs a tenth. */
import type { ElementChange } from '../../../edge/nftables/elements.ts';
import type { Chain, Element } from '../../../edge/nftables/objects.ts';
import {
  formatElement,
  formatHook,
  formatRule,
  identifier,
  kindOf,
} from '../../../edge/nftables/transaction.ts';
import type { NoteRule } from './notes.ts';
import { type ElementStage, SERVICE_TABLES, type ServiceSet, type ServiceTableName } from './objects.ts';
import type { RenderedChange, ServiceRenderer, SetChange } from './render.ts';
import { SEAL_SET } from './seal.ts';

/** Elements of one message to the kernel: its socket takes some 200 KiB. */
const PER_STAGE = 1500;
/** Maps that lead packets: what they lead to comes before them and goes after them. */
const LEADING = /^(?:node-)?(?:services|outside)[46]$/;
/** A packet that is under way may have one of these already. */
const LAST = /^targets[46]$/;

export type ServiceLoad = {
  /** Makes the table, where no packet comes. */
  prepare: string;
  notes: readonly NoteRule[];
  fill: readonly ElementStage[];
  /** For what the codec of elements does not know. */
  fillText: string;
  /** At one moment the table takes the place of the other one. */
  activate: string;
  /** After all else: see seal.ts. */
  seal?: readonly ElementStage[];
};

export type ServiceUpdate = {
  /** First, where there is any: chains that no element leads to yet. */
  chains?: string;
  notes: readonly NoteRule[];
  stages: readonly ElementStage[];
  /** Instead of the stages, where a set changes that the codec of elements does not know. */
  text?: string;
  /** Before all else, and after it. */
  breaking?: readonly ElementStage[];
  sealing?: readonly ElementStage[];
};

/** Whether or not there is a table of the name: what is left of one goes. */
export function loadServices(
  renderer: ServiceRenderer,
  change: RenderedChange,
  name: ServiceTableName,
): ServiceLoad {
  const table = `inet ${name}`;
  const blocks = [...[...renderer.sets, SEAL_SET].map(formatServiceSet), ...renderer.common.map(formatChain)];
  const [coded, other] = splitSets(change.sets);
  const others = SERVICE_TABLES.filter((candidate) => candidate !== name);
  return {
    prepare: `table ${table}\ndelete table ${table}\ntable ${table} {\n${blocks.join('')}${change.chains.map(formatChain).join('')}}\n`,
    notes: change.notes,
    fill: stagesOf(coded),
    fillText: textOf(name, other),
    activate: [
      ...others.map((candidate) => `table inet ${candidate}\ndelete table inet ${candidate}\n`),
      `table ${table} {\n${renderer.base.map(formatChain).join('')}}\n`,
    ].join(''),
  };
}

export function updateServices(change: RenderedChange, name: ServiceTableName): ServiceUpdate {
  const chains =
    change.chains.length === 0
      ? {}
      : { chains: `table inet ${name} {\n${change.chains.map(formatChain).join('')}}\n` };
  const [coded, other] = splitSets(change.sets);
  if (other.length === 0) return { ...chains, notes: change.notes, stages: stagesOf(coded) };
  return { ...chains, notes: change.notes, stages: [], text: textOf(name, change.sets) };
}

/** Leaves nothing. */
export function removeServices(): string {
  return SERVICE_TABLES.map((name) => `table inet ${name}\ndelete table inet ${name}\n`).join('');
}

/** Ranges within a concatenation are written as text. */
function splitSets(sets: readonly SetChange[]): [SetChange[], SetChange[]] {
  const isCoded = ({ set }: SetChange) => set.interval !== true || set.key.length === 1;
  return [sets.filter(isCoded), sets.filter((change) => !isCoded(change))];
}

/**
 * One stage where it fits. Where not, each stage leaves every list whole: endpoints first, then who is led to them, and
 * what is led to no more at the end.
 */
function stagesOf(sets: readonly SetChange[]): ElementStage[] {
  const stages: ElementChange[][] = [];
  let left = 0;
  const push = (change: ElementChange) => {
    const { length } = change.elements;
    if (length === 0) return;
    if (length > left) {
      stages.push([]);
      left = PER_STAGE;
    }
    stages.at(-1)!.push(change);
    left -= length;
  };
  for (const { set, changes, last = false } of ordered(sets)) {
    if (last) left = 0;
    for (const { change, elements } of changes)
      for (let from = 0; from < elements.length; from += PER_STAGE)
        push({ change, set, elements: elements.slice(from, from + PER_STAGE) });
  }
  return stages;
}

/** @property last in a stage of its own, after all others. */
type Ordered = { set: ServiceSet; last?: boolean; changes: Pick<ElementChange, 'change' | 'elements'>[] };

function ordered(sets: readonly SetChange[]): Ordered[] {
  const leading = sets.filter(({ set }) => LEADING.test(set.name));
  const data = sets.filter(({ set }) => !LEADING.test(set.name));
  return [
    ...data.flatMap(({ set, changed, added }) => [
      ...replaced(set, changed),
      { set, changes: [{ change: 'add' as const, elements: added }] },
    ]),
    ...leading.flatMap(({ set, removed, changed, added }) => [
      ...replaced(set, changed),
      {
        set,
        changes: [
          { change: 'delete' as const, elements: removed },
          { change: 'add' as const, elements: added },
        ],
      },
    ]),
    ...data.filter(({ set }) => !LAST.test(set.name)).map(removal),
    ...data.filter(({ set }) => LAST.test(set.name)).map((change) => ({ ...removal(change), last: true })),
  ];
}

function removal({ set, removed }: SetChange): Ordered {
  return { set, changes: [{ change: 'delete', elements: removed }] };
}

/** An element never goes in one stage and comes in another: half of a stage holds both. */
function replaced(set: ServiceSet, changed: SetChange['changed']): Ordered[] {
  const orders: Ordered[] = [];
  for (let from = 0; from < changed.length; from += PER_STAGE / 2) {
    const part = changed.slice(from, from + PER_STAGE / 2);
    orders.push({
      set,
      changes: [
        { change: 'delete', elements: part.map(({ before }) => before) },
        { change: 'add', elements: part.map(({ after }) => after) },
      ],
    });
  }
  return orders;
}

function textOf(name: ServiceTableName, sets: readonly SetChange[]): string {
  const lines = ordered(sets).flatMap(({ set, changes }) =>
    changes.map(({ change, elements }) => {
      if (elements.length === 0) return '';
      const texts = elements.map((element: Element) =>
        formatElement(change === 'add' ? element : { key: element.key }),
      );
      return `${change} element inet ${name} ${identifier(set.name)} { ${texts.join(', ')} }\n`;
    }),
  );
  return lines.join('');
}

function formatServiceSet(set: ServiceSet): string {
  const { name, key, value, declaration, entries, interval } = set;
  const values = value === undefined ? '' : ` : ${value === 'verdict' ? value : value.join(' . ')}`;
  const lines = [
    declaration === undefined ? `type ${key.join(' . ')}${values}` : `typeof ${declaration}`,
    ...(interval === true ? ['flags interval'] : []),
    ...(entries === undefined ? [] : ['flags dynamic, timeout', `size ${entries}`]),
  ];
  return `  ${kindOf(set)} ${identifier(name)} {\n${lines.map((line) => `    ${line}\n`).join('')}  }\n`;
}

function formatChain({ name, hook, rules }: Chain): string {
  const lines = [...(hook === undefined ? [] : [formatHook(hook)]), ...rules.map(formatRule)];
  return `  chain ${identifier(name)} {\n${lines.map((line) => `    ${line}\n`).join('')}  }\n`;
}
