/** A lab from beginning to end: up, and down without a trace. */
import { rmSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { FairleadError } from '../src/base/errors/errors.ts';
import { writeKubeconfig } from './api-access.ts';
import { startApi, stopApi } from './api-start.ts';
import { concurrently } from './concurrently.ts';
import { deleteNamespaces, listNamespaces } from './namespaces.ts';
import { awaitAgent, registerNode, startAgent, writeConfiguration } from './nodes.ts';
import { buildPlainBridges } from './plain-bridge.ts';
import { addPod } from './pods.ts';
import { startProbe } from './processes.ts';
import { labDirectory, readRecord, writeRecord } from './state.ts';
import { type LabOptions, type LabPlan, namespacePrefix, planLab } from './topology.ts';
import { buildUnderlay } from './underlay.ts';

const NODES_AT_A_TIME = 8;

/** @param tell progress for people. */
export async function labUp(
  options: LabOptions,
  tell: (step: string) => void,
): Promise<'new' | 'already up'> {
  const plan = planLab(options);
  if (await isAlreadyUp(plan, tell)) {
    if (options.api) await startApi(plan);
    return 'already up';
  }
  writeRecord({ plan, phase: 'starting', pid: process.pid });
  tell(`${plan.nodes.length} nodes on ${plan.subnets.length} subnet(s), and the world`);
  await buildUnderlay(plan);
  if (options.cni === 'fairlead') await startAgents(plan, tell);
  else {
    await buildPlainBridges(plan);
    if (options.api) await startApi(plan);
  }
  await Promise.all([
    startProbe(plan.world.namespace, 'world'),
    ...plan.nodes.map(({ namespace, name }) => startProbe(namespace, name)),
  ]);
  tell(`${plan.pods.length} pods`);
  // One after another on a node, so that its first pod has its first address.
  await concurrently(plan.nodes, NODES_AT_A_TIME, async (node) => {
    for (const pod of plan.pods.filter((candidate) => candidate.node === node.name))
      await addPod(plan, pod.name, node.name);
  });
  writeRecord({ plan, phase: 'up', pid: process.pid });
  return 'new';
}

/** Removes everything of the lab and nothing else, whatever state it is in; nothing there is fine. */
export async function labDown(name: string): Promise<void> {
  const directory = labDirectory(name);
  // It would go on making pods.
  await stopApi(name);
  await deleteNamespaces(listNamespaces(namespacePrefix(name)));
  rmSync(directory, { recursive: true, force: true });
}

async function startAgents(plan: LabPlan, tell: (step: string) => void): Promise<void> {
  for (const node of plan.nodes) registerNode(plan, node);
  if (plan.options.api) {
    tell('the Kubernetes API, which agents take the nodes from');
    await startApi(plan);
    writeKubeconfig(plan);
  }
  for (const node of plan.nodes) writeConfiguration(plan, node);
  tell('an agent per node');
  for (const node of plan.nodes) startAgent(plan, node);
  await Promise.all(plan.nodes.map((node) => awaitAgent(plan, node)));
}

async function isAlreadyUp(plan: LabPlan, tell: (step: string) => void): Promise<boolean> {
  const { name } = plan.options;
  const record = readRecord(name);
  if (record === undefined && listNamespaces(namespacePrefix(name)).length === 0) return false;
  if (record?.phase === 'up') {
    if (isDeepStrictEqual(record.plan.options, plan.options)) return true;
    throw new FairleadError(
      'FL_LAB',
      `lab ${name} is up with other options (${describeOptions(record.plan.options)}); run 'fairlead lab down' first, or give this one another --name`,
    );
  }
  if (record !== undefined && isRunning(record.pid)) {
    throw new FairleadError(
      'FL_LAB',
      `lab ${name} is being brought up by process ${record.pid}; wait for it`,
    );
  }
  tell('what an earlier start left half-made is removed first');
  await labDown(name);
  return false;
}

function describeOptions(options: LabOptions): string {
  return Object.entries(options)
    .filter(([option]) => option !== 'name')
    .map(([option, value]) => `--${option} ${value}`)
    .join(' ');
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch {
    return false;
  }
}
