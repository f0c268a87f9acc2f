/** `fairlead policy check`. */
import { readPolicyView } from '../../cluster/policy-view.ts';
import { type ProposedPolicies, readProposed, withProposed } from '../../cluster/proposed-policies.ts';
import { readManifests } from '../../kube/manifests.ts';
import { checkPolicies, type Finding } from '../../policy/check/check.ts';
import type { PolicyInput } from '../../policy/compile.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, openClusterClient } from '../cluster-access.ts';
import { type Command, EXIT, type Options } from '../command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from '../output.ts';
import { FILE_HELP, FILE_OPTION, filesOf } from './files.ts';

const NO_CLUSTER: PolicyInput = { pods: [], namespaces: [], policies: [], clusterPolicies: [], nodes: [] };

export const policyCheckCommand: Command = {
  name: 'policy check',
  synopsis: '-f FILE|DIRECTORY [--offline] [--kubeconfig FILE] [-o json]',
  summary:
    'Finds mistakes in policies before they are applied: what is invalid, and what is valid and does not do what was meant (selects nothing, misspelt ports, egress without DNS, twins). Fails when it finds any.',
  options: {
    ...CLUSTER_OPTIONS,
    ...OUTPUT_OPTION,
    ...FILE_OPTION,
    offline: { type: 'boolean' },
  },
  optionHelp: {
    ...CLUSTER_HELP,
    ...OUTPUT_HELP,
    ...FILE_HELP,
    offline: 'ask no cluster: what needs its pods is not looked for',
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const proposed = readProposed(readManifests(filesOf(options['file'])));
    const findings = [...invalid(proposed), ...(await mistakes(proposed, options))];
    print(options, findings, format);
    return findings.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

function invalid({ problems }: ProposedPolicies): Finding[] {
  return problems.map(({ at, policy, text }) => ({ policy, mistake: 'invalid', text: `${at}: ${text}` }));
}

async function mistakes(proposed: ProposedPolicies, options: Options): Promise<Finding[]> {
  const { policies, clusterPolicies } = proposed;
  const { pods, namespaces, policies: all } = withProposed(await around(options), proposed);
  return checkPolicies(policies, clusterPolicies, { pods, namespaces, policies: all });
}

async function around(options: Options): Promise<PolicyInput> {
  if (options['offline'] === true) return NO_CLUSTER;
  using client = openClusterClient(options);
  return (await readPolicyView(client)).input;
}

function format(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'No mistakes found.\n';
  return findings.map(({ policy, mistake, text }) => `${policy}: ${text} [${mistake}]\n`).join('');
}
