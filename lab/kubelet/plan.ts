/** What the lab does about its pods, from the API's objects and from the pods that there are. */
import { type ApiObject, at, listAt, textAt } from '../api/storage/object.ts';
import type { LabPod } from '../state.ts';

export type PodAction =
  /** Choose a node. */
  | { do: 'bind'; pod: ApiObject }
  /** Make its network and start its processes. */
  | { do: 'start'; pod: ApiObject }
  /** End its processes and take its network away; also where an earlier start was cut off. */
  | { do: 'stop'; record: LabPod; pod?: ApiObject }
  /** It has stopped: the object goes. */
  | { do: 'forget'; pod: ApiObject }
  /** It was made by a command of the lab: an object for it. */
  | { do: 'adopt'; record: LabPod };

/** @param nodes names of the nodes whose pods the lab runs. */
export function planPods(
  pods: readonly ApiObject[],
  records: readonly LabPod[],
  nodes: ReadonlySet<string>,
): PodAction[] {
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
  const byName = new Set(pods.map(recordName));
  const recorded = new Set(records.map(uidOf));
  const names = new Set(records.map(({ name }) => name));
  return [
    ...records.flatMap((record) => planRecord(record, byUid, byName)),
    ...pods.flatMap((pod) => planObject(pod, recorded, names, nodes)),
  ];
}

/** The uid of its object; a pod that a command made has one that follows from its container. */
export function uidOf({ uid, containerId }: LabPod): string {
  return uid ?? containerId.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The name of a pod in the lab's commands: `web`, or `shop/web` in another namespace than the default one. */
export function recordName({ metadata }: ApiObject): string {
  const { name, namespace = 'default' } = metadata;
  return namespace === 'default' ? name : `${namespace}/${name}`;
}

export function isFinished(pod: ApiObject): boolean {
  return ['Succeeded', 'Failed'].includes(textAt(pod, 'status', 'phase'));
}

export function isHostNetwork(pod: ApiObject): boolean {
  return at(pod, 'spec', 'hostNetwork') === true;
}

function planRecord(
  record: LabPod,
  byUid: ReadonlyMap<string, ApiObject>,
  byName: ReadonlySet<string>,
): PodAction[] {
  const pod = byUid.get(uidOf(record));
  if (pod === undefined) {
    if (record.uid !== undefined) return [{ do: 'stop', record }];
    // A command is just making it, until it has its addresses.
    return record.ips !== undefined && !byName.has(record.name) ? [{ do: 'adopt', record }] : [];
  }
  const ends = pod.metadata.deletionTimestamp !== undefined || isFinished(pod) || record.ips === undefined;
  return ends ? [{ do: 'stop', record, pod }] : [];
}

function planObject(
  pod: ApiObject,
  recorded: ReadonlySet<string>,
  names: ReadonlySet<string>,
  nodes: ReadonlySet<string>,
): PodAction[] {
  if (recorded.has(pod.metadata.uid)) return [];
  const node = textAt(pod, 'spec', 'nodeName');
  const ends = pod.metadata.deletionTimestamp !== undefined;
  if (node === '') return ends || isFinished(pod) ? [] : [{ do: 'bind', pod }];
  if (!nodes.has(node)) return [];
  if (ends) return [{ do: 'forget', pod }];
  const phase = textAt(pod, 'status', 'phase');
  // It has the network of its node, and nothing that would be recorded.
  if (isHostNetwork(pod)) return phase === 'Pending' ? [{ do: 'start', pod }] : [];
  // The one that had its name before is still being stopped.
  if (names.has(recordName(pod))) return [];
  if (phase === 'Pending') return [{ do: 'start', pod }];
  // It ran, and a command of the lab has removed it.
  return phase === 'Running' ? [{ do: 'forget', pod }] : [];
}

/** Ports of a node that the pod asks for: `TCP/80`. A pod in the network of its node has each of its ports there. */
function hostPortsOf(pod: ApiObject): { port: string; ip: string }[] {
  const ports = listAt(pod, 'spec', 'containers').flatMap((container) => listAt(container, 'ports'));
  return ports.flatMap((port) => {
    const number = textAt(port, 'hostPort') || (isHostNetwork(pod) ? textAt(port, 'containerPort') : '');
    if (number === '' || number === '0') return [];
    const ip = textAt(port, 'hostIP').replace(/^(0\.0\.0\.0|::)$/, '');
    return [{ port: `${textAt(port, 'protocol') || 'TCP'}/${number}`, ip }];
  });
}

/** The schedulable node with the fewest pods that are not finished, whose ports are free; of several the first by name. */
export function chooseNode(
  pod: ApiObject,
  nodes: readonly ApiObject[],
  pods: readonly ApiObject[],
): string | undefined {
  const wanted = Object.entries(
    (pod['spec'] as { nodeSelector?: Record<string, string> }).nodeSelector ?? {},
  );
  const wantedPorts = hostPortsOf(pod);
  const running = wantedPorts.length === 0 ? [] : pods.filter((other) => !isFinished(other));
  const takenPorts = Map.groupBy(
    running.flatMap((other) =>
      hostPortsOf(other).map((port) => ({ ...port, node: textAt(other, 'spec', 'nodeName') })),
    ),
    ({ node }) => node,
  );
  const fitting = nodes.filter(
    ({ spec, metadata }) =>
      (spec as { unschedulable?: boolean } | undefined)?.unschedulable !== true &&
      wanted.every(([key, value]) => metadata.labels?.[key] === value) &&
      !wantedPorts.some((mine) =>
        (takenPorts.get(metadata.name) ?? []).some(
          ({ port, ip }) => port === mine.port && (ip === mine.ip || ip === '' || mine.ip === ''),
        ),
      ),
  );
  const count = (node: string) =>
    pods.filter((other) => textAt(other, 'spec', 'nodeName') === node && !isFinished(other)).length;
  const counted = fitting.map(({ metadata }) => ({ name: metadata.name, pods: count(metadata.name) }));
  return counted.toSorted(
    (a, b) => a.pods - b.pods || a.name.localeCompare(b.name, 'en', { numeric: true }),
  )[0]?.name;
}
