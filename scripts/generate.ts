/** Writes what is derived from the sources; a test compares. */
import { writeFileSync } from 'node:fs';
import { configurationPage, configurationSchema } from '../src/config/schema.ts';

const root = new URL('..', import.meta.url);
writeFileSync(
  new URL('deploy/configuration.schema.json', root),
  `${JSON.stringify(configurationSchema(), null, 2)}\n`,
);
writeFileSync(new URL('docs/configuration.md', root), configurationPage());
