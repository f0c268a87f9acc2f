/**
 * The few forms of Helm's template language that the chart keeps to, so that the plain manifest is rendered without Helm:
 * a value as it is, `toJson`, `toYaml … | nindent N`, and `if`. Anything else is refused.
 */
import { stringify } from 'yaml';

/** What a template may name: `.Values`, `.Release`. */
export type Scope = Readonly<Record<string, unknown>>;

const ACTION = /(\s*)\{\{(-?)\s*(.*?)\s*\}\}/gs;
const PATH = /^\.[A-Za-z0-9.]+$/;

/** @throws Error for a form that is not one of the above, and for a value that is not there. */
export function renderTemplate(template: string, scope: Scope): string {
  let text = '';
  let at = 0;
  /** Whether what follows is shown, for each `if` that is open. */
  const shown: boolean[] = [];
  const add = (part: string) => {
    if (!shown.includes(false)) text += part;
  };
  for (const match of template.matchAll(ACTION)) {
    const [whole, space = '', trim, action = ''] = match;
    add(template.slice(at, match.index));
    at = match.index + whole.length;
    // A dash takes away the space before, also that of an action which is not shown.
    if (trim === '') add(space);
    const [word = '', ...rest] = action.split(' ');
    if (word === 'if') shown.push(isTrue(valueAt(scope, rest.join(' '))));
    else if (action === 'end') shown.pop();
    else if (!shown.includes(false)) add(print(action, scope));
  }
  if (shown.length > 0) throw new Error('an if has no end');
  return text + template.slice(at);
}

function print(action: string, scope: Scope): string {
  const [, yaml, indent] = /^toYaml (\S+) \| nindent (\d+)$/.exec(action) ?? [];
  if (yaml !== undefined) {
    const lines = stringify(valueAt(scope, yaml), { lineWidth: 0 }).trimEnd().split('\n');
    return lines.map((line) => `\n${' '.repeat(Number(indent))}${line}`).join('');
  }
  const [, json] = /^toJson (\S+)$/.exec(action) ?? [];
  if (json !== undefined) return JSON.stringify(valueAt(scope, json));
  return String(valueAt(scope, action));
}

function valueAt(scope: Scope, path: string): unknown {
  if (!PATH.test(path))
    throw new Error(`the chart does not use ${path}; keep to the forms of src/tools/chart/template.ts`);
  let value: unknown = scope;
  for (const name of path.slice(1).split('.')) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  }
  if (value === undefined) throw new Error(`${path} is not there`);
  return value;
}

/** As Go's templates have it. */
function isTrue(value: unknown): boolean {
  return Boolean(value) && !(Array.isArray(value) && value.length === 0);
}
