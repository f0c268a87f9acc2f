/** `fairlead policy diff`. */

import type { RecentFlow } from '../../agent/serve/recent-flows.ts';
import { diffPolicies, type ReachChange } from '../../plan/policy/answer/diff.ts';
import { changedFlows, type FlowChange } from '../../plan/policy/answer/flow-change.ts';
import { nameOf } from '../../plan/policy/compile/clause.ts';
import { compile, type PolicyInput } from '../../plan/policy/compile/compile.ts';
import { hasNetwork } from '../../plan/policy/compile/population.ts';
import { readManifests } from '../../tools/manifests/manifests.ts';
import { readPolicyView } from '../../tools/manifests/policy-view.ts';
import { NOTHING_PROPOSED, readProposed, withProposed } from '../../tools/manifests/proposed-policies.ts';
import { askAgent } from '../../tools/status/ask.ts';
import { table } from '../../tools/status/table.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, openClusterClient } from '../cluster-access.ts';
import { type Command, EXIT, type Options, usageError } from '../command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from '../output.ts';
import { DEFAULT_SOCKET } from '../status.ts';
import { FILE_HELP, FILE_OPTION, filesOf } from './files.ts';
import { gatherRows } from './rows.ts';

type NamedFlow = FlowChange & { sourcePod?: string; destinationPod?: string };
type Differences = { changes: ReachChange[]; flows?: NamedFlow[] };

export const policyDiffCommand: Command = {
  name: 'policy diff',
  synopsis:
    '[-f FILE|DIRECTORY] [--without POLICIES] [--flows [--socket PATH]] [--exit-code] [--kubeconfig FILE] [-o json]',
  summary:
    'Which pods would reach which others, and at which ports, if policies were applied or removed: before and after, from the state of the cluster. Changes nothing.',
  options: {
    ...FILE_OPTION,
    without: { type: 'string' },
    flows: { type: 'boolean' },
    socket: { type: 'string' },
    'exit-code': { type: 'boolean' },
    ...CLUSTER_OPTIONS,
    ...OUTPUT_OPTION,
  },
  optionHelp: {
    ...FILE_HELP,
    without:
      'policies as if they were deleted: NAMESPACE/NAME, or NAME of a cluster policy; several with commas',
    flows:
      'ask the agent of this node too: which of its connections, open or denied lately, would end otherwise',
    socket: `the agent's socket (default ${DEFAULT_SOCKET})`,
    'exit-code': 'fail where anything changes',
    ...CLUSTER_HELP,
    ...OUTPUT_HELP,
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const { file, without, flows, socket } = options;
    if (file === undefined && without === undefined)
      throw usageError('policy diff needs -f FILE, or --without POLICIES');
    if (socket !== undefined && flows !== true)
      throw usageError('--socket is of whom --flows asks; write both');
    const proposed = file === undefined ? NOTHING_PROPOSED : readProposed(readManifests(filesOf(file)));
    using client = openClusterClient(options);
    for (const { text } of proposed.problems) process.stderr.write(`fairlead: ${text}\n`);
    const { input } = await readPolicyView(client);
    const after = withProposed(input, proposed, gone(input, without));
    const differences: Differences = {
      changes: diffPolicies(input, after),
      ...(flows === true
        ? { flows: await askFlows(typeof socket === 'string' ? socket : DEFAULT_SOCKET, input, after) }
        : {}),
    };
    print(options, differences, format);
    const changed = differences.changes.length + (differences.flows?.length ?? 0) > 0;
    return changed && options['exit-code'] === true ? EXIT.failed : EXIT.ok;
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

async function askFlows(socket: string, before: PolicyInput, after: PolicyInput): Promise<NamedFlow[]> {
  const { flows } = (await askAgent(socket, '/flows')) as { flows: RecentFlow[] };
  const names = new Map(
    before.pods.filter(hasNetwork).flatMap((pod) => pod.podIPs.map((ip) => [ip, nameOf(pod)])),
  );
  return changedFlows(compile(before), compile(after), flows).map((change) => {
    const [sourcePod, destinationPod] = [names.get(change.source), names.get(change.destination)];
    return {
      ...change,
      ...(sourcePod === undefined ? {} : { sourcePod }),
      ...(destinationPod === undefined ? {} : { destinationPod }),
    };
  });
}

function format({ changes, flows }: Differences): string {
  const parts = [formatChanges(changes), ...(flows === undefined ? [] : [formatFlows(flows)])];
  return parts.join('\n');
}

/** By source or by destination, whichever makes fewer rows. */
function formatChanges(changes: readonly ReachChange[]): string {
  if (changes.length === 0) return 'Nothing changes: the same pods reach the same ports.\n';
  const [byTarget, bySource] = (['to', 'from'] as const).map((end) =>
    gatherRows(
      changes,
      (line) => [line[end], line.before, line.after],
      (line) => line[end === 'to' ? 'from' : 'to'],
    ),
  );
  return bySource!.length < byTarget!.length
    ? table(['FROM', 'BEFORE', 'AFTER', 'TO'], bySource!)
    : table(['TO', 'BEFORE', 'AFTER', 'FROM'], byTarget!);
}

function formatFlows(flows: readonly NamedFlow[]): string {
  if (flows.length === 0) return 'No connection of that node would end otherwise.\n';
  return table(
    ['SEEN LATELY', 'BEFORE', 'AFTER', 'BECAUSE'],
    flows.map(
      ({ protocol, source, sourcePod, destination, destinationPod, port, before, after, because }) => [
        `${protocol}${port === undefined ? '' : ` ${port}`} ${sourcePod ?? source} → ${destinationPod ?? destination}`,
        before,
        after,
        because,
      ],
    ),
  );
}
