/** Label selectors, as texts of a query (`a=b,c in (d,e),!f`) and as objects (`matchLabels`, `matchExpressions`). */

import { at, type Fields, fieldsAt, listAt, textAt } from '../storage/object.ts';
import { ApiFailure } from './failure.ts';

export type Requirement = {
  key: string;
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
  values: readonly string[];
};

export type Labels = Readonly<Record<string, string>> | undefined;

const NAME = String.raw`[A-Za-z0-9](?:[A-Za-z0-9_.\-/]*[A-Za-z0-9])?`;
const VALUE = String.raw`[A-Za-z0-9_.\-]*`;
const PATTERNS: readonly [RegExp, (match: RegExpExecArray) => Requirement][] = [
  [new RegExp(`^!\\s*(${NAME})$`), (m) => ({ key: m[1]!, operator: 'DoesNotExist', values: [] })],
  [new RegExp(`^(${NAME})$`), (m) => ({ key: m[1]!, operator: 'Exists', values: [] })],
  [new RegExp(`^(${NAME})\\s*==?\\s*(${VALUE})$`), (m) => ({ key: m[1]!, operator: 'In', values: [m[2]!] })],
  [
    new RegExp(`^(${NAME})\\s*!=\\s*(${VALUE})$`),
    (m) => ({ key: m[1]!, operator: 'NotIn', values: [m[2]!] }),
  ],
  [
    new RegExp(`^(${NAME})\\s+(in|notin)\\s*\\(([^()]*)\\)$`),
    (m) => ({
      key: m[1]!,
      operator: m[2] === 'in' ? 'In' : 'NotIn',
      values: m[3]!.split(',').map((value) => value.trim()),
    }),
  ],
  [
    new RegExp(`^(${NAME})\\s*([<>])\\s*(-?\\d+)$`),
    (m) => ({ key: m[1]!, operator: m[2] === '>' ? 'Gt' : 'Lt', values: [m[3]!] }),
  ],
];

/** @throws ApiFailure that quotes the part which is no requirement. */
export function parseLabelSelector(text: string): Requirement[] {
  return splitOutsideParentheses(text).map((part) => {
    for (const [pattern, build] of PATTERNS) {
      const match = pattern.exec(part);
      if (match !== null) return build(match);
    }
    throw new ApiFailure(
      'BadRequest',
      `unable to parse requirement: ${JSON.stringify(part)} is none; write key=value, key!=value, key in (a,b), key notin (a,b), key or !key`,
    );
  });
}

export function matchesLabels(requirements: readonly Requirement[], labels: Labels): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      case 'Gt':
        return value !== undefined && /^-?\d+$/.test(value) && BigInt(value) > BigInt(values[0]!);
      case 'Lt':
        return value !== undefined && /^-?\d+$/.test(value) && BigInt(value) < BigInt(values[0]!);
    }
  });
}

/** The requirements of a LabelSelector object; it was validated when it was stored. */
export function selectorRequirements(selector: unknown): Requirement[] {
  const labels = Object.entries(fieldsAt(selector, 'matchLabels'));
  return [
    ...labels.map(([key, value]): Requirement => ({ key, operator: 'In', values: [String(value)] })),
    ...listAt(selector, 'matchExpressions').map((expression) => ({
      key: textAt(expression, 'key'),
      operator: textAt(expression, 'operator') as Requirement['operator'],
      values: listAt(expression, 'values').map(String),
    })),
  ];
}

/** `app=web,tier in (a,b)`, `<none>` where everything is selected. */
export function formatSelector(selector: unknown): string {
  const parts = selectorRequirements(selector).map(({ key, operator, values }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    if (operator === 'In' && values.length === 1) return `${key}=${values[0]}`;
    return `${key} ${operator.toLowerCase()} (${values.join(',')})`;
  });
  return parts.join(',') || '<none>';
}

/** What is wrong with a LabelSelector object, by field. */
export function selectorProblems(selector: Fields, field: string): { field: string; message: string }[] {
  return listAt(selector, 'matchExpressions').flatMap((expression, index) => {
    const place = `${field}.matchExpressions[${index}]`;
    const operator = at(expression, 'operator');
    const count = listAt(expression, 'values').length;
    if (operator === 'In' || operator === 'NotIn')
      return count > 0
        ? []
        : [
            {
              field: `${place}.values`,
              message: `Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
            },
          ];
    if (operator === 'Exists' || operator === 'DoesNotExist')
      return count === 0
        ? []
        : [
            {
              field: `${place}.values`,
              message: `Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
            },
          ];
    return [
      {
        field: `${place}.operator`,
        message: `Invalid value: ${JSON.stringify(operator)}: not a valid selector operator; use In, NotIn, Exists or DoesNotExist`,
      },
    ];
  });
}

function splitOutsideParentheses(text: string): string[] {
  const parts = text.split(/,(?![^()]*\))/).map((part) => part.trim());
  return parts.length === 1 && parts[0] === '' ? [] : parts;
}
