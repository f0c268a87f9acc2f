/** Which selectors mean no more than others. */
import type { Selector } from '../parse/objects.ts';

/** Whether all that match the narrow selector match the wide one, as far as their texts tell. */
export function isWithin(narrow: Selector, wide: Selector): boolean {
  return wide.every((requirement) =>
    narrow.some(
      (one) =>
        JSON.stringify(one) === JSON.stringify(requirement) ||
        (one.key === requirement.key &&
          one.operator === 'In' &&
          (requirement.operator === 'Exists' ||
            (requirement.operator === 'In' &&
              one.values.every((value) => requirement.values.includes(value))) ||
            (requirement.operator === 'NotIn' &&
              !one.values.some((value) => requirement.values.includes(value))))),
    ),
  );
}
