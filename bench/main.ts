/** `npm run bench -- NAME [--json]`. */
import { parseArgs } from 'node:util';
import { nearestName } from '../src/base/errors/nearest.ts';
import { agent } from './agent/agent.ts';
import { bandwidth } from './bandwidth/bandwidth.ts';
import { cni } from './cni/cni.ts';
import { datapath } from './datapath/datapath.ts';
import { policy } from './policy/policy.ts';
import { preview } from './preview/preview.ts';
import { scale } from './scale/scale.ts';
import { save, toJson, toTable } from './shared/report.ts';
import { storm } from './storm/storm.ts';

const BENCHES = [cni, datapath, policy, agent, bandwidth, storm, preview, scale];

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } });
const [name] = positionals;
const bench = BENCHES.find((candidate) => candidate.name === name);

if (bench === undefined) {
  const nearest =
    name === undefined
      ? undefined
      : nearestName(
          name,
          BENCHES.map((candidate) => candidate.name),
        );
  if (name !== undefined)
    console.error(
      `there is no benchmark ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    );
  for (const { name: known, summary } of BENCHES)
    console.log(`npm run bench -- ${known.padEnd(10)} ${summary}`);
  process.exitCode = name === undefined ? 0 : 2;
} else {
  const findings = await bench.run((step) => console.error(`bench ${bench.name}: ${step}`));
  save(bench.name, findings);
  console.log(values.json === true ? toJson(bench.name, findings) : toTable(findings));
}
