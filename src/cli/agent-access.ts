/**
 * How commands ask agents: that of this node by its socket, and those of other nodes where kubectl works, by
 * `fairlead agent ask` in their pods (`pods/exec`), with the caller's own rights.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readConfigurationFile } from '../base/config/file.ts';
import { FairleadError } from '../base/errors/errors.ts';
import { type AgentPod, findAgentPods } from '../cluster/agent-pods.ts';
import type { KubeClient } from '../edge/kubernetes/client.ts';
import { execInPod } from '../edge/kubernetes/exec.ts';
import { askAgent, followAgent } from '../tools/status/ask.ts';
import { CLUSTER_HELP, CLUSTER_OPTIONS, hasClusterAccess, openClusterClient } from './cluster-access.ts';
import { type Options, usageError } from './command.ts';

export const DEFAULT_SOCKET = '/run/fairlead/api.sock';

export const AGENT_OPTIONS = {
  ...CLUSTER_OPTIONS,
  node: { type: 'string' },
  namespace: { type: 'string', short: 'n' },
  socket: { type: 'string' },
} as const;
export const AGENT_HELP = {
  ...CLUSTER_HELP,
  node: 'ask the agent of this node, by the API',
  namespace: 'where the agents run (default: all are looked through)',
  socket: `ask the agent of this node, by its socket (default ${DEFAULT_SOCKET}, where there is one)`,
} as const;
export const AGENT_SYNOPSIS = '[--socket PATH | --node NODE [--kubeconfig FILE]]';

/** One agent that can be asked. */
export type Agent = {
  /** Absent for that of this node, which says itself which one that is. */
  node?: string;
  /** @returns the JSON of its answer. @throws FairleadError with the cure. */
  ask(path: string): Promise<unknown>;
  /** Calls back with each line, until it ends. */
  follow(path: string, onLine: (line: string) => void): Promise<void>;
  /** Runs `fairlead` beside it. @returns the exit status. */
  run(args: readonly string[]): Promise<number>;
};

/** Either the agent of this node, or the cluster whose agents can be found. */
export type Access = { local: Agent } | { client: KubeClient; namespace?: string; node?: string };

/** What was named counts; else the agent of this node where its socket is, else the cluster. @throws FairleadError */
export function openAccess(options: Options): Access {
  const { socket, node, kubeconfig, namespace } = options;
  const isCluster = (node ?? kubeconfig ?? namespace) !== undefined;
  if (socket !== undefined && isCluster)
    throw usageError('--socket is of this node, --node and --kubeconfig go by the API; give one of them');
  if (typeof socket === 'string') return { local: agentAt(socket) };
  if (!isCluster && (existsSync(DEFAULT_SOCKET) || !hasClusterAccess()))
    return { local: agentAt(DEFAULT_SOCKET) };
  return {
    client: openClusterClient(options),
    ...(typeof namespace === 'string' ? { namespace } : {}),
    ...(typeof node === 'string' ? { node } : {}),
  };
}

/** The agents that are meant: the one that was named, or all of the cluster. @throws FairleadError */
export async function findAgents(access: Access): Promise<Agent[]> {
  if ('local' in access) return [access.local];
  const { client, namespace, node } = access;
  const pods = await findAgentPods(client, namespace);
  const meant = node === undefined ? pods : pods.filter((one) => one.node === node);
  if (meant.length > 0) return meant.map((pod) => agentIn(client, pod));
  const known = pods.map((one) => one.node).join(', ');
  throw new FairleadError(
    'FL_AGENT',
    node === undefined || known === ''
      ? "no pod of an agent runs (label app.kubernetes.io/name=fairlead); see 'kubectl get pods -A -l app.kubernetes.io/name=fairlead'"
      : `--node: no pod of an agent runs on node ${JSON.stringify(node)}; there is one on ${known}`,
  );
}

/** @param options `--socket`, or `--config` of the agent. */
export function socketOf({ socket, config }: Options): string {
  if (typeof socket === 'string') return socket;
  if (typeof config !== 'string') return DEFAULT_SOCKET;
  return join(readConfigurationFile(config).paths.socketDirectory, 'api.sock');
}

function agentAt(socket: string): Agent {
  return {
    ask: (path) => askAgent(socket, path),
    follow: (path, onLine) => followAgent(socket, path, onLine),
    run: () => Promise.reject(usageError('--socket: only questions can be asked there')),
  };
}

function agentIn(client: KubeClient, { node, configuration, ...pod }: AgentPod): Agent {
  const config = ['--config', configuration];
  const exec = (
    args: readonly string[],
    onStdout: (chunk: Buffer) => void,
    onStderr: (chunk: Buffer) => void,
  ) => execInPod(client, { ...pod, command: ['fairlead', ...args, ...config], onStdout, onStderr });
  const ask = async (args: readonly string[], onStdout: (chunk: Buffer) => void) => {
    const said: Buffer[] = [];
    const status = await exec(['agent', 'ask', ...args], onStdout, (chunk) => said.push(chunk));
    if (status === 0) return;
    const why = Buffer.concat(said)
      .toString()
      .trim()
      .replace(/^fairlead: /, '');
    throw new FairleadError(
      'FL_AGENT',
      `node ${node}: ${why === '' ? `its agent could not be asked (${status})` : why}`,
    );
  };
  return {
    node,
    ask: async (path) => {
      const answer: Buffer[] = [];
      await ask([path], (chunk) => answer.push(chunk));
      return JSON.parse(Buffer.concat(answer).toString()) as unknown;
    },
    follow: (path, onLine) => {
      let rest = '';
      return ask([path, '--follow'], (chunk) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach(onLine);
      });
    },
    run: (args) =>
      exec(
        args,
        (chunk) => process.stdout.write(chunk),
        (chunk) => process.stderr.write(chunk),
      ),
  };
}
