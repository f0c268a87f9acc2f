/** What stands between a decoded object and the store: namespaces, metadata, defaults, validation, who wrote what. */
import { type Api, timeOf } from '../api.ts';
import { readManagers, trackUpdate, type Writer, writeManagers } from '../apply/managers.ts';
import { apiVersionOf, type Kind, kindNamed, notFound, qualifiedPlural } from '../kinds.ts';
import { isEqual } from '../patch/equal.ts';
import { ApiFailure, invalid } from '../request/failure.ts';
import type { Target } from '../request/request.ts';
import { prepareService } from '../service/prepare.ts';
import { type ApiObject, type Fields, fieldsAt, textAt, withField } from '../storage/object.ts';
import { conform } from './conform.ts';
import { withDefaults } from './defaults.ts';
import { validate } from './validate.ts';

/**
 * @param writer who changes it; undefined where the object itself tells who manages what.
 * @returns the object as it will be stored, complete but for its resourceVersion.
 * @throws ApiFailure
 */
export function admitNew(api: Api, target: Target, object: Fields, writer: Writer | undefined): ApiObject {
  const { kind, namespace } = target;
  const given = fieldsAt(object, 'metadata');
  const generated = textAt(given, 'generateName');
  const name =
    textAt(given, 'name') ||
    (generated === '' ? '' : `${generated}${api.newUid().replaceAll('-', '').slice(0, 5)}`);
  checkNames(target, object, name);
  if (kind.namespaced) requireNamespace(api, namespace ?? '', kind, name);
  const {
    deletionTimestamp: _,
    deletionGracePeriodSeconds: __,
    resourceVersion,
    selfLink: ___,
    ...kept
  } = given;
  if (textAt({ resourceVersion }, 'resourceVersion') !== '')
    throw new ApiFailure(
      'BadRequest',
      'metadata.resourceVersion: must not be set on objects to be created; leave it out',
    );
  const metadata: Fields = {
    ...kept,
    name,
    ...(kind.namespaced ? { namespace } : {}),
    uid: api.newUid(),
    creationTimestamp: timeOf(api.now()),
    ...(kind.shape.fields['spec'] === undefined ? {} : { generation: 1 }),
  };
  // A node reports its status as it registers; of everything else it is not the creator's to say.
  const { status: ____, ...rest } = object;
  const complete = withDefaults(kind, { ...(kind.status && kind.kind !== 'Node' ? rest : object), metadata });
  const allocated = kind.kind === 'Service' ? prepareService(api.store, complete, undefined) : complete;
  return finish(kind, allocated, undefined, writer);
}

/**
 * @param before the object as it is stored.
 * @returns `before` itself where nothing would change.
 */
export function admitUpdate(
  api: Api,
  target: Target,
  before: ApiObject,
  object: Fields,
  writer: Writer | undefined,
): ApiObject {
  const { kind, subresource } = target;
  checkNames(target, object, before.metadata.name);
  checkPreconditions(target, before, object);
  const given = fieldsAt(object, 'metadata');
  const { uid, creationTimestamp, generation, name, namespace, resourceVersion } = before.metadata;
  const { deletionTimestamp, deletionGracePeriodSeconds } = before.metadata;
  const metadata: Fields = Object.fromEntries(
    Object.entries({
      // Who does not speak of managers leaves them as they are.
      managedFields: before.metadata['managedFields'],
      ...given,
      name,
      namespace,
      uid,
      creationTimestamp,
      generation,
      resourceVersion,
      deletionTimestamp,
      deletionGracePeriodSeconds,
      selfLink: undefined,
    }).filter(([, value]) => value !== undefined),
  );
  const parts =
    subresource === 'status'
      ? {
          ...before,
          status: object['status'],
          metadata: { ...before.metadata, managedFields: metadata['managedFields'] },
        }
      : { ...object, metadata, ...(kind.status ? { status: before['status'] } : {}) };
  const complete = withDefaults(kind, withoutUndefined(parts));
  const isService = kind.kind === 'Service' && subresource === undefined;
  const next = isService ? prepareService(api.store, complete, before) : complete;
  const specChanged = !isEqual(before['spec'], next['spec']) && generation !== undefined;
  const counted = specChanged ? withField(next, ['metadata', 'generation'], generation + 1) : next;
  if (isEqual(counted, before)) return before;
  return finish(kind, counted, before, writer);
}

function finish(
  kind: Kind,
  object: Fields,
  before: ApiObject | undefined,
  writer: Writer | undefined,
): ApiObject {
  const missing = conform(kind.shape, object).missing.map((field) => ({
    field,
    message: 'Required value',
    reason: 'FieldValueRequired',
  }));
  const causes = missing.length > 0 ? missing : validate(kind, object, before);
  if (causes.length > 0) throw invalid(kind, textAt(object, 'metadata', 'name'), causes);
  if (writer === undefined) return object as ApiObject;
  const managers = trackUpdate(kind.shape, before, object, readManagers(object), writer);
  return withField(object, ['metadata', 'managedFields'], writeManagers(managers)) as ApiObject;
}

function checkNames({ kind, namespace, name }: Target, object: Fields, found: string): void {
  const said = textAt(object, 'metadata', 'namespace');
  if (kind.namespaced && said !== '' && said !== namespace)
    throw new ApiFailure(
      'BadRequest',
      `the namespace of the provided object does not match the namespace sent on the request: ${JSON.stringify(said)} is not ${JSON.stringify(namespace)}`,
    );
  if (!kind.namespaced && said !== '')
    throw new ApiFailure(
      'BadRequest',
      `metadata.namespace: ${JSON.stringify(said)} does not fit; ${kind.plural} have no namespace`,
    );
  const own = textAt(object, 'metadata', 'name') || found;
  if (name !== undefined && own !== name)
    throw new ApiFailure(
      'BadRequest',
      `the name of the object (${own}) does not match the name on the URL (${name})`,
    );
}

function checkPreconditions({ kind, name = '' }: Target, before: ApiObject, object: Fields): void {
  const version = textAt(object, 'metadata', 'resourceVersion');
  const uid = textAt(object, 'metadata', 'uid');
  const refuse = (why: string) =>
    new ApiFailure(
      'Conflict',
      `Operation cannot be fulfilled on ${qualifiedPlural(kind)} ${JSON.stringify(name)}: ${why}`,
      {
        name,
        kind: kind.plural,
        ...(kind.group === '' ? {} : { group: kind.group }),
      },
    );
  if (version !== '' && version !== before.metadata.resourceVersion)
    throw refuse(
      'the object has been modified; please apply your changes to the latest version and try again',
    );
  if (uid !== '' && uid !== before.metadata.uid)
    throw refuse(
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`,
    );
}

function requireNamespace(api: Api, namespace: string, kind: Kind, name: string): void {
  const found = api.store.get(kindNamed('Namespace'), undefined, namespace);
  if (found === undefined) throw notFound(kindNamed('Namespace'), namespace);
  if (found.metadata.deletionTimestamp !== undefined)
    throw new ApiFailure(
      'Forbidden',
      `${qualifiedPlural(kind)} ${JSON.stringify(name)} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
      { name, kind: kind.plural },
    );
}

function withoutUndefined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export function writerOf(kind: Kind, name: string, now: number, subresource?: string): Writer {
  return {
    name,
    apiVersion: apiVersionOf(kind),
    time: timeOf(now),
    ...(subresource === undefined ? {} : { subresource }),
  };
}
