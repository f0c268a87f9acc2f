/** The pods of a lab: each a namespace with a real process, attached as a container runtime does it. */
import { randomBytes } from 'node:crypto';
import { FairleadError } from '../src/base/errors/errors.ts';
import { type Ip, parseIp } from '../src/base/ip/ip.ts';
import { createNamespaces, deleteNamespaces, namespacePath } from './namespaces.ts';
import { attachPlainly } from './plain-bridge.ts';
import { startProbe } from './processes.ts';
import { callPluginOrFail } from './runtime.ts';
import { type LabPod, nodePaths, readPods, removePod, writePod } from './state.ts';
import { checkPodName, type LabNode, type LabPlan, namespaceName } from './topology.ts';

/** The entry of a network configuration list as a runtime passes it on. */
export function networkConfiguration(
  plan: LabPlan,
  node: string,
  more: object = {},
): Readonly<Record<string, unknown>> {
  const paths = nodePaths(plan.options.name, node);
  return {
    cniVersion: '1.1.0',
    name: 'fairlead',
    type: 'fairlead-cni',
    agentSocket: paths.cniSocket,
    stateDirectory: paths.state,
    ...more,
  };
}

/** As the capability `portMappings` has it. */
export type PortMapping = { hostPort: number; containerPort: number; protocol: string; hostIP?: string };

/** Whom a pod is in the API, where it was made for an object there. */
export type PodIdentity = {
  /** Its Kubernetes namespace and name. */
  namespace: string;
  name: string;
  uid: string;
  /** Absent where the lab's probe is to be its process. */
  containers?: LabPod['containers'];
  /** Further ports at which the probe answers: `tcp/80`. */
  ports?: readonly string[];
  /** Ports of its node that lead to it. */
  portMappings?: readonly PortMapping[];
};

/** @param mtu of the pod's interface where it shall not be the node's choice. */
export async function addPod(
  plan: LabPlan,
  name: string,
  nodeName: string,
  mtu?: number,
  identity?: PodIdentity,
): Promise<LabPod> {
  if (identity === undefined) checkPodName(name);
  const lab = plan.options.name;
  const node = requireNode(plan, nodeName);
  if (readPods(lab).some((pod) => pod.name === name)) {
    throw new FairleadError('FL_LAB', `pod ${name} exists already; choose another name, or remove it first`);
  }
  const { uid, containers } = identity ?? {};
  const pod: LabPod = {
    name,
    node: node.name,
    containerId: randomBytes(32).toString('hex'),
    namespace: namespaceName(lab, `pod-${randomBytes(6).toString('hex')}`),
    ...(uid === undefined ? {} : { uid }),
    ...(containers === undefined ? {} : { containers }),
  };
  writePod(lab, pod);
  try {
    await createNamespaces([pod.namespace]);
    const attached = await attachPod(plan, pod, node, mtu, identity);
    const complete = { ...pod, ...attached };
    if (containers === undefined) await startProbe(pod.namespace, name, identity?.ports);
    writePod(lab, complete);
    return complete;
  } catch (error) {
    await deletePod(plan, pod).catch(() => undefined);
    throw error;
  }
}

export async function deletePod(plan: LabPlan, pod: LabPod): Promise<void> {
  if (plan.options.cni === 'fairlead') {
    await callPluginOrFail({
      command: 'DEL',
      configuration: networkConfiguration(plan, pod.node),
      containerId: pod.containerId,
      netns: namespacePath(pod.namespace),
      ifname: 'eth0',
    });
  }
  await deleteNamespaces([pod.namespace]);
  removePod(plan.options.name, pod.name);
}

export function requirePod(lab: string, name: string): LabPod {
  const pods = readPods(lab);
  const pod = pods.find((candidate) => candidate.name === name);
  if (pod !== undefined) return pod;
  throw new FairleadError(
    'FL_LAB',
    `there is no pod ${name}; there are ${pods.map((p) => p.name).join(', ') || 'none'}`,
  );
}

export function requireNode(plan: LabPlan, name: string): LabNode {
  const node = plan.nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node;
  throw new FairleadError(
    'FL_LAB',
    `there is no node ${name}; there are node-1 to node-${plan.nodes.length}`,
  );
}

async function attachPod(
  plan: LabPlan,
  pod: LabPod,
  node: LabNode,
  mtu?: number,
  identity?: PodIdentity,
): Promise<{ ips: Ip[]; mtu: number }> {
  if (plan.options.cni === 'none') return attachPlainly(plan, pod, node);
  const { portMappings = [] } = identity ?? {};
  const text = await callPluginOrFail({
    command: 'ADD',
    configuration: networkConfiguration(plan, node.name, {
      ...(mtu === undefined ? {} : { mtu }),
      ...(portMappings.length === 0 ? {} : { runtimeConfig: { portMappings } }),
    }),
    containerId: pod.containerId,
    netns: namespacePath(pod.namespace),
    ifname: 'eth0',
    args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${identity?.namespace ?? 'default'};K8S_POD_NAME=${identity?.name ?? pod.name}${identity === undefined ? '' : `;K8S_POD_UID=${identity.uid}`}`,
  });
  const result = JSON.parse(text) as { ips: { address: string }[]; interfaces: { mtu: number }[] };
  return {
    ips: result.ips.map(({ address }) => parseIp(address.split('/')[0]!)),
    mtu: result.interfaces.at(-1)!.mtu,
  };
}
