/** `fairlead policy check`. */

import { nearestName } from '../../base/errors/nearest.ts';
import { type Finding, MISTAKES } from '../../plan/policy/check/check.ts';
import type { PolicyInput } from '../../plan/policy/compile/compile.ts';
import { checkManifests, NO_CLUSTER } from '../../tools/manifests/check-manifests.ts';
import { readManifests } from '../../tools/manifests/manifests.ts';
import { readPolicyView } from '../../tools/manifests/policy-view.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, openClusterClient } from '../cluster-access.ts';
import { type Command, EXIT, type Options, usageError } from '../command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from '../output.ts';
import { FILE_HELP, FILE_OPTION, filesOf } from './files.ts';

export const policyCheckCommand: Command = {
  name: 'policy check',
  synopsis: '-f FILE|DIRECTORY [--offline] [--ignore MISTAKES] [--kubeconfig FILE] [-o json]',
  summary:
    'Finds mistakes in policies before they are applied: what is invalid, and what is valid and does not do what was meant (selects nothing, misspelt labels and ports, egress without DNS, twins). Fails when it finds any.',
  options: {
    ...FILE_OPTION,
    offline: { type: 'boolean' },
    ignore: { type: 'string' },
    ...CLUSTER_OPTIONS,
    ...OUTPUT_OPTION,
  },
  optionHelp: {
    ...FILE_HELP,
    offline: 'ask no cluster: policies are held against the pods and workloads in the files alone',
    ignore: 'names of mistakes that are none to you, with commas: no-dns,twins',
    ...CLUSTER_HELP,
    ...OUTPUT_HELP,
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const ignored = ignoredOf(options['ignore']);
    const manifests = readManifests(filesOf(options['file']));
    const cluster = options['offline'] === true ? NO_CLUSTER : await readCluster(options);
    const all = checkManifests(manifests, cluster);
    const findings = all.filter(({ mistake }) => !ignored.has(mistake));
    print(options, findings, format);
    return findings.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

async function readCluster(options: Options): Promise<PolicyInput> {
  using client = openClusterClient(options);
  return (await readPolicyView(client)).input;
}

function ignoredOf(ignore: Options[string]): ReadonlySet<string> {
  const names = typeof ignore === 'string' ? ignore.split(',') : [];
  for (const name of names) {
    if (MISTAKES.some((known) => known === name)) continue;
    const nearest = nearestName(name, MISTAKES);
    throw usageError(
      `--ignore: ${JSON.stringify(name)} is no mistake that is looked for; ${nearest === undefined ? `there is ${MISTAKES.join(', ')}` : `did you mean ${nearest}?`}`,
    );
  }
  return new Set(names);
}

function format(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'No mistakes found.\n';
  return findings.map(({ policy, mistake, text }) => `${policy}: ${text} [${mistake}]\n`).join('');
}
