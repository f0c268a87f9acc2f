/** Reading untrusted JSON values: each reader takes a value and the field that it came from. */
import { CniError } from './errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function refuseField(field: string, value: unknown, cure: string): CniError {
  const text = JSON.stringify(value) ?? 'nothing';
  return new CniError(
    'INVALID_CONFIGURATION',
    `${field}: ${text.length > 100 ? `${text.slice(0, 100)}…` : text} does not fit; ${cure}`,
  );
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
  if (value.length > MOST_ITEMS) throw refuseField(field, value.length, `list at most ${MOST_ITEMS} items`);
  return value;
}

export function textAt(parent: JsonObject, name: string, field = name): string | undefined {
  const value = own(parent, name) ?? undefined;
  if (value !== undefined && typeof value !== 'string') throw refuseField(field, value, 'write a text');
  return value;
}

export function integerAt(
  parent: JsonObject,
  name: string,
  [least, most]: readonly [number, number],
  field = name,
): number | undefined {
  const value = own(parent, name) ?? undefined;
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || Number(value) < least || Number(value) > most) {
    throw refuseField(field, value, `write a whole number from ${least} to ${most}`);
  }
  return Number(value);
}

/** Never what an object inherits. */
export function own(parent: JsonObject, name: string): unknown {
  return Object.hasOwn(parent, name) ? parent[name] : undefined;
}

const MOST_ITEMS = 10_000;
