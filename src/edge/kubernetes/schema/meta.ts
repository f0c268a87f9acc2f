/** Shapes that all kinds share: metadata, selectors, conditions. Source: apimachinery's meta/v1 as documented. */
import {
  atomic,
  each,
  flag,
  free,
  integer,
  list,
  listBy,
  map,
  type ObjectType,
  object,
  setOf,
  type Type,
  text,
  time,
} from './type.ts';

const ownerReference = atomic(
  object(
    { ...each(text, 'apiVersion', 'kind', 'name', 'uid'), ...each(flag, 'controller', 'blockOwnerDeletion') },
    ['apiVersion', 'kind', 'name', 'uid'],
  ),
);

export const objectMeta: ObjectType = object({
  ...each(text, 'name', 'generateName', 'namespace', 'selfLink', 'uid', 'resourceVersion'),
  generation: integer,
  creationTimestamp: time,
  deletionTimestamp: time,
  deletionGracePeriodSeconds: integer,
  labels: map(text),
  annotations: map(text),
  finalizers: setOf(text),
  ownerReferences: listBy(ownerReference, 'uid'),
  managedFields: list(
    object({
      ...each(text, 'manager', 'operation', 'apiVersion', 'fieldsType', 'subresource'),
      time,
      fieldsV1: free,
    }),
  ),
});

export const labelSelector: ObjectType = atomic(
  object({
    matchLabels: map(text),
    matchExpressions: list(object({ key: text, operator: text, values: list(text) }, ['key', 'operator'])),
  }),
);

/** Node and pod conditions alike; each type once. */
export const conditions: Type = listBy(
  object(
    {
      ...each(text, 'type', 'status', 'reason', 'message'),
      observedGeneration: integer,
      ...each(time, 'lastTransitionTime', 'lastProbeTime', 'lastHeartbeatTime'),
    },
    ['type', 'status'],
  ),
  'type',
);

export const objectReference: ObjectType = atomic(
  object(each(text, 'kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath')),
);

/** The shape of a whole object. */
export function kindShape(
  fields: { readonly [field: string]: Type },
  required: readonly string[] = [],
): ObjectType {
  return object({ apiVersion: text, kind: text, metadata: objectMeta, ...fields }, required);
}
