/** The lab's agents as Pod objects, so that they are found and asked as those of a cluster are. */
import { dirname } from 'node:path';
import { type Api, timeOf } from '../api/api.ts';
import type { Runnable } from '../api/exec.ts';
import { ensureObject, setField } from '../api/validation/owner.ts';
import { namespacePath } from '../namespaces.ts';
import { FAIRLEAD } from '../processes.ts';
import { nodePaths, readPods } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import { withResolver } from './resolver.ts';

/** As in many clusters; agents that run in no pod tell how they are there too. */
const NAMESPACE = 'kube-system';
const PREFIX = 'fairlead-';

/** As the DaemonSet of the chart makes them. They are processes of the lab: its kubelet starts and stops none of them. */
export function mirrorAgents(plan: LabPlan, api: Api): void {
  if (plan.options.cni === 'none') return;
  for (const { name, addresses } of plan.nodes) {
    const startedAt = timeOf(api.now());
    const pod = ensureObject(api, 'Pod', {
      metadata: {
        name: `${PREFIX}${name}`,
        namespace: NAMESPACE,
        labels: { 'app.kubernetes.io/name': 'fairlead' },
      } as { name: string },
      spec: {
        nodeName: name,
        hostNetwork: true,
        containers: [
          {
            name: 'agent',
            image: 'fairlead',
            args: ['agent', '--config', nodePaths(plan.options.name, name).configuration],
          },
        ],
      },
    });
    setField(api, pod, ['status'], {
      phase: 'Running',
      hostIP: addresses[0] ?? '',
      podIP: addresses[0] ?? '',
      podIPs: addresses.map((ip) => ({ ip })),
      startTime: startedAt,
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
        type,
        status: 'True',
        lastTransitionTime: startedAt,
      })),
      containerStatuses: [
        {
          name: 'agent',
          image: 'fairlead',
          imageID: '',
          ready: true,
          started: true,
          restartCount: 0,
          state: { running: { startedAt } },
        },
      ],
    });
  }
}

/** Where the commands of a pod run: those of an agent's in the network of its node. */
export function runnableOf(plan: LabPlan, namespace: string, pod: string): Runnable | undefined {
  const node = plan.nodes.find(({ name }) => namespace === NAMESPACE && pod === `${PREFIX}${name}`);
  if (node !== undefined) return { network: namespacePath(node.namespace), path: dirname(FAIRLEAD) };
  const name = namespace === 'default' ? pod : `${namespace}/${pod}`;
  const record = readPods(plan.options.name).find((one) => one.name === name);
  if (record === undefined) return undefined;
  return {
    network: namespacePath(record.namespace),
    wrap: (command) => withResolver(plan, record.name, command),
  };
}
