/** The status of a pod, from its processes. */
import { type ApiObject, at, type Fields, listAt, textAt } from '../api/storage/object.ts';
import { type Container, type Ending, nextStep } from './container.ts';

export type Sandbox = {
  ips: readonly string[];
  /** Of the node. */
  hostIps: readonly string[];
  /** Absent where the pod's process is the lab's own. */
  containers?: readonly Container[];
  /** By name, while it runs; absent: each is. */
  isReady?: (container: string) => boolean;
};

type Now = { text: string; milliseconds: number };

/** The pod's network is there, and its processes run or have ended. */
export function statusOf(pod: ApiObject, sandbox: Sandbox, now: Now): Fields {
  const policy = textAt(pod, 'spec', 'restartPolicy');
  const statuses = listAt(pod, 'spec', 'containers').map((spec) => {
    const container = sandbox.containers?.find(({ name }) => name === textAt(spec, 'name'));
    const isReady = sandbox.isReady?.(textAt(spec, 'name')) ?? true;
    const startedAt = textAt(pod, 'status', 'startTime') || now.text;
    return containerStatus(spec, container, isReady, policy, startedAt, now);
  });
  const steps = (sandbox.containers ?? []).map((container) => ({
    container,
    step: nextStep(container, policy, now.milliseconds),
  }));
  const isOver = steps.length > 0 && steps.every(({ step }) => step === 'done');
  const failed = steps.some(({ container }) => (container.ended?.exitCode ?? 0) !== 0);
  const phase = isOver ? (failed ? 'Failed' : 'Succeeded') : 'Running';
  const ready = !isOver && statuses.every((status) => status['ready'] === true);
  const reason = isOver ? { reason: 'PodCompleted' } : ready ? {} : { reason: 'ContainersNotReady' };
  return {
    phase,
    qosClass: textAt(pod, 'status', 'qosClass') || 'BestEffort',
    startTime: textAt(pod, 'status', 'startTime') || now.text,
    hostIP: sandbox.hostIps[0],
    hostIPs: sandbox.hostIps.map((ip) => ({ ip })),
    podIP: sandbox.ips[0],
    podIPs: sandbox.ips.map((ip) => ({ ip })),
    conditions: conditions(
      pod,
      {
        Initialized: {},
        Ready: { ready, ...reason },
        ContainersReady: { ready, ...reason },
        PodScheduled: {},
      },
      now,
    ),
    containerStatuses: statuses,
  };
}

/** The network of the pod is not there yet, and why. */
export function waitingStatus(pod: ApiObject, now: Now): Fields {
  const not = { ready: false, reason: 'ContainersNotReady' };
  return {
    phase: 'Pending',
    qosClass: textAt(pod, 'status', 'qosClass') || 'BestEffort',
    startTime: textAt(pod, 'status', 'startTime') || now.text,
    conditions: conditions(pod, { Initialized: {}, Ready: not, ContainersReady: not, PodScheduled: {} }, now),
    containerStatuses: listAt(pod, 'spec', 'containers').map((spec) => ({
      ...commonStatus(spec),
      ready: false,
      started: false,
      restartCount: 0,
      state: { waiting: { reason: 'ContainerCreating' } },
    })),
  };
}

function containerStatus(
  spec: unknown,
  container: Container | undefined,
  ready: boolean,
  policy: string,
  startedAt: string,
  now: Now,
): Fields {
  const { ended, last } = container ?? {};
  const lastState = last === undefined ? {} : { lastState: { terminated: terminated(last) } };
  const common = { ...commonStatus(spec), restartCount: container?.restarts ?? 0, ...lastState };
  if (ended === undefined) {
    const state = { running: { startedAt: container?.startedAt ?? startedAt } };
    return {
      ...common,
      containerID: `lab://${container?.pid ?? 'probe'}`,
      ready,
      started: true,
      state,
    };
  }
  const step = nextStep(container!, policy, now.milliseconds);
  if (step === 'done')
    return { ...common, ready: false, started: false, state: { terminated: terminated(ended) } };
  const message = `back-off after exit status ${ended.exitCode}`;
  return {
    ...common,
    ready: false,
    started: false,
    state: { waiting: { reason: 'CrashLoopBackOff', message } },
    lastState: { terminated: terminated(ended) },
  };
}

function commonStatus(spec: unknown): Fields {
  return { name: textAt(spec, 'name'), image: textAt(spec, 'image'), imageID: '' };
}

function terminated({ exitCode, reason, startedAt, finishedAt }: Ending): Fields {
  return { exitCode, reason, startedAt, finishedAt };
}

/** A condition that is as it was keeps the time of its last transition. */
function conditions(
  pod: ApiObject,
  wanted: Readonly<Record<string, { ready?: boolean; reason?: string }>>,
  now: Now,
): Fields[] {
  const before = listAt(pod, 'status', 'conditions');
  return Object.entries(wanted).map(([type, { ready = true, reason }]) => {
    const status = ready ? 'True' : 'False';
    const old = before.find((condition) => textAt(condition, 'type') === type);
    const since = textAt(old, 'status') === status ? at(old, 'lastTransitionTime') : undefined;
    return {
      type,
      status,
      ...(reason === undefined ? {} : { reason }),
      lastTransitionTime: since ?? now.text,
    };
  });
}
