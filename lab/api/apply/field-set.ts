/**
 * Sets of fields, as server-side apply tracks them: each member is a path of the elements `f:NAME` (a field),
 * `k:{…}` (an item by its keys) and `v:VALUE` (an item of a set). Source: the FieldsV1 format of meta/v1.
 */

import type { ListType, Type } from '../../../src/edge/kubernetes/schema/type.ts';
import { type Fields, isFields } from '../storage/object.ts';

/** Members as texts: their elements, joined by SEPARATOR. */
export type FieldSet = ReadonlySet<string>;

/** Stands in no name and in no JSON text. */
const SEPARATOR = '\0';
/** Every object has these; no manager owns them. */
const UNOWNED = new Set(['apiVersion', 'kind', 'metadata']);
const UNOWNED_META = new Set(
  'name generateName namespace uid resourceVersion creationTimestamp generation managedFields deletionTimestamp deletionGracePeriodSeconds selfLink'.split(
    ' ',
  ),
);
/** Defaults of fields that are keys. */
const KEY_DEFAULTS: Readonly<Record<string, string>> = { protocol: 'TCP' };

export function joinPath(elements: readonly string[]): string {
  return elements.join(SEPARATOR);
}

export function splitPath(path: string): string[] {
  return path.split(SEPARATOR);
}

/** Every member of an object, with the value that it has: leaves and items. */
export function membersOf(type: Type, object: Fields): Map<string, unknown> {
  const members = new Map<string, unknown>();
  for (const [field, value] of Object.entries(object)) {
    if (field === 'metadata' && isFields(value)) {
      const meta = type.type === 'object' ? type.fields['metadata'] : undefined;
      for (const [name, item] of Object.entries(value)) {
        if (!UNOWNED_META.has(name) && meta !== undefined)
          collect(fieldType(meta, name), item, ['f:metadata', `f:${name}`], members);
      }
    } else if (!UNOWNED.has(field)) {
      collect(fieldType(type, field), value, [`f:${field}`], members);
    }
  }
  return members;
}

function collect(type: Type, value: unknown, path: readonly string[], into: Map<string, unknown>): void {
  if (isDeep(type, value)) {
    for (const [field, item] of Object.entries(value as Fields))
      collect(fieldType(type, field), item, [...path, `f:${field}`], into);
  } else if (type.type === 'list' && Array.isArray(value) && value.length > 0 && hasIdentity(type)) {
    for (const item of value) {
      const inner = [...path, itemElement(type, item)];
      into.set(joinPath(inner), type.set === true ? item : true);
      if (isDeep(type.of, item)) collect(type.of, item, inner, into);
    }
  } else {
    into.set(joinPath(path), value);
  }
}

/** Whether the fields of such a value are owned one by one. */
function isDeep(type: Type, value: unknown): boolean {
  const deep = type.type === 'map' || (type.type === 'object' && type.atomic !== true);
  return deep && isFields(value) && Object.keys(value).length > 0;
}

export function hasIdentity(type: ListType): boolean {
  return type.set === true || type.keys !== undefined;
}

export function itemElement(type: ListType, item: unknown): string {
  if (type.set === true) return `v:${JSON.stringify(item)}`;
  const keys = (type.keys ?? []).map((key) => [
    key,
    (isFields(item) ? item[key] : undefined) ?? KEY_DEFAULTS[key],
  ]);
  return `k:${JSON.stringify(Object.fromEntries(keys))}`;
}

export function fieldType(type: Type, field: string): Type {
  if (type.type === 'map') return type.of;
  const inner = type.type === 'object' && Object.hasOwn(type.fields, field) ? type.fields[field] : undefined;
  return inner ?? { type: 'free' };
}

/** The nested form in `managedFields`: `{}` is a member, `.` marks one that has members below it. */
export function toFieldsV1(set: FieldSet): Fields {
  type Tree = Map<string, Tree>;
  const root: Tree = new Map();
  for (const path of set) {
    let tree = root;
    for (const element of splitPath(path)) {
      const next: Tree = tree.get(element) ?? new Map();
      tree.set(element, next);
      tree = next;
    }
    tree.set('.', new Map());
  }
  const plain = (tree: Tree): Fields => {
    const entries = [...tree];
    if (entries.length === 1 && entries[0]![0] === '.') return {};
    return Object.fromEntries(
      entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([k, inner]) => [k, plain(inner)]),
    );
  };
  return plain(root);
}

export function fromFieldsV1(fields: unknown): FieldSet {
  const members = new Set<string>();
  const walk = (tree: unknown, path: readonly string[]): void => {
    const entries = isFields(tree) ? Object.entries(tree) : [];
    if (path.length > 0 && (entries.length === 0 || (isFields(tree) && '.' in tree)))
      members.add(joinPath(path));
    for (const [element, inner] of entries) if (element !== '.') walk(inner, [...path, element]);
  };
  walk(fields, []);
  return members;
}
