/** `fairlead policy diff`. */

import type { RecentFlow } from '../../agent/recent-flows.ts';
import { readPolicyView } from '../../cluster/policy-view.ts';
import { readProposed, withProposed } from '../../cluster/proposed-policies.ts';
import { FairleadError } from '../../errors/errors.ts';
import { readManifests } from '../../kube/manifests.ts';
import { nameOf } from '../../policy/clause.ts';
import { compile, type PolicyInput } from '../../policy/compile.ts';
import { diffPolicies, type ReachChange } from '../../policy/diff.ts';
import { changedFlows, type FlowChange } from '../../policy/flow-change.ts';
import { askAgent } from '../../status/ask.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, openClusterClient } from '../cluster-access.ts';
import { type Command, EXIT, type Options, usageError } from '../command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from '../output.ts';
import { table } from '../table.ts';
import { FILE_HELP, FILE_OPTION, filesOf } from './files.ts';

type Differences = { changes: ReachChange[]; flows?: FlowChange[] };

export const policyDiffCommand: Command = {
  name: 'policy diff',
  synopsis: '[-f FILE|DIRECTORY] [--without POLICIES] [--flows SOCKET] [--kubeconfig FILE] [-o json]',
  summary:
    'Which pods would reach which others, and at which ports, if policies were applied or removed: before and after, from the state of the cluster. Changes nothing.',
  options: {
    ...CLUSTER_OPTIONS,
    ...OUTPUT_OPTION,
    ...FILE_OPTION,
    without: { type: 'string' },
    flows: { type: 'string' },
  },
  optionHelp: {
    ...CLUSTER_HELP,
    ...OUTPUT_HELP,
    ...FILE_HELP,
    without:
      'policies as if they were deleted: NAMESPACE/NAME, or NAME of a cluster policy; several with commas',
    flows: "an agent's socket: connections of its node, and what it denied lately, that would end otherwise",
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const { file, without, flows } = options;
    if (file === undefined && without === undefined)
      throw usageError('policy diff needs -f FILE, or --without POLICIES');
    using client = openClusterClient(options);
    const proposed =
      file === undefined
        ? { policies: [], clusterPolicies: [], problems: [] }
        : readProposed(readManifests(filesOf(file)));
    for (const { at, text } of proposed.problems)
      process.stderr.write(`fairlead: ${at}: ${text}; what the policy selects would be closed\n`);
    const { input } = await readPolicyView(client);
    const after = withProposed(input, proposed, gone(input, without));
    const differences: Differences = {
      changes: diffPolicies(input, after),
      ...(typeof flows === 'string' ? { flows: await askFlows(flows, input, after) } : {}),
    };
    print(options, differences, format);
    return EXIT.ok;
  },
};

function gone({ policies, clusterPolicies }: PolicyInput, without: Options[string]): string[] {
  const names = typeof without === 'string' ? without.split(',') : [];
  const known = new Set([...policies.map(nameOf), ...clusterPolicies.map(({ name }) => name)]);
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined)
    throw usageError(
      `--without: there is no policy ${JSON.stringify(unknown)}; write NAMESPACE/NAME, or the NAME of a cluster policy`,
    );
  return names;
}

async function askFlows(socket: string, before: PolicyInput, after: PolicyInput): Promise<FlowChange[]> {
  const answer = (await askAgent(socket, '/flows')) as { flows: RecentFlow[] } | { error: string };
  if ('error' in answer) throw new FairleadError('FL_AGENT', `--flows: ${answer.error}`);
  return changedFlows(compile(before), compile(after), answer.flows);
}

function format({ changes, flows }: Differences): string {
  const parts = [
    changes.length === 0
      ? 'Nothing changes: the same pods reach the same ports.\n'
      : table(
          ['FROM', 'TO', 'BEFORE', 'AFTER'],
          changes.map(({ from, to, before, after }) => [from, to, before, after]),
        ),
  ];
  if (flows !== undefined)
    parts.push(
      flows.length === 0
        ? 'No connection of that node would end otherwise.\n'
        : table(
            ['SEEN LATELY', 'BEFORE', 'AFTER', 'BECAUSE'],
            flows.map(({ protocol, source, destination, port, before, after, because }) => [
              `${protocol} ${source} → ${destination}${port === undefined ? '' : ` port ${port}`}`,
              before,
              after,
              because,
            ]),
          ),
    );
  return parts.join('\n');
}
