/** Deleting: at once, or for pods of nodes and for namespaces marked first and gone when nothing of them is left. */
import { type Answer, type Api, timeOf } from './api.ts';
import { KINDS, type Kind, kindNamed, qualifiedPlural } from './kinds.ts';
import { ApiFailure } from './request/failure.ts';
import { isSelected, type Query, type Target } from './request/request.ts';
import { type ApiObject, at, textAt, withField } from './storage/object.ts';
import { parseBody, requireObject } from './write.ts';

/** The cluster's own. */
export const LASTING_NAMESPACES = ['default', 'kube-system'];

export function deleteObject(
  api: Api,
  target: Target,
  query: Query,
  { body, contentType }: { body: Buffer; contentType: string },
): Answer {
  const { kind } = target;
  const object = requireObject(api, target);
  const options = body.length === 0 ? {} : parseBody(body, contentType);
  checkPreconditions(kind, object, options);
  const said = at(options, 'gracePeriodSeconds');
  const grace = typeof said === 'number' ? said : query.gracePeriodSeconds;
  if (query.dryRun || isDryRun(options)) return gone(kind, object);
  const marked = end(api, kind, object, grace);
  return marked === undefined ? gone(kind, object) : { code: 200, body: marked };
}

export function deleteCollection(api: Api, { kind, namespace }: Target, query: Query): Answer {
  const chosen = api.store.list(kind, namespace).filter((object) => isSelected(query, object));
  if (!query.dryRun) for (const object of chosen) end(api, kind, object, query.gracePeriodSeconds);
  return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' } };
}

/** The pod has stopped. What waited for it goes too. */
export function removeStopped(api: Api, pod: ApiObject): void {
  remove(api, kindNamed('Pod'), pod);
}

/** @returns the object where it stays for now, marked. */
function end(api: Api, kind: Kind, object: ApiObject, grace: number | undefined): ApiObject | undefined {
  if (kind.kind === 'Namespace') return endNamespace(api, object);
  const { metadata } = object;
  if (kind.kind !== 'Pod' || !api.stopsPods(textAt(object, 'spec', 'nodeName'))) {
    remove(api, kind, object);
    return undefined;
  }
  if (metadata.deletionTimestamp !== undefined) return object;
  const seconds = grace ?? Number(at(object, 'spec', 'terminationGracePeriodSeconds') ?? 30);
  return api.store.put(kind, mark(api, object, seconds));
}

function endNamespace(api: Api, namespace: ApiObject): ApiObject | undefined {
  const { name } = namespace.metadata;
  const kind = kindNamed('Namespace');
  if (LASTING_NAMESPACES.includes(name))
    throw new ApiFailure(
      'Forbidden',
      `namespaces ${JSON.stringify(name)} is forbidden: this namespace may not be deleted`,
      {
        name,
        kind: kind.plural,
      },
    );
  if (namespace.metadata.deletionTimestamp === undefined)
    api.store.put(kind, withField(mark(api, namespace, 0), ['status', 'phase'], 'Terminating') as ApiObject);
  for (const inner of KINDS.filter(({ namespaced }) => namespaced))
    for (const object of api.store.list(inner, name)) end(api, inner, object, undefined);
  removeEmptied(api, name);
  return api.store.get(kind, undefined, name);
}

function remove(api: Api, kind: Kind, object: ApiObject): void {
  api.store.remove(kind, object);
  const { namespace } = object.metadata;
  if (namespace !== undefined) removeEmptied(api, namespace);
}

/** A namespace that ends goes with the last object in it. */
function removeEmptied(api: Api, name: string): void {
  const kind = kindNamed('Namespace');
  const namespace = api.store.get(kind, undefined, name);
  if (namespace?.metadata.deletionTimestamp === undefined) return;
  const isEmpty = KINDS.every((inner) => !inner.namespaced || api.store.list(inner, name).length === 0);
  if (isEmpty) api.store.remove(kind, namespace);
}

function mark(api: Api, object: ApiObject, seconds: number): ApiObject {
  const deletionTimestamp = timeOf(api.now() + seconds * 1000);
  return {
    ...object,
    metadata: { ...object.metadata, deletionTimestamp, deletionGracePeriodSeconds: seconds },
  };
}

function checkPreconditions(kind: Kind, object: ApiObject, options: unknown): void {
  for (const field of ['uid', 'resourceVersion'] as const) {
    const wanted = textAt(options, 'preconditions', field);
    if (wanted !== '' && wanted !== object.metadata[field])
      throw new ApiFailure(
        'Conflict',
        `Operation cannot be fulfilled on ${qualifiedPlural(kind)} ${JSON.stringify(object.metadata.name)}: Precondition failed: ${field} ${wanted} is not ${object.metadata[field]}`,
        { name: object.metadata.name, kind: kind.plural },
      );
  }
}

function isDryRun(options: unknown): boolean {
  const dryRun = at(options, 'dryRun');
  return Array.isArray(dryRun) && dryRun.includes('All');
}

function gone(kind: Kind, { metadata }: ApiObject): Answer {
  const details = {
    name: metadata.name,
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.plural,
    uid: metadata.uid,
  };
  return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
}
