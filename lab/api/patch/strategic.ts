/**
 * Strategic merge patch: as a JSON merge patch, but lists whose items have an identity are merged item by item, with
 * directives (`$patch`, `$deleteFromPrimitiveList/…`, `$setElementOrder/…`, `$retainKeys`).
 * Source: community/contributors/devel/sig-api-machinery/strategic-merge-patch.md.
 */

import type { ListType, Type } from '../../../src/edge/kubernetes/schema/type.ts';
import { ApiFailure } from '../request/failure.ts';
import { type Fields, isFields } from '../storage/object.ts';
import { isEqual } from './equal.ts';

const DELETE_FROM = '$deleteFromPrimitiveList/';
const ORDER = '$setElementOrder/';

/** @throws ApiFailure where a directive is none, or an item lacks its key. */
export function strategicPatch(type: Type, target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const directive = patch['$patch'];
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge')
    throw refuse('$patch', directive, 'merge, replace or delete');
  const result = new Map(isFields(target) ? Object.entries(target) : []);
  retain(result, patch);
  for (const [field, change] of Object.entries(patch)) {
    if (field.startsWith('$')) continue;
    const inner = innerType(type, field);
    const before = result.get(field);
    if (change === null) result.delete(field);
    else if (Array.isArray(change)) result.set(field, patchList(inner, before, change, field));
    else result.set(field, strategicPatch(inner, before, change));
  }
  for (const [directiveField, values] of Object.entries(patch)) {
    if (!Array.isArray(values)) continue;
    if (directiveField.startsWith(DELETE_FROM))
      deleteFrom(result, directiveField.slice(DELETE_FROM.length), values);
    if (directiveField.startsWith(ORDER)) {
      const field = directiveField.slice(ORDER.length);
      order(result, field, values, innerType(type, field));
    }
  }
  return Object.fromEntries(result);
}

function innerType(type: Type, field: string): Type {
  if (type.type === 'map') return type.of;
  const inner = type.type === 'object' && Object.hasOwn(type.fields, field) ? type.fields[field] : undefined;
  return inner ?? { type: 'free' };
}

function patchList(type: Type, target: unknown, patch: readonly unknown[], field: string): unknown {
  const before = Array.isArray(target) ? target : [];
  if (type.type !== 'list' || (type.mergeKey === undefined && type.set === undefined))
    return patch.map(withoutDirectives);
  if (type.set === true) return [...before, ...patch.filter((value) => !before.includes(value))];
  if (patch.some((item) => isFields(item) && item['$patch'] === 'replace' && Object.keys(item).length === 1))
    return patch.filter((item) => !(isFields(item) && item['$patch'] === 'replace'));
  let result: unknown[] = before;
  for (const item of patch) result = patchItem(type, result, item, field);
  return result;
}

function patchItem(type: ListType, items: readonly unknown[], patch: unknown, field: string): unknown[] {
  const key = type.mergeKey!;
  if (!isFields(patch) || patch[key] === undefined)
    throw new ApiFailure(
      'BadRequest',
      `${field}: an item of a strategic merge patch lacks its merge key ${key}`,
    );
  const index = items.findIndex((item) => isFields(item) && isEqual(item[key], patch[key]));
  if (patch['$patch'] === 'delete') return index < 0 ? [...items] : items.toSpliced(index, 1);
  const merged = strategicPatch(type.of, index < 0 ? {} : items[index], patch);
  return index < 0 ? [...items, merged] : items.with(index, merged);
}

/** `$retainKeys` keeps these fields alone: a union's new member takes the place of the old. */
function retain(result: Map<string, unknown>, patch: Fields): void {
  const keys = patch['$retainKeys'];
  if (keys === undefined) return;
  if (!Array.isArray(keys)) throw refuse('$retainKeys', keys, 'a list of fields');
  for (const field of result.keys()) if (!keys.includes(field)) result.delete(field);
}

function deleteFrom(result: Map<string, unknown>, field: string, values: readonly unknown[]): void {
  const before = result.get(field);
  if (Array.isArray(before))
    result.set(
      field,
      before.filter((value) => !values.includes(value)),
    );
}

/** Those that the patch orders come in its order; the others stay where they are, behind them. */
function order(result: Map<string, unknown>, field: string, wanted: readonly unknown[], type: Type): void {
  const items = result.get(field);
  if (!Array.isArray(items) || type.type !== 'list') return;
  const identity = (item: unknown) =>
    type.mergeKey !== undefined && isFields(item) ? item[type.mergeKey] : item;
  const places = wanted.map(identity);
  const place = (item: unknown) => {
    const found = places.findIndex((candidate) => isEqual(candidate, identity(item)));
    return found < 0 ? places.length : found;
  };
  result.set(
    field,
    items.toSorted((a, b) => place(a) - place(b)),
  );
}

function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives);
  if (!isFields(value)) return value;
  const kept = Object.entries(value).filter(([field, item]) => !field.startsWith('$') && item !== null);
  return Object.fromEntries(kept.map(([field, item]) => [field, withoutDirectives(item)]));
}

function refuse(directive: string, value: unknown, use: string): ApiFailure {
  return new ApiFailure('BadRequest', `${directive}: ${JSON.stringify(value)} does not fit; use ${use}`);
}
