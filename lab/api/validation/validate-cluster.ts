/** What the kinds besides pods and policies must fulfil. */

import { isEqual } from '../patch/equal.ts';
import type { Cause } from '../request/failure.ts';
import { at, type Fields, fieldsAt, listAt } from '../storage/object.ts';
import { isRange } from './validate-policy.ts';

/** A node's ranges are given once: from none to some. */
export function nodeProblems(node: Fields, before: Fields | undefined): Cause[] {
  const ranges = listAt(node, 'spec', 'podCIDRs');
  const causes: Cause[] = ranges
    .filter((range) => !isRange(range))
    .map((range) => ({
      field: 'spec.podCIDRs',
      message: `Invalid value: ${JSON.stringify(range)}: is no range`,
    }));
  const had = listAt(before, 'spec', 'podCIDRs');
  if (had.length > 0 && !isEqual(had, ranges))
    causes.push({
      field: 'spec.podCIDRs',
      message: 'Forbidden: node updates may not change podCIDR except from "" to valid',
    });
  return causes;
}

export function otherProblems(kind: string, object: Fields): Cause[] {
  switch (kind) {
    case 'Lease': {
      const seconds = at(object, 'spec', 'leaseDurationSeconds');
      return typeof seconds === 'number' && seconds <= 0
        ? [
            {
              field: 'spec.leaseDurationSeconds',
              message: `Invalid value: ${seconds}: must be greater than 0`,
            },
          ]
        : [];
    }
    case 'ConfigMap':
      return [...Object.keys(fieldsAt(object, 'data')), ...Object.keys(fieldsAt(object, 'binaryData'))]
        .filter((key) => !/^[-._A-Za-z0-9]{1,253}$/.test(key))
        .map((key) => ({
          field: 'data',
          message: `Invalid value: ${JSON.stringify(key)}: use letters, digits, dashes, dots and underscores`,
        }));
    default:
      return [];
  }
}
