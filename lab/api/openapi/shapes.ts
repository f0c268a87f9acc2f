/** Shapes as OpenAPI schemas: the same for versions 2 and 3, but for what may be anything. */

import type { Type } from '../../../src/edge/kubernetes/schema/type.ts';
import { apiVersionOf, type Kind } from '../kinds.ts';

export type Schema = { readonly [field: string]: unknown };

/** `io.k8s.api.networking.v1.NetworkPolicy`. */
export function definitionName({ group, version, kind }: Kind): string {
  return `io.k8s.api.${group.split('.', 1)[0] || 'core'}.${version}.${kind}`;
}

export function kindSchema(kind: Kind, open: Schema): Schema {
  return {
    description: `${kind.kind} of ${apiVersionOf(kind)}, as the lab serves it.`,
    ...schemaOf(kind.shape, open),
    'x-kubernetes-group-version-kind': [{ group: kind.group, kind: kind.kind, version: kind.version }],
  };
}

/** @param open the schema of what may be anything. */
export function schemaOf(type: Type, open: Schema): Schema {
  switch (type.type) {
    case 'text':
      return { type: 'string' };
    case 'time':
    case 'micro-time':
      return { type: 'string', format: 'date-time' };
    case 'text-or-number':
      return { type: 'string', format: 'int-or-string' };
    case 'integer':
      return { type: 'integer', format: 'int64' };
    case 'number':
    case 'boolean':
      return { type: type.type };
    case 'free':
      return open;
    case 'map':
      return { type: 'object', additionalProperties: schemaOf(type.of, open) };
    case 'list':
      return {
        type: 'array',
        items: schemaOf(type.of, open),
        ...(type.keys === undefined ? {} : { 'x-kubernetes-list-map-keys': type.keys }),
        'x-kubernetes-list-type': type.set === true ? 'set' : type.keys === undefined ? 'atomic' : 'map',
        ...(type.mergeKey === undefined ? {} : { 'x-kubernetes-patch-merge-key': type.mergeKey }),
        ...(type.mergeKey === undefined && type.set === undefined
          ? {}
          : { 'x-kubernetes-patch-strategy': 'merge' }),
      };
    case 'object': {
      const properties = Object.entries(type.fields).map(([field, inner]) => [field, schemaOf(inner, open)]);
      return {
        type: 'object',
        properties: Object.fromEntries(properties),
        ...(type.required.length > 0 ? { required: type.required } : {}),
        ...(type.atomic === true ? { 'x-kubernetes-map-type': 'atomic' } : {}),
      };
    }
  }
}
