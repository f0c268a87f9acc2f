/** The JSON schema of the configuration, for editors; and its page in the documentation. */
import { KEYS, type Key } from './keys.ts';

type Schema = { [name: string]: unknown; properties?: Record<string, Schema> };

export function configurationSchema(): Schema {
  const root: Schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Fairlead configuration',
    type: 'object',
    additionalProperties: false,
    properties: {},
  };
  for (const key of KEYS) {
    const names = key.path.split('.');
    const last = names.pop()!;
    let section = root;
    for (const name of names) {
      section = section.properties![name] ??= { type: 'object', additionalProperties: false, properties: {} };
    }
    section.properties![last] = { ...schemaOf(key), default: key.default, description: key.doc };
  }
  return root;
}

export function configurationPage(): string {
  const rows = KEYS.map(({ path, default: value, doc, reload, ...key }) => {
    const when = reload === 'live' ? 'live' : `at the next start: ${reload.restart}`;
    return `| \`${path}\` | ${typeText(key as Key)} | \`${JSON.stringify(value)}\` | ${doc} | ${when} |`;
  });
  return [
    '# Configuration',
    '',
    'One YAML file, given to the agent as `fairlead agent --config FILE`; a ConfigMap carries the same text. Every key may',
    'be left out. Unknown keys are refused, with the nearest known one. A running agent follows the file: what cannot',
    'change while it runs is named in the log and waits for the next start, and a file with a mistake changes nothing.',
    '',
    'Editors check the file by `deploy/configuration.schema.json`. This page and the schema are generated from',
    '`src/base/config/keys.ts` by `node scripts/generate.ts`.',
    '',
    '| key | value | default | what it does | a change takes effect |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function schemaOf(key: Key): Schema {
  switch (key.type) {
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return { type: 'integer', minimum: key.minimum, maximum: key.maximum };
    case 'auto-or-integer':
      return { oneOf: [{ const: 'auto' }, { type: 'integer', minimum: key.minimum, maximum: key.maximum }] };
    case 'text':
      return { type: 'string', ...(key.pattern === undefined ? {} : { pattern: key.pattern }) };
    case 'choice':
      return { enum: key.of };
    case 'choices':
      return { type: 'array', items: { enum: key.of } };
    case 'ranges':
      return { oneOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] };
    case 'addresses':
      return { type: 'array', items: { type: 'string' } };
  }
}

function typeText(key: Key): string {
  switch (key.type) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `${key.minimum} … ${key.maximum}`;
    case 'auto-or-integer':
      return `auto, or ${key.minimum} … ${key.maximum}`;
    case 'text':
      return 'text';
    case 'choice':
      return key.of.map((word) => `\`${word}\``).join(', ');
    case 'choices':
      return `a list of ${key.of.map((word) => `\`${word}\``).join(', ')}`;
    case 'ranges':
      return 'a range, or a list of them';
    case 'addresses':
      return 'a list of addresses';
  }
}
