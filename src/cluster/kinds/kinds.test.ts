import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyOf } from '../../edge/kubernetes/object.ts';
import { trimLease } from './lease.ts';
import { trimNamespace } from './namespace.ts';
import { trimNode } from './node.ts';
import { trimPod } from './pod.ts';

const metadata = {
  name: 'web-0',
  namespace: 'shop',
  uid: 'u',
  resourceVersion: '7',
  creationTimestamp: '2026-01-01T00:00:00Z',
};

/** An object of the kind, odd in any way below what tells objects apart. */
const odd = fc.record(
  {
    metadata: fc.oneof(
      fc.jsonValue(),
      fc.record({ labels: fc.jsonValue() }).map((more) => ({ ...metadata, ...more })),
    ),
    spec: fc.oneof(
      fc.jsonValue(),
      fc.record({
        containers: fc.jsonValue(),
        podCIDRs: fc.jsonValue(),
        taints: fc.jsonValue(),
        initContainers: fc.jsonValue(),
      }),
    ),
    status: fc.oneof(
      fc.jsonValue(),
      fc.record({ podIPs: fc.jsonValue(), addresses: fc.jsonValue(), phase: fc.jsonValue() }),
    ),
  },
  { requiredKeys: [] },
);

test('no object is so odd that it crashes a reader', () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), odd), (value) => {
      for (const trim of [trimNode, trimPod, trimNamespace, trimLease]) {
        const trimmed = trim(value);
        assert.ok('object' in trimmed || trimmed.problem.length > 0);
      }
      keyOf(value);
    }),
  );
});

test('of a pod: labels, addresses of both families, the named ports of containers and sidecars', () => {
  const ports = (name: string, containerPort: number, protocol?: string) => [
    { name, containerPort, protocol },
  ];
  const trimmed = trimPod({
    metadata: { ...metadata, labels: { app: 'web', constructor: 'x' }, managedFields: ['much'] },
    spec: {
      nodeName: 'node-1',
      containers: [
        {
          image: 'nginx',
          ports: [
            ...ports('http', 8080),
            { containerPort: 9 },
            ...ports('bad', 0),
            ...ports('odd', 1, 'ICMP'),
          ],
        },
      ],
      initContainers: [
        { ports: ports('init', 1) },
        { restartPolicy: 'Always', ports: ports('dns', 53, 'UDP') },
      ],
    },
    status: { phase: 'Running', podIP: '10.244.0.2', podIPs: [{ ip: '10.244.0.2' }, { ip: 'FD00::0:2' }] },
  });
  assert.ok('object' in trimmed);
  assert.deepEqual(trimmed.object, {
    namespace: 'shop',
    name: 'web-0',
    uid: 'u',
    resourceVersion: '7',
    labels: { app: 'web', constructor: 'x' },
    nodeName: 'node-1',
    podIPs: ['10.244.0.2', 'fd00::2'],
    hostNetwork: false,
    phase: 'Running',
    ports: [
      { name: 'http', port: 8080, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  });
  assert.match(trimmed.problem ?? '', /port \{"name":"bad".*left out.*port \{"name":"odd"/);
});

test('an unknown phase, a bad address and too many labels are said', () => {
  const pod = (status: unknown, labels = {}) => trimPod({ metadata: { ...metadata, labels }, status });
  const unknown = pod({ phase: 'Sleeping', podIP: '10.244.0.300' });
  assert.ok('object' in unknown);
  assert.equal(unknown.object.phase, 'Unknown');
  assert.deepEqual(unknown.object.podIPs, []);
  assert.match(
    unknown.problem ?? '',
    /"10\.244\.0\.300" is not an IP address.*status\.phase: "Sleeping" is none of Pending/,
  );
  const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`l${i}`, '']));
  assert.deepEqual(pod({}, many), { problem: 'metadata.labels: has 2000 labels; keep at most 1024' });
  const starting = pod({});
  assert.ok('object' in starting && starting.problem === undefined && starting.object.phase === 'Pending');
});

test('of a node: the addresses by which it is reached, its ranges, old style too, labels and taints', () => {
  const trimmed = trimNode({
    metadata: { ...metadata, namespace: undefined, labels: { zone: 'a' } },
    spec: {
      podCIDR: '10.244.1.0/24',
      taints: [
        { key: 'k', effect: 'NoExecute' },
        { key: 'k', effect: 'Never' },
      ],
    },
    status: {
      addresses: [
        { type: 'Hostname', address: 'web-0' },
        { type: 'InternalIP', address: '192.168.1.2' },
        { type: 'InternalIP', address: 'here' },
        { type: 'ExternalIP', address: '203.0.113.2' },
      ],
    },
  });
  assert.ok('object' in trimmed);
  assert.deepEqual(trimmed.object, {
    name: 'web-0',
    uid: 'u',
    resourceVersion: '7',
    createdAt: '2026-01-01T00:00:00Z',
    internalIps: ['192.168.1.2'],
    podCidrs: ['10.244.1.0/24'],
    labels: { zone: 'a' },
    taints: [{ key: 'k', value: '', effect: 'NoExecute' }],
    ips: ['192.168.1.2', '203.0.113.2'],
  });
  assert.match(
    trimmed.problem ?? '',
    /status\.addresses\[2\]: address: "here" is not an IP.*spec\.taints\[1\]: .*"Never"/,
  );
});
