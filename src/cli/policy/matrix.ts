/** `fairlead policy matrix`. */

import { describeError, FairleadError } from '../../base/errors/errors.ts';
import {
  type CrowdLine,
  crowdMatrix,
  type MatrixLine,
  matrixOf,
  type PodMatrix,
} from '../../plan/policy/answer/matrix.ts';
import type { PolicyInput } from '../../plan/policy/compile/compile.ts';
import { readPolicyView } from '../../tools/manifests/policy-view.ts';
import { table } from '../../tools/status/table.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, openClusterClient } from '../cluster-access.ts';
import { type Command, EXIT } from '../command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from '../output.ts';
import { gatherRows } from './rows.ts';

export const policyMatrixCommand: Command = {
  name: 'policy matrix',
  synopsis: '[NAMESPACE/POD] [--kubeconfig FILE] [-o json]',
  summary:
    'What reaches a pod and what it reaches, at which ports, as all policies together have it; without a pod, who reaches whom in the whole cluster. Pods that policies do not tell apart share a line.',
  options: { ...CLUSTER_OPTIONS, ...OUTPUT_OPTION },
  optionHelp: { ...CLUSTER_HELP, ...OUTPUT_HELP },
  positionals: [0, 1],
  run: async ([pod], options) => {
    using client = openClusterClient(options);
    const { input, problems } = await readPolicyView(client);
    for (const problem of problems) process.stderr.write(`fairlead: ${problem}\n`);
    if (pod === undefined) print(options, crowdMatrix(input), formatCrowds);
    else print(options, ask(input, pod), formatPod);
    return EXIT.ok;
  },
};

function ask(input: PolicyInput, pod: string): PodMatrix {
  try {
    return matrixOf(input, pod);
  } catch (error) {
    throw new FairleadError('FL_USAGE', `policy matrix: ${describeError(error)}`);
  }
}

function formatCrowds(lines: readonly CrowdLine[]): string {
  if (lines.length === 0) return 'There are no two pods.\n';
  return table(
    ['TO', 'GETS THROUGH', 'FROM'],
    gatherRows(
      lines,
      ({ to, reach }) => [to, reach],
      ({ from }) => from,
    ),
  );
}

function formatPod({ pod, ingress, egress }: PodMatrix): string {
  const rows = (lines: readonly MatrixLine[]) => lines.map(({ who, reach }) => [who, reach]);
  return `${table([`TO ${pod} FROM`, 'GETS THROUGH'], rows(ingress))}\n${table([`FROM ${pod} TO`, 'GETS THROUGH'], rows(egress))}`;
}
