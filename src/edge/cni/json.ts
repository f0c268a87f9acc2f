/** Reading untrusted JSON: each reader takes an object, a name in it, and the field that messages call it by. */
import { describeError } from '../../base/errors/errors.ts';
import { CniError, quote } from './errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Objects and lists within each other: what is deeper would overflow the stack of a walk. */
const MOST_NESTED = 64;
const MOST_ITEMS = 10_000;

/** @throws CniError 6 for what is no JSON object, or is nested too deeply. */
export function decodeObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuseInput(`is not JSON: ${describeError(error)}`);
  }
  if (!isObject(value)) throw refuseInput('is not a JSON object');
  if (depthOf(text) > MOST_NESTED) {
    throw new CniError(
      'UNDECODABLE',
      `the network configuration on standard input has more than ${MOST_NESTED} levels of lists and objects; flatten it`,
    );
  }
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function refuseField(field: string, value: unknown, cure: string): CniError {
  return new CniError('INVALID_CONFIGURATION', `${field}: ${quote(value)} does not fit; ${cure}`);
}

/** Absent and null are an empty object. */
export function objectAt(parent: JsonObject, name: string, field = name): JsonObject {
  const value = own(parent, name) ?? {};
  if (!isObject(value)) throw refuseField(field, value, 'write an object');
  return value;
}

/** Absent and null are an empty list. */
export function listAt(parent: JsonObject, name: string, field = name): readonly unknown[] {
  const value = own(parent, name) ?? [];
  if (!Array.isArray(value)) throw refuseField(field, value, 'write a list');
  if (value.length > MOST_ITEMS) {
    throw new CniError(
      'INVALID_CONFIGURATION',
      `${field}: has ${value.length} items; list at most ${MOST_ITEMS}`,
    );
  }
  return value;
}

/** Absent and null are undefined. */
export function textAt(parent: JsonObject, name: string, field = name): string | undefined {
  const value = own(parent, name) ?? undefined;
  if (value !== undefined && typeof value !== 'string') throw refuseField(field, value, 'write a text');
  return value;
}

/** Absent and null are undefined. */
export function integerAt(
  parent: JsonObject,
  name: string,
  [least, most]: readonly [number, number],
  field = name,
): number | undefined {
  const value = own(parent, name) ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw refuseField(field, value, `write a whole number from ${least} to ${most}`);
  }
  return value;
}

/** Never what an object inherits. */
export function own(parent: JsonObject, name: string): unknown {
  return Object.hasOwn(parent, name) ? parent[name] : undefined;
}

/**
 * The same object by these names, where it has them in other letters: runtimes hand on structures of Go without names
 * for JSON (containerd's `HostPort`), and Go's own decoder takes either.
 */
export function inAnyCase(parent: JsonObject, names: readonly string[]): JsonObject {
  const keys = Object.keys(parent);
  return Object.fromEntries(
    names.flatMap((name) => {
      const key = Object.hasOwn(parent, name)
        ? name
        : keys.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
      return key === undefined ? [] : [[name, parent[key]]];
    }),
  );
}

/** Without what is undefined, so that it is absent in JSON and for exact optional properties. */
export function defined<T extends object>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> };
export function defined(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

function refuseInput(reason: string): CniError {
  return new CniError(
    'UNDECODABLE',
    `the network configuration on standard input ${reason}; give the plugin's own entry of the list`,
  );
}

/** Of valid JSON. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth);
    else if (character === ']' || character === '}') depth--;
  }
  return deepest;
}
