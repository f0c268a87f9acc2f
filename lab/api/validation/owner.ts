/** The cluster's own writes: what its scheduler, its nodes and its controllers do through the API elsewhere. */

import type { Api } from '../api.ts';
import { kindNamed } from '../kinds.ts';
import { type ApiObject, type Fields, textAt, withField } from '../storage/object.ts';
import { admitNew, admitUpdate, writerOf } from './admit.ts';

/** Who it is in `managedFields`. */
const MANAGER = 'fairlead-lab';

/** Creates it where nothing has its name. @returns what is there. */
export function ensureObject(
  api: Api,
  kindName: string,
  object: Fields & { metadata: { name: string; namespace?: string } },
): ApiObject {
  const kind = kindNamed(kindName);
  const { name, namespace } = object.metadata;
  const target = { kind, ...(namespace === undefined ? {} : { namespace }) };
  const found = api.store.get(kind, namespace, name);
  return found ?? api.store.put(kind, admitNew(api, target, object, writerOf(kind, MANAGER, api.now())));
}

/** Creates one that is not there. @throws ApiFailure */
export function createOwned(api: Api, kindName: string, object: Fields): ApiObject {
  const kind = kindNamed(kindName);
  const namespace = textAt(object, 'metadata', 'namespace');
  const target = { kind, ...(namespace === '' ? {} : { namespace }) };
  return api.store.put(kind, admitNew(api, target, object, writerOf(kind, MANAGER, api.now())));
}

/** @param before as it is now. @throws ApiFailure */
export function replaceOwned(api: Api, before: ApiObject, object: Fields): ApiObject {
  const kind = kindNamed(before.kind);
  const { name, namespace } = before.metadata;
  const target = { kind, name, ...(namespace === undefined ? {} : { namespace }) };
  const next = admitUpdate(api, target, before, object, writerOf(kind, MANAGER, api.now()));
  return next === before ? before : api.store.put(kind, next);
}

/** Sets one field, or a whole part, of an object as it is now. @returns undefined where it is gone. */
export function setField(
  api: Api,
  object: ApiObject,
  path: readonly string[],
  value: unknown,
): ApiObject | undefined {
  const kind = kindNamed(object.kind);
  const { name, namespace, uid } = object.metadata;
  const now = api.store.get(kind, namespace, name);
  if (now === undefined || now.metadata.uid !== uid) return undefined;
  const subresource = path[0] === 'status' ? { subresource: 'status' } : {};
  const target = { kind, name, ...(namespace === undefined ? {} : { namespace }), ...subresource };
  const writer = writerOf(kind, MANAGER, api.now(), subresource.subresource);
  const next = admitUpdate(api, target, now, withField(now, path, value), writer);
  return next === now ? now : api.store.put(kind, next);
}
