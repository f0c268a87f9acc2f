/** What a pod is told of packets that policies denied to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../src/base/ip/ip.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import { type Pod, trimPod } from '../../src/cluster/kinds/pod.ts';
import { type DenialTimes, reportDenials } from '../../src/cluster/report/denial-report.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import type { Denial } from '../../src/plan/flow/denial.ts';
import { until } from '../until.ts';
import { FakeApi } from './fake-api.ts';

type Event = {
  message: string;
  count: number;
  reason: string;
  type: string;
  involvedObject: { uid: string };
};
type Call = { method: string; path: string; body: Event };

function podObject(name: string): Pod {
  const trimmed = trimPod({
    metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: '1' },
    spec: {},
    status: {},
  });
  assert.ok('object' in trimmed);
  return trimmed.object;
}

const DENIAL: Denial = {
  time: '2026-01-01T00:00:00.000Z',
  source: parseIp('10.244.1.2'),
  destination: parseIp('10.244.0.2'),
  sourcePod: 'shop/client',
  destinationPod: 'shop/web',
  protocol: 'TCP',
  sourcePort: 40_000,
  port: 80,
  direction: 'ingress',
  policies: ['shop/closed'],
  because: 'pod shop/web is isolated for ingress by shop/closed, and none of their rules allows it',
};

/** @param refuse the status by which the API answers a request; undefined to take it. */
async function start(
  times: Partial<DenialTimes>,
  refuse: (call: Call) => number | undefined = () => undefined,
) {
  const api = await FakeApi.start();
  const calls: Call[] = [];
  api.intercept = async (url, response, request) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const call = { method: request.method ?? '', path: url.pathname, body: JSON.parse(text) as Event };
    const status = refuse(call);
    calls.push(call);
    response.writeHead(status ?? 200, { 'content-type': 'application/json' }).end('{}');
    return true;
  };
  const client = new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`) } as never);
  let wanted = true;
  const reporter = reportDenials({
    client,
    node: 'node-1',
    pods: () => [podObject('web'), podObject('client')],
    isWanted: () => wanted,
    log: createLogger({ level: 'error', format: 'json' }, () => undefined),
    times: { gather: 20, ...times },
  });
  return {
    calls,
    reporter,
    want: (value: boolean) => void (wanted = value),
    [Symbol.dispose]: () => {
      reporter[Symbol.dispose]();
      client[Symbol.dispose]();
      api[Symbol.dispose]();
    },
  };
}

test('what is denied within a moment is one Event of the pod, named by the policy', async () => {
  using world = await start({});
  const { calls, reporter } = world;
  for (let count = 0; count < 50; count++) reporter.tell(DENIAL);
  await until('it was told', () => calls.length > 0);
  const [{ method, path, body }] = calls as [Call];
  assert.deepEqual([method, path, calls.length], ['POST', '/api/v1/namespaces/shop/events', 1]);
  assert.deepEqual(
    [body.reason, body.type, body.count, body.involvedObject.uid],
    ['PolicyDenied', 'Warning', 50, 'uid-web'],
  );
  assert.equal(
    body.message,
    'denied TCP 80 shop/client (10.244.1.2) → shop/web (10.244.0.2): pod shop/web is isolated for ingress by shop/closed, and none of their rules allows it',
  );
});

test('what goes on is counted in the same Event, and not written more often than its time', async () => {
  using world = await start({ repeat: 200 });
  const { calls, reporter } = world;
  const timer = setInterval(() => reporter.tell(DENIAL), 1);
  await until('it was counted', () => calls.length === 3);
  clearInterval(timer);
  assert.deepEqual(
    calls.map(({ method }) => method),
    ['POST', 'PATCH', 'PATCH'],
  );
  assert.match(calls[1]!.path, /^\/api\/v1\/namespaces\/shop\/events\/web\.[0-9a-f]{16}$/);
  const counts = calls.map(({ body }) => body.count);
  assert.ok(counts[0]! < counts[1]! && counts[1]! < counts[2]!, String(counts));
});

test('an Event that the cluster forgot is made anew; a refusal is tried again, and keeps no other waiting', async () => {
  let refusals = 1;
  using world = await start({ repeat: 50 }, ({ method, body }) => {
    if (method === 'PATCH') return 404;
    return body.involvedObject.uid === 'uid-web' && refusals-- > 0 ? 403 : undefined;
  });
  const { calls, reporter } = world;
  reporter.tell(DENIAL);
  reporter.tell({ ...DENIAL, direction: 'egress', policies: ['shop/out'], staged: true });
  await until('both were told', () => calls.length === 3);
  assert.deepEqual(
    calls.map(({ body }) => [body.involvedObject.uid, body.reason, body.type]),
    [
      ['uid-web', 'PolicyDenied', 'Warning'],
      ['uid-client', 'PolicyWouldDeny', 'Normal'],
      ['uid-web', 'PolicyDenied', 'Warning'],
    ],
  );
  reporter.tell(DENIAL);
  await until('it is there again', () => calls.length === 5);
  assert.deepEqual(
    calls.slice(3).map(({ method }) => method),
    ['PATCH', 'POST'],
  );
  assert.equal(calls[4]!.body.count, 2);
});

test('nobody is told where nobody wants it, nor of what is no pod of the cluster', async () => {
  using world = await start({});
  const { calls, reporter, want } = world;
  want(false);
  reporter.tell(DENIAL);
  want(true);
  const { destinationPod: _, ...nobody } = DENIAL;
  reporter.tell(nobody);
  reporter.tell({ ...DENIAL, destinationPod: 'shop/gone' });
  reporter.tell({ ...DENIAL, policies: ['shop/last'] });
  await until('the last one was told', () => calls.length > 0);
  assert.equal(calls.length, 1);
});
