/** `fairlead policy status`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isInForce } from '../../cluster/report/members.ts';
import { type ClusterMembers, readMembers } from '../../cluster/report/read-members.ts';
import { ApiError } from '../../edge/kubernetes/api-error.ts';
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { formatGenerations } from '../../tools/status/format-cluster.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, openClusterClient } from '../cluster-access.ts';
import { type Command, EXIT, type Options, usageError } from '../command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from '../output.ts';

const DEFAULT_TIMEOUT_S = 300;
/** Between two looks: milliseconds, and as many more for each node, since each look lists them all. */
const LOOK_MS = 500;
const LOOK_MS_PER_NODE = 1;

export const policyStatusCommand: Command = {
  name: 'policy status',
  synopsis: '[--wait] [--timeout SECONDS] [--kubeconfig FILE] [-o json]',
  summary:
    'Which generation of the network policies each node enforces, and which nodes lag or are silent. With --wait until all enforce what the API has; fails when some do not.',
  options: { ...CLUSTER_OPTIONS, ...OUTPUT_OPTION, wait: { type: 'boolean' }, timeout: { type: 'string' } },
  optionHelp: {
    ...CLUSTER_HELP,
    ...OUTPUT_HELP,
    wait: 'until every node enforces what the API has',
    timeout: `seconds to wait at most (default ${DEFAULT_TIMEOUT_S})`,
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const timeoutMs = timeoutOf(options) * 1000;
    using client = openClusterClient(options);
    const members =
      options['wait'] === true ? await awaitForce(client, timeoutMs) : await readMembers(client);
    print(options, members, formatGenerations);
    return members.nodes.every(isInForce) ? EXIT.ok : EXIT.failed;
  },
};

function timeoutOf({ timeout, wait }: Options): number {
  if (timeout === undefined) return DEFAULT_TIMEOUT_S;
  if (wait !== true) throw usageError('policy status: --timeout is of use with --wait alone');
  const seconds = Number(timeout);
  if (!(seconds > 0 && seconds <= 86_400))
    throw usageError(`--timeout: ${JSON.stringify(timeout)} does not fit; use seconds, up to a day`);
  return seconds;
}

/** @returns how it is when all have it in force, or time is up. */
async function awaitForce(client: KubeClient, timeoutMs: number): Promise<ClusterMembers> {
  const deadline = performance.now() + timeoutMs;
  let members = await readMembers(client);
  while (!members.nodes.every(isInForce) && performance.now() < deadline) {
    const pauseMs = LOOK_MS + members.nodes.length * LOOK_MS_PER_NODE;
    await sleep(Math.max(1, Math.min(pauseMs, deadline - performance.now())));
    // An API that has answered once and is away for a moment is waited for too.
    members = await readMembers(client).catch((error: unknown) => {
      const passes = error instanceof ApiError && (error.status === undefined || error.status >= 500);
      if (!passes || performance.now() > deadline) throw error;
      return members;
    });
  }
  return members;
}
