/** What `kubectl get` shows of each kind: column by column, from the object and the time. */

import { formatSelector } from '../request/label-selector.ts';
import { type ApiObject, at, fieldsAt, isFields, listAt, textAt } from '../storage/object.ts';
import { formatAge } from './age.ts';
import { describePod, readyCount, restarts } from './pod-summary.ts';

export type Column = {
  name: string;
  type: 'string' | 'integer';
  /** `name` marks the column that names the object. */
  format: '' | 'name';
  /** 0: always shown; 1: only with `-o wide`. */
  priority: 0 | 1;
  /** @param now milliseconds since 1970. */
  value: (object: ApiObject, now: number) => string | number;
};

type Value = Column['value'];

const MOST_WORDS = 3;

const name = column('Name', ({ metadata }) => metadata.name, { format: 'name' });
const age = column('Age', ({ metadata }, now) => formatAge(metadata.creationTimestamp, now));

export const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  Node: [
    name,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    age,
    column('Version', (node) => textAt(node, 'status', 'nodeInfo', 'kubeletVersion')),
    wide('Internal-IP', (node) => nodeAddress(node, 'InternalIP')),
    wide('External-IP', (node) => nodeAddress(node, 'ExternalIP')),
    wide('OS-Image', (node) => textAt(node, 'status', 'nodeInfo', 'osImage') || '<unknown>'),
    wide('Kernel-Version', (node) => textAt(node, 'status', 'nodeInfo', 'kernelVersion') || '<unknown>'),
    wide(
      'Container-Runtime',
      (node) => textAt(node, 'status', 'nodeInfo', 'containerRuntimeVersion') || '<unknown>',
    ),
  ],
  Pod: [
    name,
    column('Ready', readyCount),
    column('Status', describePod),
    column('Restarts', restarts),
    age,
    wide('IP', (pod) => textAt(pod, 'status', 'podIP') || '<none>'),
    wide('Node', (pod) => textAt(pod, 'spec', 'nodeName') || '<none>'),
    wide('Nominated Node', (pod) => textAt(pod, 'status', 'nominatedNodeName') || '<none>'),
    wide('Readiness Gates', () => '<none>'),
  ],
  Namespace: [name, column('Status', (namespace) => textAt(namespace, 'status', 'phase')), age],
  Service: [
    name,
    column('Type', (service) => textAt(service, 'spec', 'type')),
    column('Cluster-IP', (service) => textAt(service, 'spec', 'clusterIP') || '<none>'),
    column('External-IP', externalIps),
    column('Port(s)', servicePorts),
    age,
    wide('Selector', (service) => formatLabels(fieldsAt(service, 'spec', 'selector'))),
  ],
  EndpointSlice: [
    name,
    column('AddressType', (slice) => textAt(slice, 'addressType')),
    column('Ports', (slice) => some(listAt(slice, 'ports').map((port) => textAt(port, 'port') || '*'))),
    column('Endpoints', (slice) =>
      some(listAt(slice, 'endpoints').map((endpoint) => String(listAt(endpoint, 'addresses')[0]))),
    ),
    age,
  ],
  ServiceCIDR: [name, column('CIDRs', (range) => joined(listAt(range, 'spec', 'cidrs').map(String))), age],
  IPAddress: [
    name,
    column('ParentRef', (address) => {
      const part = (field: string) => textAt(address, 'spec', 'parentRef', field);
      return ['group', 'resource', 'namespace', 'name'].map(part).filter(Boolean).join('/');
    }),
    age,
  ],
  NetworkPolicy: [
    name,
    column('Pod-Selector', (policy) => formatSelector(at(policy, 'spec', 'podSelector'))),
    age,
  ],
  ClusterNetworkPolicy: [
    name,
    column('Tier', (policy) => textAt(policy, 'spec', 'tier')),
    column('Priority', (policy) => textAt(policy, 'spec', 'priority')),
    age,
  ],
  Lease: [name, column('Holder', (lease) => textAt(lease, 'spec', 'holderIdentity')), age],
  ConfigMap: [
    name,
    column(
      'Data',
      (map) => Object.keys(fieldsAt(map, 'data')).length + Object.keys(fieldsAt(map, 'binaryData')).length,
      { type: 'integer' },
    ),
    age,
  ],
  Event: [
    column('Last Seen', (event, now) => formatAge(lastSeen(event), now)),
    column('Type', (event) => textAt(event, 'type')),
    column('Reason', (event) => textAt(event, 'reason')),
    column(
      'Object',
      (event) =>
        `${textAt(event, 'involvedObject', 'kind').toLowerCase()}/${textAt(event, 'involvedObject', 'name')}`,
    ),
    wide('Source', (event) => textAt(event, 'source', 'component')),
    column('Message', (event) => textAt(event, 'message').trim()),
    wide('Count', (event) => textAt(event, 'count') || '1'),
    wide('Name', ({ metadata }) => metadata.name),
  ],
};

function column(title: string, value: Value, more: Partial<Pick<Column, 'format' | 'type'>> = {}): Column {
  return { name: title, type: 'string', format: '', priority: 0, value, ...more };
}

function wide(title: string, value: Value): Column {
  return { ...column(title, value), priority: 1 };
}

function nodeStatus(node: ApiObject): string {
  const ready = listAt(node, 'status', 'conditions').find(
    (condition) => textAt(condition, 'type') === 'Ready',
  );
  const words = [{ True: 'Ready', False: 'NotReady' }[textAt(ready, 'status')] ?? 'Unknown'];
  if (at(node, 'spec', 'unschedulable') === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles({ metadata }: ApiObject): string {
  const prefix = 'node-role.kubernetes.io/';
  const labels = Object.keys(metadata.labels ?? {}).filter((label) => label.startsWith(prefix));
  return joined(labels.map((label) => label.slice(prefix.length)).toSorted());
}

function nodeAddress(node: ApiObject, type: string): string {
  const found = listAt(node, 'status', 'addresses').find((address) => textAt(address, 'type') === type);
  return textAt(found, 'address') || '<none>';
}

function servicePorts(service: ApiObject): string {
  const ports = listAt(service, 'spec', 'ports').map((port) => {
    const nodePort = textAt(port, 'nodePort');
    return `${textAt(port, 'port')}${nodePort === '' ? '' : `:${nodePort}`}/${textAt(port, 'protocol') || 'TCP'}`;
  });
  return joined(ports);
}

function externalIps(service: ApiObject): string {
  const type = textAt(service, 'spec', 'type');
  if (type === 'ExternalName') return textAt(service, 'spec', 'externalName');
  const ingress = listAt(service, 'status', 'loadBalancer', 'ingress').map(
    (entry) => textAt(entry, 'ip') || textAt(entry, 'hostname'),
  );
  const ips = [
    ...(type === 'LoadBalancer' ? ingress : []),
    ...listAt(service, 'spec', 'externalIPs').map(String),
  ];
  return joined(ips, type === 'LoadBalancer' ? '<pending>' : '<none>');
}

/** Slices are long. */
function some(words: readonly string[]): string {
  const more = words.length - MOST_WORDS;
  return joined(words.slice(0, MOST_WORDS), '<unset>') + (more > 0 ? ` + ${more} more...` : '');
}

function lastSeen(event: ApiObject): string {
  return textAt(event, 'lastTimestamp') || textAt(event, 'eventTime') || event.metadata.creationTimestamp;
}

function joined(words: readonly string[], none = '<none>'): string {
  return words.length > 0 ? words.join(',') : none;
}

function formatLabels(labels: unknown): string {
  return isFields(labels)
    ? joined(Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`))
    : '<none>';
}
