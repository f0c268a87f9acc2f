/**
 * The notation for the shapes of API objects. One description serves what a server does with a shape: refusing and
 * pruning what does not fit, both merges of lists, and OpenAPI.
 */

export type Type =
  | { type: 'text' | 'boolean' | 'integer' | 'number' | 'text-or-number' | 'time' | 'micro-time' | 'free' }
  | { type: 'map'; of: Type }
  | ListType
  | ObjectType;

export type ListType = {
  type: 'list';
  of: Type;
  /** Fields that together identify an item for server-side apply. */
  keys?: readonly string[];
  /** The one field that identifies an item for a strategic merge patch. */
  mergeKey?: string;
  /** Of texts, each at most once; both merges join it. */
  set?: true;
};

export type ObjectType = {
  type: 'object';
  fields: { readonly [field: string]: Type };
  required: readonly string[];
  /** Replaced as a whole by server-side apply. */
  atomic?: true;
};

export const text: Type = { type: 'text' };
export const flag: Type = { type: 'boolean' };
export const integer: Type = { type: 'integer' };
export const textOrNumber: Type = { type: 'text-or-number' };
export const time: Type = { type: 'time' };
export const microTime: Type = { type: 'micro-time' };
/** Anything: kept as it is, because nothing in a lab looks at it. */
export const free: Type = { type: 'free' };

export function object(
  fields: { readonly [field: string]: Type },
  required: readonly string[] = [],
): ObjectType {
  return { type: 'object', fields, required };
}

export function atomic(type: ObjectType): ObjectType {
  return { ...type, atomic: true };
}

/** Replaced as a whole by every merge. */
export function list(of: Type): ListType {
  return { type: 'list', of };
}

export function setOf(of: Type): ListType {
  return { type: 'list', of, set: true };
}

/** @param keys for server-side apply; the first is also the key of strategic merges. */
export function listBy(of: Type, ...keys: readonly [string, ...string[]]): ListType {
  return { type: 'list', of, keys, mergeKey: keys[0] };
}

/** Merged by key in strategic merges, atomic for server-side apply. */
export function listMergedBy(of: Type, mergeKey: string): ListType {
  return { type: 'list', of, mergeKey };
}

export function map(of: Type): Type {
  return { type: 'map', of };
}

/** Fields of one type, by their names. */
export function each(type: Type, ...names: readonly string[]): Record<string, Type> {
  return Object.fromEntries(names.map((name) => [name, type]));
}
