/** Field selectors: `spec.nodeName=node-1,status.phase!=Running`, over the few fields that a kind offers. */

import type { Kind } from '../kinds.ts';
import { type ApiObject, at } from '../storage/object.ts';
import { ApiFailure } from './failure.ts';

export type FieldRequirement = { field: string; equal: boolean; value: string };

/** @throws ApiFailure that names a field which the kind does not offer. */
export function parseFieldSelector(text: string, kind: Kind): FieldRequirement[] {
  if (text.trim() === '') return [];
  const known = new Set([
    'metadata.name',
    ...(kind.namespaced ? ['metadata.namespace'] : []),
    ...kind.selectable,
  ]);
  return text.split(/(?<!\\),/).map((part) => {
    const match = /^([\w.]+)\s*(!=|==|=)(.*)$/s.exec(part.trim());
    if (match === null) {
      throw new ApiFailure(
        'BadRequest',
        `invalid selector: ${JSON.stringify(text)}; write field=value or field!=value`,
      );
    }
    const [, field, operator, value] = match;
    if (!known.has(field!)) {
      throw new ApiFailure(
        'BadRequest',
        `field label not supported: ${JSON.stringify(field)}; ${kind.plural} offer ${[...known].join(', ')}`,
      );
    }
    return { field: field!, equal: operator !== '!=', value: value!.replaceAll(/\\([\\,=])/g, '$1') };
  });
}

export function matchesFields(requirements: readonly FieldRequirement[], object: ApiObject): boolean {
  return requirements.every(({ field, equal, value }) => (textOf(object, field) === value) === equal);
}

function textOf(object: ApiObject, field: string): string {
  if (field === 'source') return textOf(object, 'source.component') || textOf(object, 'reportingComponent');
  const found = at(object, ...field.split('.'));
  if (typeof found === 'boolean' || typeof found === 'number' || typeof found === 'string')
    return String(found);
  return field === 'spec.unschedulable' || field === 'spec.hostNetwork' ? 'false' : '';
}
