/** The nodes of a lab: each a namespace with a real agent process. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentStatus } from '../src/agent/serve/status.ts';
import { FairleadError } from '../src/base/errors/errors.ts';
import { writeNode } from '../src/cluster/directory-store.ts';
import type { ClusterNode } from '../src/plan/node/cluster-node.ts';
import { askStatus } from '../src/tools/status/ask.ts';
import { agentProcesses, startAgentProcess } from './processes.ts';
import { apiPaths, clusterDirectory, nodePaths } from './state.ts';
import type { LabNode, LabPlan } from './topology.ts';

/** Milliseconds: 64 agents on two cores start in about ten seconds. */
const START_MS = 60_000;

/** Registers the node in the cluster, as its kubelet would. */
export function registerNode(plan: LabPlan, node: LabNode): void {
  writeNode(clusterDirectory(plan.options.name), nodeRecord(plan, node));
}

export function nodeRecord(plan: LabPlan, node: LabNode): ClusterNode {
  const index = plan.nodes.indexOf(node);
  return {
    name: node.name,
    uid: `${plan.options.name}-${node.name}`,
    createdAt: new Date(Date.UTC(2026, 0, 1) + index * 1000).toISOString(),
    internalIps: node.addresses,
    podCidrs: plan.options.ranges === 'cluster' ? node.podCidrs : [],
  };
}

export function writeConfiguration(
  plan: LabPlan,
  node: LabNode,
  backend: string = plan.options.backend,
): void {
  const { name } = plan.options;
  const paths = nodePaths(name, node.name);
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  const configuration = [
    `node: { name: ${node.name} }`,
    `podNetwork: [${plan.podNetwork.map((range) => JSON.stringify(range)).join(', ')}]`,
    `backend: ${backend}`,
    plan.options.api
      ? `cluster: { source: kubernetes, kubeconfig: ${apiPaths(name).kubeconfig} }`
      : `cluster: { directory: ${clusterDirectory(name)} }`,
    `paths: { socketDirectory: ${paths.sockets}, stateDirectory: ${paths.state} }`,
    ...(plan.options.services ? ['services: { mode: on }'] : []),
    'log: { format: text, level: info }',
    '',
  ];
  writeFileSync(paths.configuration, configuration.join('\n'), { mode: 0o600 });
}

export function startAgent(plan: LabPlan, node: LabNode): void {
  const paths = nodePaths(plan.options.name, node.name);
  startAgentProcess(node.namespace, paths.configuration, paths.log);
}

/** At once, as a crash: nothing is tidied up. */
export function killAgent(node: LabNode): void {
  for (const pid of agentProcesses(node.namespace)) process.kill(pid, 'SIGKILL');
}

/** Resolves when the agent takes pods and has reached all that it wants. */
export async function awaitAgent(plan: LabPlan, node: LabNode): Promise<AgentStatus> {
  const { apiSocket, log } = nodePaths(plan.options.name, node.name);
  const deadline = Date.now() + START_MS;
  let last = 'it does not answer';
  while (Date.now() < deadline) {
    const status = await askStatus(apiSocket).catch(() => undefined);
    const known = status?.peers.length === plan.nodes.length - 1;
    if (status?.readiness.ready === true && known) return status;
    if (status !== undefined)
      last = status.readiness.ready ? 'it does not know all nodes yet' : status.readiness.reason;
    await sleep(25);
  }
  const said = readFileSync(log, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  throw new FairleadError(
    'FL_LAB',
    `the agent of ${node.name} is not ready: ${last}; its log is ${log}, and ends with: ${said}`,
  );
}
