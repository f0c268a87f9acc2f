/** The work on one pod: starting, stopping, taking over, keeping its processes and its status up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, FairleadError } from '../../src/base/errors/errors.ts';
import type { Logger } from '../../src/base/log/logger.ts';
import { type Api, timeOf } from '../api/api.ts';
import { removeStopped } from '../api/delete.ts';
import { recordEvent } from '../api/events.ts';
import { type ApiObject, at, listAt, textAt } from '../api/storage/object.ts';
import { ensureObject, setField } from '../api/validation/owner.ts';
import { processesIn } from '../namespaces.ts';
import { addPod, deletePod, type PortMapping } from '../pods.ts';
import { type LabPod, readPods, writePod } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import { type Container, commandOf, environmentOf, nextStep } from './container.ts';
import { isHostNetwork, recordName, uidOf } from './plan.ts';
import { statusOf, waitingStatus } from './pod-status.ts';
import type { Probes } from './probes.ts';
import { type Exit, logPath, startProcess } from './processes.ts';
import { withResolver, writeResolver } from './resolver.ts';

export type PodWork = { plan: LabPlan; api: Api; logger: Logger; probes: Probes; trigger: () => void };

/** Processes that this process has started and hears of when they end. */
const children = new Set<number>();
const SECOND = 1000;
const STEP_MS = 25;
/** Beside its own, of the probe. */
const MOST_PROBE_PORTS = 60;

export async function startPod({ plan, api, trigger }: PodWork, pod: ApiObject): Promise<void> {
  const node = textAt(pod, 'spec', 'nodeName');
  const { name, namespace = 'default', uid } = pod.metadata;
  const names = listAt(pod, 'spec', 'containers');
  const hasCommands = names.some((container) => commandOf(container, {}) !== undefined);
  const containers = names.map(
    (container): Container => ({ name: textAt(container, 'name'), startedAt: now(api), restarts: 0 }),
  );
  setField(api, pod, ['status'], waitingStatus(pod, clock(api)));
  try {
    if (isHostNetwork(pod)) {
      if (hasCommands)
        throw new FairleadError(
          'FL_LAB',
          'spec.hostNetwork: the lab runs no commands in the network of a node, where its probe answers; leave them out',
        );
      const ips = hostIps(plan, node);
      setField(api, pod, ['status'], statusOf(pod, { ips, hostIps: ips }, clock(api)));
      return;
    }
    writeResolver(plan, pod);
    await addPod(plan, recordName(pod), node, undefined, {
      namespace,
      name,
      uid,
      portMappings: portMappingsOf(names),
      ...(hasCommands ? { containers } : { ports: probePorts(names) }),
    });
  } catch (error) {
    recordEvent(api, pod, 'Warning', 'FailedCreatePodSandBox', describeError(error), 'kubelet');
    throw error;
  }
  recordEvent(api, pod, 'Normal', 'Started', `Started pod on ${node}`, 'kubelet');
  trigger();
}

/** SCTP is answered at every port. */
function probePorts(containers: readonly unknown[]): string[] {
  const ports = containers.flatMap((container) => listAt(container, 'ports'));
  return [
    ...new Set(
      ports.flatMap((port) => {
        const protocol = textAt(port, 'protocol') || 'TCP';
        return protocol === 'SCTP' ? [] : [`${protocol.toLowerCase()}/${Number(at(port, 'containerPort'))}`];
      }),
    ),
  ].slice(0, MOST_PROBE_PORTS);
}

/** Ports of the node that lead to it, as a runtime passes them on. */
function portMappingsOf(containers: readonly unknown[]): PortMapping[] {
  const ports = containers.flatMap((container) => listAt(container, 'ports'));
  return ports.flatMap((port): PortMapping[] => {
    const [hostPort, hostIP] = [Number(at(port, 'hostPort') ?? 0), textAt(port, 'hostIP')];
    if (hostPort === 0) return [];
    const protocol = (textAt(port, 'protocol') || 'TCP').toLowerCase();
    const containerPort = Number(at(port, 'containerPort'));
    return [{ hostPort, containerPort, protocol, ...(hostIP === '' ? {} : { hostIP }) }];
  });
}

/** @param pod its object, where there still is one. */
export async function stopPod(
  { plan, api, probes }: PodWork,
  record: LabPod,
  pod?: ApiObject,
): Promise<void> {
  const isEnding = pod?.metadata.deletionTimestamp !== undefined;
  if (isEnding) recordEvent(api, pod, 'Normal', 'Killing', 'Stopping the containers', 'kubelet');
  const grace = Number(pod?.metadata['deletionGracePeriodSeconds'] ?? 0);
  await endContainers(record, grace);
  await deletePod(plan, record);
  probes.forget(record.containerId);
  if (isEnding) removeStopped(api, pod);
}

