/** From the text of the file to the configuration, or to all of its problems at once. */
import { isMap, isScalar, LineCounter, type Node, parseAllDocuments, type YAMLMap } from 'yaml';
import { FairleadError } from '../errors/errors.ts';
import { nearestName } from '../errors/nearest.ts';
import type { Configuration } from './configuration.ts';
import { KEYS, type Key } from './keys.ts';
import { checkValue } from './value.ts';

/** Bytes. A ConfigMap may be larger; a configuration of a dozen keys is not. */
const LARGEST = 256 * 1024;

type Context = { origin: string; lines: LineCounter; problems: string[] };

/**
 * @param origin the file's name, for errors.
 * @throws FairleadError with one sentence per problem, each with its place, value and cure.
 */
export function parseConfiguration(text: string, origin: string): Configuration {
  const context: Context = { origin, lines: new LineCounter(), problems: [] };
  const values = new Map<string, unknown>();
  if (Buffer.byteLength(text) > LARGEST) {
    context.problems.push(
      `${origin}: larger than ${LARGEST / 1024} KiB; this is not a configuration of Fairlead`,
    );
  } else {
    readDocument(text, values, context);
  }
  if (context.problems.length > 0) throw new FairleadError('FL_CONFIGURATION', context.problems.join('\n'));
  return assemble(values);
}

function readDocument(text: string, values: Map<string, unknown>, context: Context): void {
  const { origin, lines, problems } = context;
  const documents = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const [document, second] = 'empty' in documents ? [] : documents;
  if (document === undefined) return;
  if (second !== undefined) {
    problems.push(`${origin}: holds several YAML documents; keep the first and delete the others`);
    return;
  }
  for (const error of document.errors) {
    problems.push(`${place(context, error.pos[0])}: ${error.message.split('\n')[0]}`);
  }
  if (document.errors.length > 0 || document.contents === null) return;
  if (isScalar(document.contents) && document.contents.value === null) return;
  // Aliases are resolved nowhere: no key needs one, and a few lines of them can stand for gigabytes.
  if (!isMap(document.contents))
    problems.push(`${origin}: is not a map of keys; begin with a line such as 'backend: auto'`);
  else readMap(document.contents, '', values, context);
}

function readMap(map: YAMLMap, prefix: string, values: Map<string, unknown>, context: Context): void {
  for (const { key, value } of map.items) {
    const name = isScalar(key) ? String(key.value) : '';
    const path = `${prefix}${name}`;
    const at = place(context, (key as Node).range?.[0] ?? 0);
    const known = KEYS.find((candidate) => candidate.path === path);
    if (known !== undefined) {
      const plain: unknown = value === null ? null : toPlain(value as Node);
      const checked = checkValue(known, plain);
      if ('problem' in checked) context.problems.push(`${at}: ${path}: ${checked.problem}`);
      else values.set(path, checked.value);
    } else if (KEYS.some((candidate) => candidate.path.startsWith(`${path}.`))) {
      if (isMap(value)) readMap(value, `${path}.`, values, context);
      else if (!(isScalar(value) && value.value === null)) {
        context.problems.push(`${at}: ${path}: holds keys of its own, such as ${below(path)}`);
      }
    } else {
      context.problems.push(`${at}: ${path}: is not a key of Fairlead${suggestion(path)}`);
    }
  }
}

/** The value without its YAML; what is no plain value, list or map stays unreadable and is refused by its type. */
function toPlain(node: Node): unknown {
  if (isScalar(node)) return node.value;
  const { items } = node as unknown as { items?: unknown[] };
  if (isMap(node) || items === undefined) return {};
  return items.map((item) => (isScalar(item) ? item.value : {}));
}

function place({ origin, lines }: Context, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${origin}:${line}:${col}`;
}

function below(path: string): string {
  return KEYS.filter((key) => key.path.startsWith(`${path}.`))
    .map((key) => key.path)
    .join(', ');
}

function suggestion(path: string): string {
  const nearest = nearestName(path, [...KEYS.map((key) => key.path), ...sections()]);
  return nearest === undefined ? '; docs/configuration.md lists them all' : `; did you mean ${nearest}?`;
}

function sections(): string[] {
  return [...new Set(KEYS.flatMap(({ path }) => (path.includes('.') ? [path.split('.')[0]!] : [])))];
}

function assemble(values: ReadonlyMap<string, unknown>): Configuration {
  const configuration: Record<string, unknown> = {};
  for (const key of KEYS) {
    const names = key.path.split('.');
    const last = names.pop()!;
    let section = configuration;
    for (const name of names) section = (section[name] ??= {}) as Record<string, unknown>;
    section[last] = values.has(key.path) ? values.get(key.path) : defaultOf(key);
  }
  return configuration as Configuration;
}

function defaultOf(key: Key): unknown {
  const checked = checkValue(key, key.default);
  if ('problem' in checked)
    throw new TypeError(`the default of ${key.path} is not valid: ${checked.problem}`);
  return checked.value;
}
