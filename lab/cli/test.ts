/** `fairlead lab test`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fieldsAt, textAt } from '../../src/base/fields/fields.ts';
import { type Command, EXIT, usageError } from '../../src/cli/command.ts';
import { type Manifest, readManifests } from '../../src/tools/manifests/manifests.ts';
import { clientOf } from '../client.ts';
import { labDown, labUp } from '../lab.ts';
import { checkCells } from '../policytest/check.ts';
import { isExpectation, parseExpectations } from '../policytest/expectation.ts';
import { applyManifests, awaitForce } from '../policytest/objects.ts';
import { formatJunit, formatMatrix } from '../policytest/report.ts';
import { requireLab } from '../state.ts';
import { type LabOptions, planLab } from '../topology.ts';
import { NAME_HELP, NAME_OPTION, parseUpOptions, UP_HELP } from './options.ts';

export const labTestCommand: Command = {
  name: 'lab test',
  synopsis: 'DIRECTORY [--junit FILE] [--keep] [options]',
  summary:
    'Tests network policies on real packets: brings up a lab, applies the manifests of a directory, and holds the truth table in it (a YAML file with expect:) against what gets through.',
  options: {
    ...NAME_OPTION,
    junit: { type: 'string' },
    keep: { type: 'boolean' },
    nodes: { type: 'string' },
    family: { type: 'string' },
    output: { type: 'string', short: 'o' },
  },
  optionHelp: {
    ...NAME_HELP,
    name: 'name of the lab (default: a new one)',
    junit: 'write the result as JUnit XML to this file',
    keep: 'leave the lab up, to look into it',
    nodes: UP_HELP.nodes,
    family: UP_HELP.family,
    output: 'json: the cells on standard output',
  },
  positionals: [1, 1],
  run: async ([directory = ''], { name, junit, keep, output, ...up }) => {
    const started = performance.now();
    const manifests = readManifests([directory]);
    const options: LabOptions = {
      ...parseUpOptions({ ...up, name: name ?? `test${process.pid}` }),
      pods: 0,
      api: true,
    };
    const objects = manifests.filter((manifest) => !isExpectation(manifest));
    const expectations = manifests
      .filter(isExpectation)
      .flatMap((manifest) => parseExpectations(manifest, podsOf(objects), nodesOf(options)));
    if (expectations.length === 0)
      throw usageError(
        `${directory}: no file says what must be so; add one with expect: and entries of from, to, port, allow`,
      );
    const tell = (step: string) => process.stderr.write(`lab ${options.name}: ${step}\n`);
    try {
      await labUp(options, tell);
      const plan = requireLab(options.name);
      using client = clientOf(plan);
      tell(`${objects.length} manifests`);
      await applyManifests(client, objects);
      await awaitForce(plan, client);
      tell(`${expectations.length} questions`);
      const cells = await checkCells(plan, expectations);
      const seconds = (performance.now() - started) / 1000;
      if (typeof junit === 'string') {
        mkdirSync(dirname(junit), { recursive: true });
        writeFileSync(junit, formatJunit(cells, seconds));
      }
      process.stdout.write(output === 'json' ? `${JSON.stringify(cells, null, 2)}\n` : formatMatrix(cells));
      tell(`done after ${seconds.toFixed(1)} s`);
      return cells.every(({ passed, allow }) => passed === allow) ? EXIT.ok : EXIT.failed;
    } finally {
      if (keep === true) tell(`left up; 'fairlead lab down --name ${options.name}' removes it`);
      else await labDown(options.name);
    }
  },
};

function podsOf(objects: readonly Manifest[]): string[] {
  return objects
    .filter(({ value }) => textAt(value, 'kind') === 'Pod')
    .map(({ value }) => {
      const metadata = fieldsAt(value, 'metadata');
      return `${textAt(metadata, 'namespace') ?? 'default'}/${textAt(metadata, 'name') ?? ''}`;
    });
}

function nodesOf(options: LabOptions): string[] {
  return planLab(options).nodes.map(({ name }) => `node/${name}`);
}
