/** What the planner names, counts and remembers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../src/base/ip/ip.ts';
import { mayMakeStale, staleFlows } from '../../src/plan/service/stale.ts';
import { cluster, service, slice, tell } from './cluster.ts';

const POD = 'pod 10.244.1.3 >';

test('a service that claims a pod’s or a node’s address is named, and the rest is served', () => {
  const taken = { podIps: new Set([parseIp('10.244.1.2')]), nodeIps: new Set([parseIp('192.168.1.2')]) };
  const { table, decide } = cluster(
    [
      service('a', { clusterIP: '10.244.1.2' }),
      service('b', { clusterIP: '192.168.1.2' }),
      service('c', {
        clusterIP: '172.30.0.3',
        externalIPs: ['10.244.1.2', '192.168.1.2', '127.0.0.1', '203.0.113.1'],
      }),
    ],
    [slice('a', ['10.244.2.2']), slice('b', ['10.244.2.2']), slice('c', ['10.244.2.2'])],
    { taken },
  );
  assert.deepEqual(
    table.problems.map(({ service: name, problem }) => `${name}: ${problem}`),
    [
      'default/a: its address 10.244.1.2 is a pod’s; it is not served there',
      'default/b: its address 192.168.1.2 is a node’s; it is not served there',
      'default/c: the address 10.244.1.2 that it claims is a pod’s; it is not served there',
      'default/c: the address 127.0.0.1 that it claims is no address of one host; it is not served there',
    ],
  );
  assert.equal(tell(decide(`${POD} 10.244.1.2:80`)), 'not a service');
  // As load balancers without addresses of their own do.
  assert.equal(tell(decide(`${POD} 192.168.1.2:80`)), '10.244.2.2:8080 masqueraded');
  assert.equal(tell(decide(`${POD} 203.0.113.1:80`)), '10.244.2.2:8080 masqueraded');
});

test('of two services with one address the older one has it, whatever their order; so with ports of the node', () => {
  const older = service('z', {
    type: 'NodePort',
    clusterIP: '172.30.0.1',
    ports: [{ name: 'p', port: 80, nodePort: 30_080 }],
    externalIPs: ['203.0.113.1'],
  });
  older.metadata.creationTimestamp = '2026-01-01T00:00:00Z';
  const younger = service('a', {
    type: 'NodePort',
    clusterIP: '172.30.0.2',
    ports: [{ name: 'p', port: 80, nodePort: 30_080 }],
    externalIPs: ['203.0.113.1'],
  });
  younger.metadata.creationTimestamp = '2026-02-01T00:00:00Z';
  for (const services of [
    [older, younger],
    [younger, older],
  ]) {
    const { table, decide } = cluster(services, [slice('z', ['10.244.2.2']), slice('a', ['10.244.2.3'])]);
    assert.deepEqual(table.problems, [
      {
        service: 'default/a',
        problem: '203.0.113.1 port 80/TCP is service default/z’s already; it is not served there',
      },
      {
        service: 'default/a',
        problem: 'node port 30080/TCP is service default/z’s already; it is not served there',
      },
    ]);
    for (const target of ['203.0.113.1:80', '192.168.1.2:30080'])
      assert.match(tell(decide(`${POD} ${target}`)), /^10\.244\.2\.2/);
    assert.match(tell(decide(`${POD} 172.30.0.2:80`)), /^10\.244\.2\.3/);
  }
});

test('an endpoint that is a service’s address, or none that could be reached, is named and left out', () => {
  const { table, decide } = cluster(
    [service('a', { clusterIP: '172.30.0.1' }), service('b', { clusterIP: '172.30.0.2' })],
    [slice('a', ['172.30.0.2', '127.0.0.1', '172.30.0.1', '10.244.2.2'])],
  );
  assert.equal(tell(decide(`${POD} 172.30.0.1:80`)), '10.244.2.2:8080');
  assert.deepEqual(
    table.problems.map(({ problem }) => problem),
    [
      'endpoint 127.0.0.1 is no address that another node could reach; it is left out',
      'endpoint 172.30.0.1 is the service’s own address; it is left out',
      'endpoint 172.30.0.2 is an address of service default/b; it is left out',
    ],
  );
});

test('the health port counts distinct addresses here that are ready, of both families, and none that end', () => {
  const spec = {
    type: 'LoadBalancer',
    clusterIP: '172.30.0.1',
    clusterIPs: ['172.30.0.1', 'fd00:10:96::1'],
    ipFamilies: ['IPv4', 'IPv6'],
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 31_000,
  };
  const count = (...slices: string[][]) =>
    cluster(
      [service('s', spec)],
      slices.map((each) => slice('s', each)),
    ).table.services[0]?.health;
  assert.deepEqual(count(), { port: 31_000, localEndpoints: 0 });
  assert.deepEqual(
    count(['10.244.1.2@node-1', '10.244.2.2@node-2'], ['10.244.1.2@node-1', '10.244.1.3@node-1']),
    { port: 31_000, localEndpoints: 2 },
  );
  assert.deepEqual(count(['10.244.1.2@node-1 ending']), { port: 31_000, localEndpoints: 0 });
  assert.deepEqual(count(['10.244.1.2@node-1'], ['fd00:10:244:1::2@node-1']), {
    port: 31_000,
    localEndpoints: 2,
  });
});

test('UDP flows to what serves no more are stale: by each kind of address, at zero endpoints, and of deleted services', () => {
  const spec = {
    type: 'LoadBalancer',
    clusterIP: '172.30.0.53',
    ports: [
      { name: 'p', port: 53, protocol: 'UDP', nodePort: 30_053 },
      { name: 't', port: 53 },
    ],
    externalIPs: ['203.0.113.1'],
    // Neither policies nor topology make a flow stale.
    internalTrafficPolicy: 'Local',
    externalTrafficPolicy: 'Local',
  };
  const ports = [
    { name: 'p', protocol: 'UDP', port: 8053 },
    { name: 't', port: 8053 },
  ];
  const status = { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } };
  const of = (...endpoints: string[]) =>
    cluster([service('dns', spec, status)], [slice('dns', endpoints, ports)]).table;
  const targets = ['172.30.0.53:53', '203.0.113.1:53', '1.2.3.4:53', '192.168.1.2:30053'];
  const flows = ['10.244.2.2:8053', '10.244.2.3:8053', '10.244.2.2:9999'].flatMap((answers) =>
    targets.map((asked) => flow('udp', asked, answers)),
  );
  const others = [
    flow('tcp', '172.30.0.53:53', '10.9.9.9:8053'),
    flow('sctp', '172.30.0.53:53', '10.9.9.9:8053'),
    flow('udp', '8.8.8.8:53', '8.8.8.8:53'),
    flow('udp', '192.168.1.2:68', '192.168.1.2:68'),
    flow('udp', '192.168.1.9:30053', '10.9.9.9:1'),
  ];
  const stale = (now: ReturnType<typeof of>, before?: ReturnType<typeof of>) =>
    staleFlows(now, before, [...flows, ...others]);
  const two = of('10.244.2.2@node-2', '10.244.2.3@node-2 ending zone-b');
  assert.deepEqual(stale(two), flows.slice(8));
  assert.deepEqual(stale(of('10.244.2.2@node-2 !ready !serving', '10.244.2.3@node-2')), [
    ...flows.slice(0, 4),
    ...flows.slice(8),
  ]);
  assert.deepEqual(stale(of()), flows);
  const none = cluster([], []).table;
  assert.deepEqual(stale(none, two), flows);
  // Without a memory of it, an address of the range is known to be a service's.
  assert.deepEqual(
    stale(none),
    flows.filter(({ destination }) => destination === '172.30.0.53'),
  );
});

test('the table of connections is read only where a UDP service’s serving endpoints have changed', () => {
  const port = (protocol: string, ...endpoints: string[]) =>
    cluster(
      [service('s', { clusterIP: '172.30.0.1', ports: [{ name: 'p', port: 53, protocol }] })],
      [slice('s', endpoints, [{ name: 'p', protocol, port: 53 }])],
    ).table.services[0]?.ports[0];
  assert.equal(mayMakeStale(port('UDP', '10.0.0.1'), port('UDP', '10.0.0.1 zone-a')), false);
  assert.equal(mayMakeStale(port('UDP', '10.0.0.1'), port('UDP', '10.0.0.1', '10.0.0.2')), true);
  assert.equal(mayMakeStale(port('UDP', '10.0.0.1'), port('UDP')), true);
  assert.equal(mayMakeStale(port('UDP', '10.0.0.1'), undefined), true);
  assert.equal(mayMakeStale(port('TCP', '10.0.0.1'), undefined), false);
});

function flow(protocol: string, asked: string, answers: string) {
  const [destination = '', destinationPort] = asked.split(':');
  const [target = '', targetPort] = answers.split(':');
  return {
    protocol,
    destination: parseIp(destination),
    destinationPort: Number(destinationPort),
    target: parseIp(target),
    targetPort: Number(targetPort),
  };
}
