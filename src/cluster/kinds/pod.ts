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
    },
    ...(problems.length === 0 ? {} : { problem: problems.join('; ') }),
  };
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

function readPorts(spec: Fields, problems: string[]): readonly NamedPort[] {
  // An init container that is restarted always is a sidecar: it serves as long as the others.
  const sidecars = listAt(spec, 'initContainers').filter(
    (container) => isFields(container) && container['restartPolicy'] === 'Always',
  );
  const ports: NamedPort[] = [];
  for (const container of [...listAt(spec, 'containers'), ...sidecars]) {
    for (const item of isFields(container) ? listAt(container, 'ports') : []) {
      const fields = isFields(item) ? item : {};
      const name = textAt(fields, 'name') ?? '';
      if (name === '') continue;
      const port = readPort(fields, name);
      if (port === undefined || ports.length >= MOST_PORTS)
        problems.push(`spec.containers: port ${show(item)} is left out until it is mended`);
      else ports.push(port);
    }
  }
  return ports.length === 0 ? NO_PORTS : internPorts(ports);
}

function readPort(fields: Fields, name: string): NamedPort | undefined {
  const port = fields['containerPort'];
  const protocol = PROTOCOLS.find((known) => known === (fields['protocol'] ?? 'TCP'));
  const fits = typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65536;
  return fits && protocol !== undefined && name.length <= 63 ? { name, port, protocol } : undefined;
}
