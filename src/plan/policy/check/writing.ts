/** What is written and not read, or read as its opposite. */
import { nearestName } from '../../../base/errors/nearest.ts';
import { type Fields, fieldAt, fieldsAt, isFields, listAt, show } from '../../../base/fields/fields.ts';
import { clusterNetworkPolicy, networkPolicy } from '../../../edge/kubernetes/schema/policy.ts';
import type { Type } from '../../../edge/kubernetes/schema/type.ts';
import { DIRECTIONS } from '../parse/objects.ts';
import { STAGED_ANNOTATION } from '../parse/parse-fields.ts';
import type { Mistake } from './check.ts';

export function findWritingMistakes(written: Fields, isNamespaced: boolean): Mistake[] {
  const { fields } = isNamespaced ? networkPolicy : clusterNetworkPolicy;
  return [
    ...findUnknownFields(fields['spec']!, fieldAt(written, 'spec'), 'spec'),
    ...findEmptyLists(fieldsAt(written, 'spec')),
    ...findStaging(fieldsAt(written, 'metadata')),
  ];
}

/** The API drops them, so that a misspelt `from` is a rule for all. */
function findUnknownFields(type: Type, value: unknown, at: string): Mistake[] {
  if (type.type === 'list')
    return Array.isArray(value)
      ? value.flatMap((item, index) => findUnknownFields(type.of, item, `${at}[${index}]`))
      : [];
  if (type.type !== 'object' || !isFields(value)) return [];
  return Object.keys(value).flatMap((name): Mistake[] => {
    const known = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined;
    if (known !== undefined) return findUnknownFields(known, value[name], `${at}.${name}`);
    const nearest = nearestName(name, Object.keys(type.fields));
    const cure =
      nearest === undefined ? `there is ${Object.keys(type.fields).join(', ')}` : `did you mean ${nearest}?`;
    return [{ mistake: 'unknown-field', text: `${at}.${name} is no field and is ignored; ${cure}` }];
  });
}

/** Written down and empty it looks like none, and is all. */
function findEmptyLists(spec: Fields): Mistake[] {
  return DIRECTIONS.flatMap((direction) =>
    listAt(spec, direction).flatMap((rule, index) =>
      ['from', 'to', 'ports'].flatMap((name): Mistake[] => {
        if (!isFields(rule) || !Object.hasOwn(rule, name)) return [];
        const value = rule[name];
        if (value !== null && !(Array.isArray(value) && value.length === 0)) return [];
        const what = name === 'ports' ? 'every port' : 'everybody';
        return [
          {
            mistake: 'empty-list',
            text: `${direction}[${index}].${name} is empty, which means ${what}; leave it out if that is meant, remove the rule if nobody is`,
          },
        ];
      }),
    ),
  );
}

function findStaging(metadata: Fields): Mistake[] {
  const annotation = fieldAt(fieldsAt(metadata, 'annotations'), STAGED_ANNOTATION);
  const label = fieldAt(fieldsAt(metadata, 'labels'), STAGED_ANNOTATION);
  const fail = (text: string): Mistake[] => [{ mistake: 'staging', text }];
  if (label !== undefined && annotation === undefined)
    return fail(
      `${STAGED_ANNOTATION} is a label, which stages nothing: the policy is enforced; make it an annotation`,
    );
  if (annotation !== undefined && annotation !== 'true' && annotation !== 'false')
    return fail(
      `annotation ${STAGED_ANNOTATION}: ${show(annotation)} stages the policy, since it is not "false"; write "true", or remove it to enforce the policy`,
    );
  return [];
}
