/** Label selectors (metav1 LabelSelector): reading untrusted ones, and whether labels meet them. */
import { type Fields, fieldAt, isFields, show } from '../../../base/fields/fields.ts';
import type { Labels, Requirement, Selector } from './objects.ts';

const MOST_REQUIREMENTS = 1000;

export function meets(labels: Labels, selector: Selector): boolean {
  return selector.every((requirement) => meetsOne(labels, requirement));
}

/** Labels that lack the key meet `NotIn`, as the API's documentation has it. */
function meetsOne(labels: Labels, requirement: Requirement): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && requirement.values.includes(value);
    case 'NotIn':
      return value === undefined || !requirement.values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** @throws Error with the field and the cure. */
export function parseSelector(value: unknown, field: string): Selector {
  if (!isFields(value))
    throw new Error(`${field}: ${show(value)} is not a selector; write {} to select everything`);
  const labels = fieldAt(value, 'matchLabels') ?? {};
  if (!isFields(labels)) throw new Error(`${field}.matchLabels: ${show(labels)} is not a map; write one`);
  const expressions = fieldAt(value, 'matchExpressions') ?? [];
  if (!Array.isArray(expressions))
    throw new Error(`${field}.matchExpressions: ${show(expressions)} is not a list; write one`);
  const selector = [
    ...Object.entries(labels).map(([key, wanted]): Requirement => {
      if (typeof wanted !== 'string')
        throw new Error(`${field}.matchLabels: ${show(key)}: ${show(wanted)} is not a text; quote it`);
      return { key, operator: 'In', values: [wanted] };
    }),
    ...expressions.map((item: unknown, index) =>
      parseRequirement(item, `${field}.matchExpressions[${index}]`),
    ),
  ];
  if (selector.length > MOST_REQUIREMENTS)
    throw new Error(`${field}: has ${selector.length} requirements; keep at most ${MOST_REQUIREMENTS}`);
  return selector;
}

function parseRequirement(item: unknown, field: string): Requirement {
  const fields: Fields = isFields(item) ? item : {};
  const key = fieldAt(fields, 'key');
  const operator = fieldAt(fields, 'operator');
  const values = fieldAt(fields, 'values') ?? [];
  if (typeof key !== 'string' || key === '')
    throw new Error(`${field}.key: ${show(key)} is not the key of a label`);
  if (!Array.isArray(values) || !values.every((one) => typeof one === 'string'))
    throw new Error(`${field}.values: ${show(values)} is not a list of texts`);
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) throw new Error(`${field}.values: is empty; ${operator} needs at least one`);
      return { key, operator, values };
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) throw new Error(`${field}.values: ${operator} takes none; leave them out`);
      return { key, operator };
    default:
      throw new Error(
        `${field}.operator: ${show(operator)} is unknown; write In, NotIn, Exists or DoesNotExist`,
      );
  }
}
