/**
 * The objects of the lab's API, in memory: one version counts every change of anything, and the last changes are kept
 * for watches that resume. Objects are never changed in place.
 */
import type { Kind } from '../kinds.ts';
import type { ApiObject } from './object.ts';

export type Change = {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  kind: Kind;
  /** As it is now; of a deleted one, as it was last, with the version of the deletion. */
  object: ApiObject;
  /** As it was; absent of a new one. */
  before?: ApiObject;
  version: number;
};

export type Store = {
  readonly version: number;
  get: (kind: Kind, namespace: string | undefined, name: string) => ApiObject | undefined;
  /** In the order of namespace and name. @param namespace all of them where absent. */
  list: (kind: Kind, namespace?: string) => ApiObject[];
  /** Creates or replaces; gives the object its resourceVersion. */
  put: (kind: Kind, object: ApiObject) => ApiObject;
  remove: (kind: Kind, object: ApiObject) => ApiObject;
  /** All changes after a version. @returns undefined where some of them are forgotten. */
  since: (version: number) => readonly Change[] | undefined;
  watch: (listener: (change: Change) => void) => Disposable;
};

/** Changes that are kept for watches. */
const WINDOW = 4096;

/** @param record is told each change before it counts; what it throws undoes the change. */
export function createStore(
  start: { version: number; objects: readonly [Kind, ApiObject][] },
  record: (change: Change) => void = () => undefined,
  window = WINDOW,
): Store {
  const tables = new Map<string, Map<string, ApiObject>>();
  const listeners = new Set<(change: Change) => void>();
  let version = start.version;
  let history: Change[] = [];
  const table = (kind: Kind) => {
    const found = tables.get(kind.kind) ?? new Map<string, ApiObject>();
    tables.set(kind.kind, found);
    return found;
  };
  for (const [kind, object] of start.objects) table(kind).set(keyOf(object), object);

  const commit = (change: Change): ApiObject => {
    record(change);
    version = change.version;
    if (change.type === 'DELETED') table(change.kind).delete(keyOf(change.object));
    else table(change.kind).set(keyOf(change.object), change.object);
    history.push(change);
    if (history.length > 2 * window) history = history.slice(-window);
    for (const listener of listeners) listener(change);
    return change.object;
  };

  return {
    get version() {
      return version;
    },
    get: (kind, namespace, name) => table(kind).get(`${namespace ?? ''}/${name}`),
    list: (kind, namespace) => {
      const objects = [...table(kind)].filter(
        ([key]) => namespace === undefined || key.startsWith(`${namespace}/`),
      );
      return objects.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
    },
    put: (kind, object) => {
      const before = table(kind).get(keyOf(object));
      const next = stamp(object, version + 1);
      return commit(
        before === undefined
          ? { type: 'ADDED', kind, object: next, version: version + 1 }
          : { type: 'MODIFIED', kind, object: next, before, version: version + 1 },
      );
    },
    remove: (kind, object) => {
      const before = table(kind).get(keyOf(object)) ?? object;
      const last = stamp(before, version + 1);
      return commit({ type: 'DELETED', kind, object: last, before, version: version + 1 });
    },
    since: (after) => {
      const oldest = history[0]?.version ?? version + 1;
      if (after < oldest - 1) return undefined;
      return history.slice(Math.max(0, after - oldest + 1));
    },
    watch: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
}

/** `namespace/name`; the namespace is empty where the kind has none. */
export function keyOf({ metadata }: ApiObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function stamp(object: ApiObject, version: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
}
