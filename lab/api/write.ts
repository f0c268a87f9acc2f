/** Creating, replacing and patching objects. */

import type { Answer, Api } from './api.ts';
import { serverSideApply } from './apply/apply.ts';
import { notFound, qualifiedPlural } from './kinds.ts';
import { jsonPatch } from './patch/json-patch.ts';
import { mergePatch } from './patch/merge-patch.ts';
import { strategicPatch } from './patch/strategic.ts';
import { decodeObject, parseJson, parseYaml } from './request/decode.ts';
import { ApiFailure } from './request/failure.ts';
import { parseProtobuf } from './request/protobuf-body.ts';
import type { Query, Target } from './request/request.ts';
import { type ApiObject, type Fields, isFields } from './storage/object.ts';
import { admitNew, admitUpdate, writerOf } from './validation/admit.ts';
import { withDefaults } from './validation/defaults.ts';

export type WriteRequest = {
  target: Target;
  query: Query;
  body: Buffer;
  /** Media type without parameters. */
  contentType: string;
  /** Who manages the fields that are written. */
  manager: string;
};

export function createObject(api: Api, { target, query, body, contentType, manager }: WriteRequest): Answer {
  const { object, warnings } = decodeObject(target.kind, parseBody(body, contentType), query.fieldValidation);
  return create(api, target, query, object, manager, warnings);
}

export function replaceObject(api: Api, { target, query, body, contentType, manager }: WriteRequest): Answer {
  const before = requireObject(api, target);
  const { object, warnings } = decodeObject(target.kind, parseBody(body, contentType), query.fieldValidation);
  return update(api, target, query, before, object, manager, warnings);
}

export function patchObject(api: Api, request: WriteRequest): Answer {
  const { target, query, manager } = request;
  if (request.contentType === 'application/apply-patch+yaml') return applyObject(api, request);
  const before = requireObject(api, target);
  const patched = patchedObject(request, before);
  const { object, warnings } = decodeObject(target.kind, patched, query.fieldValidation);
  return update(api, target, query, before, object, manager, warnings);
}

export function requireObject(api: Api, { kind, namespace, name = '' }: Target): ApiObject {
  const found = api.store.get(kind, namespace, name);
  if (found === undefined) throw notFound(kind, name);
  return found;
}

function patchedObject({ target, body, contentType }: WriteRequest, before: ApiObject): unknown {
  const { kind } = target;
  switch (contentType) {
    case 'application/json-patch+json':
      return jsonPatch(before, parseJson(body));
    case 'application/merge-patch+json':
      return mergePatch(before, requireFields(parseJson(body)));
    case 'application/strategic-merge-patch+json':
      if (!kind.custom) return strategicPatch(kind.shape, before, requireFields(parseJson(body)));
      throw new ApiFailure(
        'UnsupportedMediaType',
        `${qualifiedPlural(kind)} take no strategic merge patch; send application/merge-patch+json, application/json-patch+json or application/apply-patch+yaml`,
      );
    default:
      throw new ApiFailure(
        'UnsupportedMediaType',
        `the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml; this was ${JSON.stringify(contentType)}`,
      );
  }
}

function applyObject(api: Api, { target, query, body, manager }: WriteRequest): Answer {
  const { kind } = target;
  if (query.fieldManager === undefined)
    throw new ApiFailure('BadRequest', 'fieldManager: is required for apply patch; name who applies');
  const { object: applied, warnings } = decodeObject(kind, parseYaml(body), query.fieldValidation);
  const before = api.store.get(kind, target.namespace, target.name ?? '');
  if (before === undefined && target.subresource !== undefined) throw notFound(kind, target.name ?? '');
  const writer = writerOf(kind, manager, api.now(), target.subresource);
  const merged = serverSideApply(
    kind.shape,
    before,
    { applied, complete: withDefaults(kind, applied) },
    writer,
    query.force,
  );
  if (before === undefined) return create(api, target, query, merged, undefined, warnings);
  return update(api, target, query, before, merged, undefined, warnings);
}

/** @param manager undefined where the object already tells who manages what. */
function create(
  api: Api,
  target: Target,
  query: Query,
  object: Fields,
  manager: string | undefined,
  warnings: readonly string[],
): Answer {
  const { kind, namespace } = target;
  const writer = manager === undefined ? undefined : writerOf(kind, manager, api.now());
  const next = admitNew(api, target, object, writer);
  const { name } = next.metadata;
  if (api.store.get(kind, namespace, name) !== undefined)
    throw new ApiFailure('AlreadyExists', `${qualifiedPlural(kind)} ${JSON.stringify(name)} already exists`, {
      name,
      kind: kind.plural,
      ...(kind.group === '' ? {} : { group: kind.group }),
    });
  return { code: 201, body: query.dryRun ? next : api.store.put(kind, next), warnings };
}

function update(
  api: Api,
  target: Target,
  query: Query,
  before: ApiObject,
  object: Fields,
  manager: string | undefined,
  warnings: readonly string[],
): Answer {
  const { kind, subresource } = target;
  const writer = manager === undefined ? undefined : writerOf(kind, manager, api.now(), subresource);
  const next = admitUpdate(api, target, before, object, writer);
  return { code: 200, body: query.dryRun || next === before ? next : api.store.put(kind, next), warnings };
}

/** @throws ApiFailure where it is none, or of a type that is not taken. */
export function parseBody(body: Buffer, contentType: string): unknown {
  if (contentType === 'application/yaml') return parseYaml(body);
  if (contentType === 'application/json' || contentType === '') return parseJson(body);
  if (contentType === 'application/vnd.kubernetes.protobuf') return parseProtobuf(body);
  throw new ApiFailure(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml; this was ${JSON.stringify(contentType)}`,
  );
}

function requireFields(patch: unknown): Fields {
  if (isFields(patch)) return patch;
  throw new ApiFailure('BadRequest', 'the patch is not an object');
}
