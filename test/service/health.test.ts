/** What load balancers are told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import {
  createServiceHealthPorts,
  type ListenHealth,
  listenHealth,
} from '../../src/agent/serve/service-health.ts';
import {
  answerHealthz,
  answerServiceHealth,
  type FamilyProgress,
  isEligible,
} from '../../src/plan/service/health.ts';
import type { PlannedService } from '../../src/plan/service/table.ts';

const NOW = new Date('2026-05-01T12:00:00Z');
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1000);
const family = (number: 4 | 6, queued?: number): FamilyProgress => ({
  family: number,
  lastUpdated: ago(100),
  ...(queued === undefined ? {} : { queuedSince: ago(queued) }),
});
const planned = (name: string, port: number, localEndpoints: number): PlannedService => ({
  name,
  clusterIps: [],
  ports: [],
  health: { port, localEndpoints },
  problems: [],
});

test('a change that waits for more than a minute makes the node unhealthy, in whichever family', () => {
  const rows: [FamilyProgress[], boolean, '/healthz' | '/livez', number][] = [
    [[family(4), family(6)], true, '/healthz', 200],
    [[family(4, 59), family(6)], true, '/healthz', 200],
    [[family(4), family(6, 61)], true, '/healthz', 503],
    [[family(4), family(6)], false, '/healthz', 503],
    [[family(4), family(6)], false, '/livez', 200],
    [[family(4, 61)], false, '/livez', 503],
  ];
  for (const [progress, nodeEligible, path, status] of rows)
    assert.equal(
      answerHealthz({ now: NOW, progress, nodeEligible }, path).status,
      status,
      `${path} ${JSON.stringify(progress)}`,
    );
});

test('the answer has the fields that are looked for; its time is now while all is well', () => {
  const body = (progress: FamilyProgress[]) =>
    JSON.parse(answerHealthz({ now: NOW, progress, nodeEligible: true }, '/healthz').body) as Record<
      string,
      unknown
    >;
  assert.deepEqual(body([family(4), family(6)]), {
    lastUpdated: '2026-05-01T12:00:00.000Z',
    currentTime: '2026-05-01T12:00:00.000Z',
    nodeEligible: true,
    healthy: true,
    status: {
      IPv4: { lastUpdated: '2026-05-01T11:58:20.000Z', healthy: true },
      IPv6: { lastUpdated: '2026-05-01T11:58:20.000Z', healthy: true },
    },
  });
  assert.equal(body([family(4, 61)])['lastUpdated'], '2026-05-01T11:58:20.000Z');
});

test('a node that will be deleted, is being deleted or is not known gets no new connections', () => {
  assert.equal(isEligible({ deleting: false, taints: [{ key: 'other' }] }), true);
  assert.equal(isEligible({ deleting: false, taints: [{ key: 'ToBeDeletedByClusterAutoscaler' }] }), false);
  assert.equal(isEligible({ deleting: true, taints: [] }), false);
  assert.equal(isEligible(undefined), false);
});

test('a service’s port says how many endpoints are here, as JSON and as a weight', () => {
  const answer = answerServiceHealth(planned('default/web', 31_000, 2), true);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['X-Load-Balancing-Endpoint-Weight'], '2');
  assert.equal(answer.headers['X-Content-Type-Options'], 'nosniff');
  assert.deepEqual(JSON.parse(answer.body), {
    service: { namespace: 'default', name: 'web' },
    localEndpoints: 2,
    serviceProxyHealthy: true,
  });
  assert.equal(answerServiceHealth(planned('default/web', 31_000, 0), true).status, 503);
  assert.equal(answerServiceHealth(planned('default/web', 31_000, 2), false).status, 503);
});

test('ports are opened, answer as things are, change hands and are closed; a taken one is named and tried again', async () => {
  const open = new Map<number, () => string>();
  const taken = new Set([31_001]);
  const listen: ListenHealth = (port, answer) => {
    assert.ok(!open.has(port));
    if (taken.has(port)) return Promise.reject(new Error('EADDRINUSE'));
    open.set(port, () => answer().body);
    return Promise.resolve({ close: () => Promise.resolve(void open.delete(port)) });
  };
  const ports = createServiceHealthPorts(listen, (service) => answerServiceHealth(service, true));
  const services = [planned('d/a', 31_000, 1), planned('d/b', 31_001, 1), planned('d/c', 31_000, 1)];
  assert.deepEqual(await ports.set(services), [
    { service: 'd/c', problem: 'healthCheckNodePort 31000 is service d/a’s already; give it another one' },
    { service: 'd/b', problem: 'healthCheckNodePort 31001 could not be opened: EADDRINUSE' },
  ]);
  assert.match(open.get(31_000)!(), /"localEndpoints":1/);
  taken.clear();
  assert.deepEqual(await ports.set([planned('d/a', 31_000, 5), planned('d/b', 31_001, 1)]), []);
  assert.match(open.get(31_000)!(), /"localEndpoints":5/);
  assert.deepEqual(await ports.set([planned('d/b', 31_000, 3)]), []);
  assert.deepEqual([...open.keys()], [31_000]);
  assert.match(open.get(31_000)!(), /"name":"b"/);
  await ports.close();
  assert.equal(open.size, 0);
});

test('a real port answers any path, and one that is taken is refused', async () => {
  const other = createServer().listen(0);
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const answer = () => answerServiceHealth(planned('d/a', port, 0), true);
  await assert.rejects(listenHealth(port, answer), /EADDRINUSE/);
  other.close();
  await once(other, 'close');
  const server = await listenHealth(port, answer);
  const response = await fetch(`http://127.0.0.1:${port}/any/path`);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('x-load-balancing-endpoint-weight'), '0');
  await server.close();
});
