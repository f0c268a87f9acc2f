/** Who manages which field of an object: `metadata.managedFields`, read, kept up and written. */

import type { Type } from '../../../src/edge/kubernetes/schema/type.ts';
import { isEqual } from '../patch/equal.ts';
import { type Fields, isFields, listAt, textAt } from '../storage/object.ts';
import { type FieldSet, fromFieldsV1, membersOf, toFieldsV1 } from './field-set.ts';

export type Manager = {
  name: string;
  /** `Apply`: said what it wants; `Update`: changed something by other means. */
  operation: 'Apply' | 'Update';
  apiVersion: string;
  /** RFC 3339. */
  time: string;
  subresource?: string;
  fields: FieldSet;
};

export type Writer = Omit<Manager, 'fields' | 'operation'>;

export function readManagers(object: unknown): Manager[] {
  return listAt(object, 'metadata', 'managedFields').map((entry) => {
    const subresource = textAt(entry, 'subresource');
    return {
      name: textAt(entry, 'manager'),
      operation: textAt(entry, 'operation') === 'Apply' ? 'Apply' : 'Update',
      apiVersion: textAt(entry, 'apiVersion'),
      time: textAt(entry, 'time'),
      ...(subresource === '' ? {} : { subresource }),
      fields: fromFieldsV1(isFields(entry) ? entry['fieldsV1'] : {}),
    };
  });
}

/** The entries for `metadata.managedFields`; managers of nothing are left out. */
export function writeManagers(managers: readonly Manager[]): Fields[] {
  return managers
    .filter(({ fields }) => fields.size > 0)
    .map(({ name, operation, apiVersion, time, subresource, fields }) => ({
      manager: name,
      operation,
      apiVersion,
      time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource === undefined ? {} : { subresource }),
    }));
}

/** Gives the writer of an update what it changed, and takes from all managers what is there no longer. */
export function trackUpdate(
  type: Type,
  before: Fields | undefined,
  after: Fields,
  managers: readonly Manager[],
  writer: Writer,
): Manager[] {
  const old = before === undefined ? new Map<string, unknown>() : membersOf(type, before);
  const now = membersOf(type, after);
  const changed = new Set(
    [...now]
      .filter(([path, value]) => !old.has(path) || !isEqual(old.get(path), value))
      .map(([path]) => path),
  );
  const isWriter = (manager: Manager) =>
    manager.operation === 'Update' &&
    manager.name === writer.name &&
    manager.subresource === writer.subresource;
  const kept: Manager[] = managers.map((manager) => ({
    ...manager,
    fields: new Set(
      [...manager.fields].filter((path) => now.has(path) && (isWriter(manager) || !changed.has(path))),
    ),
  }));
  if (changed.size === 0) return kept;
  const own = kept.find(isWriter);
  const entry: Manager = {
    ...writer,
    operation: 'Update',
    fields: new Set([...(own?.fields ?? []), ...changed]),
  };
  return own === undefined ? [...kept, entry] : kept.with(kept.indexOf(own), entry);
}
