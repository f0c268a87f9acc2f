/** `fairlead policy diff`. */

import type { IpFamily } from '../../base/ip/ip.ts';
import { type FlowRecord, formatReason } from '../../plan/flow/flow-record.ts';
import { diffPolicies, type ReachChange } from '../../plan/policy/answer/diff.ts';
import { changedFlows, type FlowChange } from '../../plan/policy/answer/flow-change.ts';
import { formatParty } from '../../plan/policy/answer/party.ts';
import { formatReach } from '../../plan/policy/answer/reach.ts';
import { nameOf } from '../../plan/policy/compile/clause.ts';
import { compile, type PolicyInput } from '../../plan/policy/compile/compile.ts';
import { readManifests } from '../../tools/manifests/manifests.ts';
import { readPolicyView } from '../../tools/manifests/policy-view.ts';
import { NOTHING_PROPOSED, readProposed, withProposed } from '../../tools/manifests/proposed-policies.ts';
import { table } from '../../tools/status/table.ts';
import { AGENT_HELP, AGENT_OPTIONS, findAgents, openAccess } from '../agent-access.ts';
import { askEach } from '../ask-each.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, openClusterClient } from '../cluster-access.ts';
import { type Command, EXIT, type Options, usageError } from '../command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from '../output.ts';
import { FILE_HELP, FILE_OPTION, filesOf } from './files.ts';
import { gatherRows } from './rows.ts';

type Differences = { changes: ReachChange[]; flows?: FlowChange[] };

export const policyDiffCommand: Command = {
  name: 'policy diff',
  synopsis:
    '[-f FILE|DIRECTORY] [--without POLICIES] [--flows [--node NODE | --socket PATH]] [--exit-code] [--kubeconfig FILE] [-o json]',
  summary:
    'Which pods would reach which others, and at which ports, if policies were applied or removed: before and after, from the state of the cluster. Changes nothing.',
  options: {
    ...FILE_OPTION,
    without: { type: 'string' },
    flows: { type: 'boolean' },
    socket: AGENT_OPTIONS.socket,
    node: AGENT_OPTIONS.node,
    namespace: AGENT_OPTIONS.namespace,
    'exit-code': { type: 'boolean' },
    ...CLUSTER_OPTIONS,
    ...OUTPUT_OPTION,
  },
  optionHelp: {
    ...FILE_HELP,
    without:
      'policies as if they were deleted: NAMESPACE/NAME, or NAME of a cluster policy; several with commas',
    flows:
      'ask all agents too, by the API: which of their connections, open or denied lately, would end otherwise',
    socket: AGENT_HELP.socket,
    node: 'with --flows: ask the agent of this node alone',
    namespace: AGENT_HELP.namespace,
    'exit-code': 'fail where anything changes',
    ...CLUSTER_HELP,
    ...OUTPUT_HELP,
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const { file, without, flows, socket, node, namespace } = options;
    if (file === undefined && without === undefined)
      throw usageError('policy diff needs -f FILE, or --without POLICIES');
    if ((socket ?? node ?? namespace) !== undefined && flows !== true)
      throw usageError('--socket, --node and --namespace are of whom --flows asks; write it too');
    const proposed = file === undefined ? NOTHING_PROPOSED : readProposed(readManifests(filesOf(file)));
    using client = openClusterClient(options);
    for (const { text } of proposed.problems) process.stderr.write(`fairlead: ${text}\n`);
    const { input } = await readPolicyView(client);
    const after = withProposed(input, proposed, gone(input, without));
    const differences: Differences = {
      changes: diffPolicies(input, after),
      ...(flows === true
        ? { flows: changedFlows(compile(input), compile(after), await readFlows(options)) }
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

/** Of that agent whose socket or node is named, else of all by the API. */
async function readFlows(options: Options): Promise<FlowRecord[]> {
  const { socket, kubeconfig: _, ...others } = options;
  const agents = await findAgents(openAccess(typeof socket === 'string' ? { ...others, socket } : options));
  const answers = await askEach(agents, (agent) => agent.ask('/flows') as Promise<{ flows: FlowRecord[] }>);
  return answers.flatMap(({ answer }) => answer.flows);
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
      (line) => [
        formatParty(line[end]),
        formatFamilies(line.families),
        formatReach(line.before),
        formatReach(line.after),
      ],
      (line) => formatParty(line[end === 'to' ? 'from' : 'to']),
    ),
  );
  return bySource!.length < byTarget!.length
    ? table(['FROM', 'FAMILY', 'BEFORE', 'AFTER', 'TO'], bySource!)
    : table(['TO', 'FAMILY', 'BEFORE', 'AFTER', 'FROM'], byTarget!);
}

function formatFamilies(families: readonly IpFamily[]): string {
  return families.map((family) => `IPv${family}`).join(' and ');
}

function formatFlows(flows: readonly FlowChange[]): string {
  if (flows.length === 0) return 'No connection would end otherwise.\n';
  return table(
    ['SEEN LATELY', 'FAMILY', 'BEFORE', 'AFTER', 'BECAUSE'],
    flows.map(
      ({
        family,
        protocol,
        source,
        sourcePod,
        destination,
        destinationPod,
        port,
        before,
        verdict,
        reason,
      }) => [
        `${protocol}${port === undefined ? '' : ` ${port}`} ${sourcePod ?? source} → ${destinationPod ?? destination}`,
        `IPv${family}`,
        before,
        verdict,
        `${verdict === 'allowed' ? 'no longer so: ' : ''}${formatReason(reason)}`,
      ],
    ),
  );
}
