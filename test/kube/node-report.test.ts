/** What a node tells the cluster of itself. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { createLogger } from '../../src/base/log/logger.ts';
import { type KubeNode, trimNode } from '../../src/cluster/kinds/node.ts';
import { freshProblems, reportNode } from '../../src/cluster/report/node-report.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { until } from '../until.ts';
import { FakeApi, nodeObject } from './fake-api.ts';

type Call = { method: string; path: string; type: string; body: Record<string, unknown> };

const TAINT = 'fairlead.io/network-not-ready';

function reply(response: ServerResponse, body: object): true {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  return true;
}

/** @param standing conditions that the node has. */
async function start(standing: readonly object[] = []) {
  const api = await FakeApi.start();
  const calls: Call[] = [];
  let refusals = 0;
  api.intercept = async (url, response, request) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    if (request.method === 'GET') return reply(response, { status: { conditions: standing } });
    if (refusals > 0) {
      refusals--;
      response.writeHead(500).end('{}');
      return true;
    }
    calls.push({
      method: request.method ?? '',
      path: url.pathname,
      type: request.headers['content-type'] ?? '',
      body: JSON.parse(text) as Record<string, unknown>,
    });
    return reply(response, {});
  };
  const taints = [
    { key: TAINT, effect: 'NoSchedule' },
    { key: 'other', effect: 'NoExecute' },
  ];
  const object = nodeObject('node-1', ['10.244.0.0/24'], {
    metadata: { uid: 'u1', resourceVersion: '7' },
    spec: { taints },
  });
  const trimmed = trimNode(object);
  assert.ok('object' in trimmed);
  let node: KubeNode | undefined = trimmed.object;
  const client = new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`) } as never);
  const reporter = reportNode({
    client,
    node: () => node,
    taint: () => TAINT,
    log: createLogger({ level: 'error', format: 'json' }, () => undefined),
  });
  return {
    api,
    calls,
    reporter,
    refuse: (count: number) => void (refusals = count),
    become: (next: KubeNode | undefined) => void (node = next),
    own: trimmed.object,
    [Symbol.dispose]: () => {
      reporter[Symbol.dispose]();
      client[Symbol.dispose]();
      api[Symbol.dispose]();
    },
  };
}

function conditionIn({ body }: Call): Record<string, string> {
  return (body['status'] as { conditions: Record<string, string>[] }).conditions[0]!;
}

test('a node that is up says so, and loses the taint of its start, and no other', async () => {
  using world = await start();
  const { calls, reporter } = world;
  reporter.report({ ready: true, message: 'pods of 10.244.0.0/24 are reached', problems: [] });
  await until('both were told', () => calls.length === 2);
  const [condition, taint] = calls as [Call, Call];
  assert.deepEqual(
    [condition.method, condition.path, condition.type],
    ['PATCH', '/api/v1/nodes/node-1/status', 'application/strategic-merge-patch+json'],
  );
  const { type, status, reason, message } = conditionIn(condition);
  assert.deepEqual(
    [type, status, reason, message],
    ['NetworkUnavailable', 'False', 'FairleadIsUp', 'pods of 10.244.0.0/24 are reached'],
  );
  assert.equal(taint.path, '/api/v1/nodes/node-1');
  assert.deepEqual(taint.body, {
    metadata: { uid: 'u1', resourceVersion: world.own.resourceVersion },
    spec: { taints: [{ key: 'other', value: '', effect: 'NoExecute' }] },
  });
});

test('what was told is not told again; a record that was made anew is told', async () => {
  using world = await start();
  const { calls, reporter, become, own } = world;
  const report = { ready: false, message: 'no range', problems: [] };
  reporter.report(report);
  await until('it was told', () => calls.length === 1);
  assert.equal(conditionIn(calls[0]!)['status'], 'True');
  reporter.report(report);
  become({ ...own, uid: 'u2' });
  reporter.report(report);
  await until('the new record was told', () => calls.length === 2);
  assert.deepEqual(
    calls.map(({ path }) => path),
    ['/api/v1/nodes/node-1/status', '/api/v1/nodes/node-1/status'],
  );
});

test('since when the network is up or not is kept over other reasons, and over the agent', async () => {
  const since = '2026-01-01T00:00:00Z';
  using world = await start([
    { type: 'Ready', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' },
    { type: 'NetworkUnavailable', status: 'True', lastTransitionTime: since },
  ]);
  const { calls, reporter } = world;
  const times: unknown[] = [];
  for (const [ready, message] of [
    [false, 'no range'],
    [false, 'no address'],
    [true, 'up'],
  ] as const) {
    reporter.report({ ready, message, problems: [] });
    await until(
      'it was told',
      () => calls.filter(({ path }) => path.endsWith('/status')).length > times.length,
    );
    times.push(conditionIn(calls.findLast(({ path }) => path.endsWith('/status'))!)['lastTransitionTime']);
  }
  assert.deepEqual(times.slice(0, 2), [since, since]);
  assert.notEqual(times[2], since);
});

test('every new problem is an Event of the node; an API that refuses is asked again', async () => {
  using world = await start();
  const { calls, reporter, refuse } = world;
  refuse(1);
  reporter.report({
    ready: true,
    message: 'x',
    problems: ['a route overlaps', 'a route overlaps', 'a peer is lost'],
  });
  await until('all was told', () => calls.filter(({ path }) => path.endsWith('/events')).length === 2);
  const events = calls.filter(({ path }) => path === '/api/v1/namespaces/default/events');
  assert.deepEqual(
    events.map(({ body }) => [
      body['message'],
      body['type'],
      (body['involvedObject'] as { name: string }).name,
    ]),
    [
      ['a route overlaps', 'Warning', 'node-1'],
      ['a peer is lost', 'Warning', 'node-1'],
    ],
  );
});

test('a problem is told once in its time, and again when it comes back', () => {
  const told = new Map<string, number>();
  const tell = (problems: string[], now: number) => {
    const fresh = freshProblems(problems, told, 1000, now);
    for (const problem of fresh) told.set(problem, now);
    return fresh;
  };
  assert.deepEqual(tell(['a'], 0), ['a']);
  assert.deepEqual(tell(['a', 'b'], 500), ['b']);
  assert.deepEqual(tell(['a'], 1000), ['a']);
  assert.deepEqual(tell([], 1100), []);
  assert.deepEqual(tell(['a'], 1200), ['a']);
});
