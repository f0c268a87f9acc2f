/** How an agent tells the cluster how it is: news once, signs of life, and an API that is odd, away or refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../src/base/log/logger.ts';
import { leaseOfAgent } from '../../src/cluster/report/agent-record.ts';
import type { AgentReport } from '../../src/cluster/report/agent-report.ts';
import { renewalSeconds, reportAgent, spreadMs } from '../../src/cluster/report/agent-reporter.ts';
import { readMembers } from '../../src/cluster/report/read-members.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { pause, until } from '../until.ts';
import { FakeApi, type FakeObject, nodeObject } from './fake-api.ts';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/fairlead/leases';

async function start(renewSeconds = 3600) {
  const api = await FakeApi.start();
  const writes: { method: string; path: string; report: AgentReport; renewTime: string }[] = [];
  let answer = 200;
  api.intercept = async (url, response, request) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const { metadata, spec } = JSON.parse(text) as {
      metadata: { annotations: Record<string, string> };
      spec: { renewTime: string };
    };
    const report = JSON.parse(metadata.annotations['fairlead.io/report']!) as AgentReport;
    writes.push({ method: request.method ?? '', path: url.pathname, report, renewTime: spec.renewTime });
    const missing = answer === 404 && request.method === 'POST';
    const body = { kind: 'Status', message: 'leases "fairlead-agent-node-1" is forbidden: no rights' };
    response
      .writeHead(missing ? 201 : answer, { 'content-type': 'application/json' })
      .end(JSON.stringify(body));
    return true;
  };
  const lines: string[] = [];
  const client = new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`) } as never);
  let report: AgentReport = {
    version: '1',
    ready: false,
    message: 'it starts',
    problems: [],
    ranges: [],
    pods: 0,
    paths: {},
    silent: { count: 0, peers: [] },
  };
  const reporter = reportAgent({
    client,
    namespace: 'fairlead',
    node: 'node-1',
    uid: () => 'u1',
    nodes: () => 2,
    report: () => report,
    log: createLogger({ level: 'info', format: 'text' }, (line) => lines.push(line)),
    times: { leastMs: 1, renewSeconds, retryMs: 10 },
  });
  return {
    api,
    writes,
    lines,
    reporter,
    answer: (status: number) => void (answer = status),
    become: (change: Partial<AgentReport>) => {
      report = { ...report, ...change };
      reporter.look();
    },
    [Symbol.dispose]: () => {
      reporter[Symbol.dispose]();
      client[Symbol.dispose]();
      api[Symbol.dispose]();
    },
  };
}

test('news are told once, with all that has changed; what is no news is not', async () => {
  using world = await start();
  const { writes, become } = world;
  become({ policies: 'a' });
  await until('the first is told', () => writes.length === 1);
  assert.deepEqual(
    [writes[0]!.method, writes[0]!.path, writes[0]!.report.policies],
    ['PATCH', `${LEASES}/fairlead-agent-node-1`, 'a'],
  );
  for (let pods = 1; pods <= 100; pods++) become({ pods, policies: 'a' });
  become({ policies: 'b' });
  become({ policies: 'c' });
  await until('it is told', () => writes.length === 2);
  assert.deepEqual([writes[1]!.report.policies, writes[1]!.report.pods], ['c', 100]);
  become({ pods: 5 });
  await pause(100);
  assert.equal(writes.length, 2);
});

test('a node whose clock is wrong is not silent for that: it takes the time of the API', async () => {
  using world = await start(0.05);
  const hourAgo = Date.now() - 3_600_000;
  const { intercept } = world.api;
  world.api.intercept = (url, response, request) => {
    response.setHeader('date', new Date(hourAgo).toUTCString());
    return intercept(url, response, request);
  };
  world.become({ ready: true });
  await until('the second is told', () => world.writes.length >= 2);
  assert.ok(Math.abs(Date.parse(world.writes.at(-1)!.renewTime) - hourAgo) < 120_000);
});

test('a record that is wiped is written anew by the next sign of life', async () => {
  using world = await start(0.05);
  const { writes, become, answer } = world;
  become({ ready: true });
  await until('it lives', () => writes.length >= 3);
  answer(404);
  await until('it is written', () => writes.some(({ method, path }) => method === 'POST' && path === LEASES));
  answer(200);
  assert.equal(world.reporter.problem, undefined);
});

test('without the right to it asks no more often than it would tell, says so once, and goes on', async () => {
  using world = await start(3600);
  const { writes, become, answer, lines, reporter } = world;
  answer(403);
  become({ ready: true });
  await until('it is a problem', () => reporter.problem !== undefined);
  assert.match(
    reporter.problem!,
    /^the cluster is not told how this agent is: PATCH .*: 403 leases .* forbidden: no rights; give the account of the agent the rights of Fairlead's role/,
  );
  for (let index = 0; index < 100; index++) become({ policies: String(index) });
  await pause(100);
  assert.equal(writes.length, 1);
  assert.equal(lines.filter((line) => line.includes('not told')).length, 1);
});

test('a right that is given later counts with the next sign of life', async () => {
  using world = await start(0.05);
  const { become, answer, lines, reporter } = world;
  answer(403);
  become({ ready: true });
  await until('it is a problem', () => reporter.problem !== undefined);
  answer(200);
  await until('it is none', () => reporter.problem === undefined);
  assert.equal(lines.filter((line) => line.includes('no longer a problem')).length, 1);
});

test('an API that fails is asked again; one that is away is no problem of the report', async () => {
  using world = await start(3600);
  const { api, writes, become, answer, reporter } = world;
  answer(500);
  become({ ready: true });
  await until('it failed', () => reporter.problem !== undefined);
  answer(200);
  await until('it is told', () => reporter.problem === undefined && writes.length >= 2);
  const before = writes.length;
  const { intercept } = api;
  api.intercept = (_, response) => {
    response.destroy();
    return true;
  };
  become({ ready: false });
  await until('it was tried', () =>
    world.lines.some((line) => line.includes('not told') && !line.includes('500')),
  );
  assert.equal(reporter.problem, undefined);
  api.intercept = intercept;
  await until('it is told after all', () => writes.length > before);
});

test('who is silent is judged by the clock of the API, not by that of whoever asks', async () => {
  using api = await FakeApi.start();
  using client = new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`) } as never);
  const hourAgo = Date.now() - 3_600_000;
  const report = { version: '1', ready: true } as AgentReport;
  api.put('/api/v1/nodes', nodeObject('node-1'));
  const life = { namespace: 'fairlead', node: 'node-1', uid: undefined, promisedSeconds: 30 };
  const whole = {
    ...report,
    message: '',
    problems: [],
    ranges: [],
    pods: 0,
    paths: {},
    silent: { count: 0, peers: [] },
  };
  const lease = leaseOfAgent(life, whole, new Date(hourAgo)) as FakeObject;
  api.put('/apis/coordination.k8s.io/v1/leases', lease);
  const agent = async () => (await readMembers(client)).nodes[0]?.agent;
  assert.equal(await agent(), 'silent');
  api.intercept = (_, response) => {
    response.setHeader('date', new Date(hourAgo + 5000).toUTCString());
    return false;
  };
  assert.equal(await agent(), 'alive');
});

test('five thousand nodes tell the same news in turns, and live at a bounded rate', () => {
  assert.equal(spreadMs(5000, 1), 50_000);
  assert.equal(spreadMs(2, 1), 20);
  assert.equal(renewalSeconds(5000, 10), 100);
  assert.equal(renewalSeconds(3, 10), 10);
});
