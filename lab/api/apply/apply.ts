/** Server-side apply: a manager states what it wants; what it stated before and no longer does goes, conflicts are told. */

import type { Type } from '../../../src/edge/kubernetes/schema/type.ts';
import { isEqual } from '../patch/equal.ts';
import { ApiFailure } from '../request/failure.ts';
import type { Fields } from '../storage/object.ts';
import { type FieldSet, membersOf, splitPath } from './field-set.ts';
import { type Manager, readManagers, type Writer, writeManagers } from './managers.ts';
import { mergeApplied, removeMember } from './merge.ts';

/**
 * @param live undefined where the object is new.
 * @param wish what is applied, and the same with its defaults: a value that only lacks a default is no conflict.
 * @param force take fields from managers that want them otherwise.
 * @throws ApiFailure (Conflict) that names each such field and its manager.
 */
export function serverSideApply(
  type: Type,
  live: Fields | undefined,
  wish: { applied: Fields; complete: Fields },
  writer: Writer,
  force: boolean,
): Fields {
  const wanted = membersOf(type, wish.applied);
  const complete = membersOf(type, wish.complete);
  const current = live === undefined ? new Map<string, unknown>() : membersOf(type, live);
  const managers = live === undefined ? [] : readManagers(live);
  const isSelf = (manager: Manager) =>
    manager.operation === 'Apply' &&
    manager.name === writer.name &&
    manager.subresource === writer.subresource;
  const others = managers.filter((manager) => !isSelf(manager));
  const differs = (path: string) => current.has(path) && !isEqual(current.get(path), complete.get(path));
  const differing = new Set([...wanted.keys()].filter(differs));
  const conflicts = others.flatMap((manager) =>
    [...manager.fields].filter((path) => differing.has(path)).map((path) => ({ manager, path })),
  );
  if (conflicts.length > 0 && !force) throw conflict(conflicts);
  const before = managers.find(isSelf);
  const owned = new Set(others.flatMap((manager) => [...without(manager.fields, differing)]));
  // The deepest first, so that an item is empty of its own fields before it goes itself.
  const gone = [...(before?.fields ?? [])]
    .filter((path) => !wanted.has(path) && !owned.has(path))
    .toSorted((a, b) => splitPath(b).length - splitPath(a).length);
  let merged = mergeApplied(type, live ?? {}, wish.applied);
  for (const path of gone) merged = removeMember(type, merged, splitPath(path));
  const fields: FieldSet = new Set(wanted.keys());
  const unchanged = before !== undefined && isSameSet(before.fields, fields);
  const entry: Manager = {
    ...writer,
    operation: 'Apply',
    fields,
    time: unchanged ? before.time : writer.time,
  };
  // Each keeps its place, so that the same again changes nothing.
  const all = managers.map((manager) =>
    manager === before ? entry : { ...manager, fields: without(manager.fields, differing) },
  );
  const managedFields = writeManagers(before === undefined ? [...all, entry] : all);
  const result = merged as Fields & { metadata?: Fields };
  return { ...result, metadata: { ...result.metadata, managedFields } };
}

function without(fields: FieldSet, taken: ReadonlySet<string>): FieldSet {
  return new Set([...fields].filter((path) => !taken.has(path)));
}

function isSameSet(a: FieldSet, b: FieldSet): boolean {
  return a.size === b.size && [...a].every((path) => b.has(path));
}

function conflict(conflicts: readonly { manager: Manager; path: string }[]): ApiFailure {
  const said = conflicts.map(({ manager, path }) => ({
    field: readable(path),
    message: `conflict with ${JSON.stringify(manager.name)}${manager.operation === 'Update' ? ` using ${manager.apiVersion}` : ''}`,
    reason: 'FieldManagerConflict',
  }));
  return new ApiFailure(
    'Conflict',
    `Apply failed with ${said.length} conflict${said.length > 1 ? 's' : ''}: ${said.map(({ field, message }) => `${message}: ${field}`).join('; ')}; apply with force to take the fields over`,
    { causes: said },
  );
}

/** `.spec.containers[name="web"].image`. */
function readable(path: string): string {
  const parts = splitPath(path).map((element) => {
    const rest = element.slice(2);
    if (element.startsWith('f:')) return `.${rest}`;
    if (element.startsWith('v:')) return `[=${rest}]`;
    const keys = Object.entries(readKeys(rest)).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    return `[${keys.join(',')}]`;
  });
  return parts.join('');
}

/** Managed fields are also written by clients: what is no JSON is shown as it is. */
function readKeys(text: string): Fields {
  try {
    return JSON.parse(text) as Fields;
  } catch {
    return { '?': text };
  }
}
