/** The two halves of server-side apply: joining what is applied into an object, and taking away what no longer is. */

import type { Type } from '../../../src/edge/kubernetes/schema/type.ts';
import { type Fields, isFields } from '../storage/object.ts';
import { fieldType, hasIdentity, itemElement } from './field-set.ts';

export function mergeApplied(type: Type, live: unknown, applied: unknown): unknown {
  if ((type.type === 'map' || (type.type === 'object' && type.atomic !== true)) && isFields(applied)) {
    const result = new Map(isFields(live) ? Object.entries(live) : []);
    for (const [field, value] of Object.entries(applied))
      result.set(field, mergeApplied(fieldType(type, field), result.get(field), value));
    return Object.fromEntries(result);
  }
  if (type.type === 'list' && Array.isArray(applied) && hasIdentity(type)) {
    const before: readonly unknown[] = Array.isArray(live) ? live : [];
    const items = new Map(before.map((item) => [itemElement(type, item), item]));
    for (const item of applied) {
      const element = itemElement(type, item);
      items.set(element, type.set === true ? item : mergeApplied(type.of, items.get(element) ?? {}, item));
    }
    return [...items.values()];
  }
  return applied;
}

/** Takes the member at a path away; a path that is not there is fine. */
export function removeMember(type: Type, value: unknown, path: readonly string[]): unknown {
  const [element, ...rest] = path;
  if (element === undefined) return value;
  if (element.startsWith('f:') && isFields(value)) return removeField(type, value, element.slice(2), rest);
  if (type.type === 'list' && Array.isArray(value)) {
    const index = value.findIndex((item) => itemElement(type, item) === element);
    if (index < 0) return value;
    if (rest.length === 0) return value.toSpliced(index, 1);
    return value.with(index, removeMember(type.of, value[index], rest));
  }
  return value;
}

function removeField(type: Type, value: Fields, field: string, rest: readonly string[]): unknown {
  if (!Object.hasOwn(value, field)) return value;
  const fields = new Map(Object.entries(value));
  const inner = rest.length === 0 ? undefined : removeMember(fieldType(type, field), fields.get(field), rest);
  // What held nothing else goes with its last member.
  const isEmpty = Array.isArray(inner)
    ? inner.length === 0
    : isFields(inner) && Object.keys(inner).length === 0;
  if (inner === undefined || isEmpty) fields.delete(field);
  else fields.set(field, inner);
  return Object.fromEntries(fields);
}
