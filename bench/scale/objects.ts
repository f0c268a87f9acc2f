/** A large cluster as its API has it: objects with all that real ones carry beside what an agent needs. */

import type { ApiObject } from '../../lab/api/storage/object.ts';
import { type Cidr, parseCidr } from '../../src/base/ip/cidr.ts';
import { type Ip, parseIp } from '../../src/base/ip/ip.ts';

export const NODES = 5000;
export const PODS = 20_000;
export const POD_NETWORK = '10.128.0.0/9';
/** Of node 0, the one whose agent is measured; all others are behind a router for it. */
export const OWN_ADDRESS = '192.168.1.2';

const BORN = '2026-01-01T00:00:00Z';

/** About what kubelets and controllers leave behind: 4 KB. */
const BALLAST = {
  annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"a":"b"}'.repeat(100) },
  managedFields: Array.from({ length: 10 }, (_, i) => ({
    manager: `controller-${i}`,
    operation: 'Update',
    fieldsV1: {
      'f:metadata': { 'f:labels': { '.': {}, 'f:app': {}, [`f:l${i}`]: {} } },
      'f:spec': { 'f:containers': {} },
    },
    time: BORN,
  })),
};

/** @param life how often a node of this name has joined. */
export function nodeUid(index: number, life: number): string {
  return `00000000-0000-4000-${8000 + life}-${String(index).padStart(12, '0')}`;
}

export function nodeRange(index: number): Cidr {
  return parseCidr(`10.${128 + (index >> 8)}.${index & 255}.0/24`);
}

/** @param move how often the node has changed its address. */
export function nodeAddress(index: number, move: number): Ip {
  return parseIp(index === 0 ? OWN_ADDRESS : `172.${16 + (move % 16)}.${index >> 8}.${index & 255}`);
}

export function nodeObject(index: number, life: number, move: number): ApiObject {
  const name = `node-${index}`;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      uid: nodeUid(index, life),
      resourceVersion: '1',
      creationTimestamp: BORN,
      labels: { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': `zone-${index % 3}` },
      ...BALLAST,
    },
    spec: { podCIDR: nodeRange(index), podCIDRs: [nodeRange(index)] },
    status: {
      addresses: [
        { type: 'InternalIP', address: nodeAddress(index, move) },
        { type: 'Hostname', address: name },
      ],
      conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: BORN, lastTransitionTime: BORN }],
    },
  };
}

export function podObject(index: number): ApiObject {
  const app = `app-${index % 400}`;
  const node = index % NODES;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${app}-${index}`,
      namespace: `team-${index % 100}`,
      uid: `00000000-0000-4000-9000-${String(index).padStart(12, '0')}`,
      resourceVersion: '1',
      creationTimestamp: BORN,
      labels: {
        app,
        'app.kubernetes.io/name': app,
        'app.kubernetes.io/instance': `i-${index % 400}`,
        'pod-template-hash': `h${index % 400}`,
        tier: 'backend',
      },
      ...BALLAST,
    },
    spec: {
      nodeName: `node-${node}`,
      containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }] }],
    },
    status: {
      phase: 'Running',
      podIPs: [{ ip: `10.${128 + (node >> 8)}.${node & 255}.${2 + Math.floor(index / NODES)}` }],
    },
  };
}

export const NAMESPACES = ['default', 'kube-system', ...Array.from({ length: 100 }, (_, i) => `team-${i}`)];

export function namespaceObject(name: string, index: number): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      uid: `00000000-0000-4000-a000-${String(index).padStart(12, '0')}`,
      resourceVersion: '1',
      creationTimestamp: BORN,
    },
  };
}