/** An object for a pod that a command of the lab has made. */
export async function adoptPod({ plan, api }: PodWork, record: LabPod): Promise<void> {
  const { node, ips = [] } = record;
  const pod = ensureObject({ ...api, newUid: () => uidOf(record) }, 'Pod', {
    metadata: { name: record.name, namespace: 'default' },
    spec: { nodeName: node, containers: [{ name: 'probe', image: 'fairlead-probe' }] },
  });
  setField(api, pod, ['status'], statusOf(pod, { ips, hostIps: hostIps(plan, node) }, clock(api)));
}

/** Starts what is due, notices what has ended, and tells the API. */
export function refreshPod(work: PodWork, pod: ApiObject, record: LabPod): void {
  if (pod.metadata.deletionTimestamp !== undefined) return;
  const { plan, api, probes } = work;
  const policy = textAt(pod, 'spec', 'restartPolicy');
  const alive =
    record.containers === undefined ? new Set<number>() : new Set(processesIn([record.namespace]));
  for (const container of record.containers ?? []) {
    const { pid } = container;
    if (pid !== undefined && container.ended === undefined && !alive.has(pid) && !children.has(pid))
      noteExit(work, record, container.name, { exitCode: 137, reason: 'ContainerStatusUnknown' });
    else if (nextStep(container, policy, api.now()) === 'start') startContainer(work, pod, record, container);
  }
  const latest = readPods(plan.options.name).find(({ containerId }) => containerId === record.containerId);
  if (latest === undefined) return;
  const isReady = (name: string) => probes.isReady(pod, latest, name);
  const sandbox = { ips: latest.ips ?? [], hostIps: hostIps(plan, latest.node), isReady };
  const containers = latest.containers === undefined ? {} : { containers: latest.containers };
  setField(api, pod, ['status'], statusOf(pod, { ...sandbox, ...containers }, clock(api)));
}

function startContainer(work: PodWork, pod: ApiObject, record: LabPod, container: Container): void {
  const { plan, api } = work;
  const spec = listAt(pod, 'spec', 'containers').find((entry) => textAt(entry, 'name') === container.name);
  const environment = environmentOf(spec, pod, record.ips?.[0] ?? '', hostIps(plan, record.node)[0] ?? '');
  const { ended, ...rest } = container;
  const next: Container = {
    ...rest,
    startedAt: now(api),
    restarts: container.restarts + (ended === undefined ? 0 : 1),
    ...(ended === undefined ? {} : { last: ended }),
  };
  const pid = startProcess(
    {
      namespace: record.namespace,
      command: withResolver(plan, record.name, commandOf(spec, environment) ?? ['sleep', 'infinity']),
      environment: { HOSTNAME: pod.metadata.name, ...environment },
      workingDirectory: textAt(spec, 'workingDir') || '/',
      log: logPath(plan.options.name, record.name, container.name),
    },
    (exit) => {
      if (pid !== undefined) children.delete(pid);
      noteExit(work, record, container.name, exit);
    },
  );
  if (pid !== undefined) children.add(pid);
  changeContainer(plan, record, { ...next, ...(pid === undefined ? {} : { pid }) });
}

function noteExit({ plan, api, trigger }: PodWork, record: LabPod, name: string, exit: Exit): void {
  const latest = readPods(plan.options.name).find(({ containerId }) => containerId === record.containerId);
  const container = latest?.containers?.find((candidate) => candidate.name === name);
  if (container === undefined || container.ended !== undefined) return;
  const { startedAt } = container;
  changeContainer(plan, record, { ...container, ended: { ...exit, startedAt, finishedAt: now(api) } });
  trigger();
}

function changeContainer(plan: LabPlan, { containerId }: LabPod, container: Container): void {
  const lab = plan.options.name;
  const record = readPods(lab).find((candidate) => candidate.containerId === containerId);
  if (record === undefined) return;
  const containers = (record.containers ?? []).map((other) =>
    other.name === container.name ? container : other,
  );
  writePod(lab, { ...record, containers });
}

/** Asks them to end, and waits as long as they may take; what is left then ends with the namespace. */
async function endContainers(record: LabPod, graceSeconds: number): Promise<void> {
  const pids = (record.containers ?? []).flatMap(({ pid, ended }) =>
    pid === undefined || ended !== undefined ? [] : [pid],
  );
  const running = () => {
    try {
      const inside = new Set(processesIn([record.namespace]));
      return pids.filter((pid) => inside.has(pid));
    } catch {
      return [];
    }
  };
  for (const pid of running()) process.kill(pid, 'SIGTERM');
  for (let waited = 0; waited < graceSeconds * SECOND && running().length > 0; waited += STEP_MS)
    await sleep(STEP_MS);
}

function hostIps(plan: LabPlan, node: string): readonly string[] {
  return plan.nodes.find(({ name }) => name === node)?.addresses ?? [];
}

function now(api: Api): string {
  return timeOf(api.now());
}

function clock(api: Api): { text: string; milliseconds: number } {
  return { text: now(api), milliseconds: api.now() };
}
