/** A Pod (core/v1) as far as policies and reachability go: whose labels have which addresses, and its named ports. */

import { type Fields, fieldAt, fieldsAt, isFields, listAt, show, textAt } from '../../base/fields/fields.ts';
import { type Ip, isIp, parseIp } from '../../base/ip/ip.ts';
import { createInterner, internText } from '../../edge/kubernetes/intern.ts';
import {
  type Kind,
  type KubeObject,
  type Labels,
  readLabels,
  readMetadata,
  type Trimmed,
} from '../../edge/kubernetes/object.ts';

const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

export type PodPhase = (typeof PHASES)[number];
export type Protocol = (typeof PROTOCOLS)[number];

/** A container's port that has a name; others allow nothing and forbid nothing. */
export type NamedPort = { name: string; port: number; protocol: Protocol };

/** A port of the node that leads to a container's. */
export type HostPort = { protocol: Protocol; hostPort: number; containerPort: number; hostIp?: Ip };

export type Pod = KubeObject & {
  namespace: string;
  labels: Labels;
  /** Empty until it is scheduled. */
  nodeName: string;
  /** At most one per family; none before it has started. */
  podIPs: readonly Ip[];
  /** It shares the addresses of its node. */
  hostNetwork: boolean;
  phase: PodPhase;
  ports: readonly NamedPort[];
  /** Absent where it has none, as almost all. */
  hostPorts?: readonly HostPort[];
  /** Absent is no. */
  deleting?: true;
  /** Milliseconds since 1970; of two pods with one address the newer one counts. */
  created?: number;
};

export const POD_KIND: Kind<Pod> = { name: 'pod', path: '/api/v1/pods', trim: trimPod };

const MOST_ADDRESSES = 2;
const MOST_PORTS = 1024;
/** Shared by the many pods that have none. */
const NO_PORTS: readonly NamedPort[] = Object.freeze([]);
const internPorts = createInterner<readonly NamedPort[]>((ports) => JSON.stringify(ports));

export function trimPod(value: unknown): Trimmed<Pod> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata, namespace, name, uid, resourceVersion } = read;
  if (namespace === undefined) return { problem: 'metadata.namespace: is missing' };
  const labels = readLabels(metadata);
  if ('problem' in labels) return labels;
  const spec = fieldsAt(value as Fields, 'spec');
  const status = fieldsAt(value as Fields, 'status');
  const problems: string[] = [];
  const hostPorts = readHostPorts(spec);
  return {
    object: {
      namespace,
      name,
      uid,
      resourceVersion,
      labels: labels.labels,
      nodeName: internText((textAt(spec, 'nodeName') ?? '').slice(0, 253)),
      podIPs: readAddresses(status, problems),
      hostNetwork: spec['hostNetwork'] === true,
      phase: readPhase(status, problems),
      ports: readPorts(spec, problems),
      ...(hostPorts.length === 0 ? {} : { hostPorts }),
      ...(textAt(metadata, 'deletionTimestamp') === undefined ? {} : { deleting: true as const }),
      ...readCreation(metadata),
    },
    ...(problems.length === 0 ? {} : { problem: problems.join('; ') }),
  };
}

/** What is no time counts as older than any. */
function readCreation(metadata: Fields): Pick<Pod, 'created'> {
  const created = Date.parse(textAt(metadata, 'creationTimestamp') ?? '');
  return Number.isNaN(created) ? {} : { created };
}

function readAddresses(status: Fields, problems: string[]): readonly Ip[] {
  const listed = listAt(status, 'podIPs').map((item) => (isFields(item) ? item['ip'] : item));
  const single = fieldAt(status, 'podIP') ?? '';
  const ips = listed.length > 0 || single === '' ? listed : [single];
  if (ips.length > MOST_ADDRESSES)
    problems.push(`status.podIPs: has ${ips.length} addresses, of which ${MOST_ADDRESSES} count`);
  return ips.slice(0, MOST_ADDRESSES).flatMap((ip) => {
    if (typeof ip === 'string' && isIp(ip)) return [parseIp(ip)];
    problems.push(`status.podIPs: ${show(ip)} is not an IP address; it is left out until it is mended`);
    return [];
  });
}

function readPhase(status: Fields, problems: string[]): PodPhase {
  const phase = fieldAt(status, 'phase') ?? 'Pending';
  const known = PHASES.find((candidate) => candidate === phase);
  if (known === undefined)
    problems.push(`status.phase: ${show(phase)} is none of ${PHASES.join(', ')}; it counts as Unknown`);
  return known ?? 'Unknown';
}

function listPorts(spec: Fields): unknown[] {
  // An init container that is restarted always is a sidecar: it serves as long as the others.
  const sidecars = listAt(spec, 'initContainers').filter(
    (container) => isFields(container) && container['restartPolicy'] === 'Always',
  );
  return [...listAt(spec, 'containers'), ...sidecars].flatMap((container) =>
    isFields(container) ? listAt(container, 'ports') : [],
  );
}

/** Of a pod in the network of its node they say nothing new. One that does not fit was refused by the API. */
function readHostPorts(spec: Fields): HostPort[] {
  if (spec['hostNetwork'] === true) return [];
  return listPorts(spec)
    .slice(0, MOST_PORTS)
    .flatMap((item): HostPort[] => {
      const fields = isFields(item) ? item : {};
      const port = fields['hostPort'] === undefined ? undefined : readPort(fields, '');
      const hostPort = fields['hostPort'];
      if (port === undefined || typeof hostPort !== 'number' || hostPort === 0) return [];
      const hostIp = textAt(fields, 'hostIP') ?? '';
      return [
        {
          protocol: port.protocol,
          hostPort,
          containerPort: port.port,
          ...(isIp(hostIp) ? { hostIp: parseIp(hostIp) } : {}),
        },
      ];
    });
}

function readPorts(spec: Fields, problems: string[]): readonly NamedPort[] {
  const ports: NamedPort[] = [];
  for (const item of listPorts(spec)) {
    const fields = isFields(item) ? item : {};
    const name = textAt(fields, 'name') ?? '';
    if (name === '') continue;
    const port = readPort(fields, name);
    if (port === undefined || ports.length >= MOST_PORTS)
      problems.push(`spec.containers: port ${show(item)} is left out until it is mended`);
    else ports.push(port);
  }
  return ports.length === 0 ? NO_PORTS : internPorts(ports);
}

function readPort(fields: Fields, name: string): NamedPort | undefined {
  const port = fields['containerPort'];
  const protocol = PROTOCOLS.find((known) => known === (fields['protocol'] ?? 'TCP'));
  const fits = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65536;
  return fits && protocol !== undefined && name.length <= 63 ? { name, port, protocol } : undefined;
}
