/** `fairlead status`. */

import { FairleadError } from '../base/errors/errors.ts';
import { isWell } from '../cluster/report/members.ts';
import { readMembers } from '../cluster/report/read-members.ts';
import { askStatus } from '../tools/status/ask.ts';
import { formatStatus } from '../tools/status/format.ts';
import { formatCluster, formatMember } from '../tools/status/format-cluster.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, openClusterClient } from './cluster-access.ts';
import { type Command, EXIT, type Options, usageError } from './command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from './output.ts';

export const DEFAULT_SOCKET = '/run/fairlead/api.sock';

export const statusCommand: Command = {
  name: 'status',
  synopsis: '[--socket PATH] [-o json]  |  --cluster [--node NAME] [--kubeconfig FILE] [-o json]',
  summary:
    'Shows what the agent of this node serves, how it reaches every other node, and what is wrong; with --cluster what all agents tell the API of themselves. Fails when something is wrong.',
  options: {
    ...CLUSTER_OPTIONS,
    ...OUTPUT_OPTION,
    socket: { type: 'string' },
    cluster: { type: 'boolean' },
    node: { type: 'string' },
  },
  optionHelp: {
    ...CLUSTER_HELP,
    ...OUTPUT_HELP,
    socket: `the agent's socket (default ${DEFAULT_SOCKET})`,
    cluster: 'all nodes, by the API',
    node: 'with --cluster: this node alone',
  },
  positionals: [0, 0],
  run: (_, options) => {
    const { socket, cluster, node, kubeconfig } = options;
    if (cluster === true && socket !== undefined)
      throw usageError('status: --socket is of one node, --cluster of all; give one of them');
    if (cluster !== true && (node ?? kubeconfig) !== undefined)
      throw usageError('status: --node and --kubeconfig are of use with --cluster alone');
    return cluster === true ? showCluster(options) : showNode(options);
  },
};

async function showNode(options: Options): Promise<number> {
  const { socket } = options;
  const status = await askStatus(typeof socket === 'string' ? socket : DEFAULT_SOCKET);
  print(options, status, formatStatus);
  return status.readiness.ready && status.problems.length === 0 ? EXIT.ok : EXIT.failed;
}

async function showCluster(options: Options): Promise<number> {
  using client = openClusterClient(options);
  const members = await readMembers(client);
  const { node } = options;
  if (node === undefined) {
    print(options, members, formatCluster);
    return members.problems.length === 0 && members.nodes.every(isWell) ? EXIT.ok : EXIT.failed;
  }
  const member = members.nodes.find((one) => one.node === node);
  if (member === undefined)
    throw new FairleadError(
      'FL_USAGE',
      `--node: the cluster has no node ${JSON.stringify(node)}; see 'fairlead status --cluster'`,
    );
  print(options, member, formatMember);
  return isWell(member) ? EXIT.ok : EXIT.failed;
}
