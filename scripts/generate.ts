/** Writes what is derived from the sources; a test compares. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { configurationPage, configurationSchema } from '../src/base/config/schema.ts';
import { dropIns } from '../src/edge/runtime/host-files.ts';
import { clusterPolicyCrd, renderManifest, valuesSchema } from '../src/tools/chart/chart.ts';

const root = new URL('..', import.meta.url);
writeFileSync(
  new URL('deploy/configuration.schema.json', root),
  `${JSON.stringify(configurationSchema(), null, 2)}\n`,
);
writeFileSync(
  new URL('deploy/helm/fairlead/values.schema.json', root),
  `${JSON.stringify(valuesSchema(), null, 2)}\n`,
);
writeFileSync(new URL('deploy/helm/fairlead/crds/clusternetworkpolicies.yaml', root), clusterPolicyCrd());
for (const { path, text } of dropIns(fileURLToPath(new URL('deploy', root)))) writeFileSync(path, text);
writeFileSync(new URL('deploy/fairlead.yaml', root), renderManifest());
writeFileSync(new URL('docs/configuration.md', root), configurationPage());
