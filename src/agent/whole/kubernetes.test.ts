/** A whole agent on a fake kernel, with the cluster that a Kubernetes API tells of: what it reads there, and what it says. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeApi, type FakeObject, nodeObject, reply } from '../../../test/kube/fake-api.ts';
import { until } from '../../../test/until.ts';
import { MACHINE_CLOCK } from '../../base/run/clock.ts';
import { ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import { openCluster } from '../cluster-source.ts';
import { createFakeNode, type FakeNode } from '../fake/fake-node.ts';

const NODES = '/api/v1/nodes';
const at = (address: string) => ({ addresses: [{ type: 'InternalIP', address }] });

/** An API, a node without an agent, and what the agent will have told of it. */
async function prepare(stack: DisposableStack, configuration: Readonly<Record<string, string>> = {}) {
  const api = stack.use(await FakeApi.start());
  const node = stack.use(
    createFakeNode({
      configuration: {
        cluster: '{ source: kubernetes, kubeconfig: kubeconfig }',
        resyncSeconds: '1',
        ...configuration,
      },
    }),
  );
  const kubeconfig = join(node.directory, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    `current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:${api.port}"}}]
`,
  );
  node.configure((text) => text.replace('kubeconfig: kubeconfig', `kubeconfig: ${kubeconfig}`));
  let condition = '';
  const isReport = /\/leases\/fairlead-agent-/;
  let mayReport = true;
  api.intercept = async ({ pathname }, response, request) => {
    if (isReport.test(pathname)) {
      const refusal = { kind: 'Status', message: 'leases is forbidden: User cannot patch resource' };
      reply(response, mayReport ? 200 : 403, mayReport ? {} : refusal);
      return true;
    }
    if (!pathname.endsWith('/status')) return false;
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const [told] = (JSON.parse(text) as { status: { conditions: Record<string, string>[] } }).status
      .conditions;
    condition = `${told!['status']} ${told!['reason']}: ${told!['message']}`;
    reply(response, 200, {});
    return true;
  };
  return {
    api,
    node,
    start: async () => {
      const { started } = node.begin((edges) => ({ ...edges, clock: MACHINE_CLOCK, openCluster }));
      const agent = await started;
      stack.defer(() => void agent.stop());
    },
    condition: () => condition,
    events: () =>
      [...api.objects]
        .filter(([path]) => path.includes('/events/'))
        .map(([, object]) => String(object['message']))
        .join('\n'),
    mayNotReport: () => {
      mayReport = false;
    },
  };
}

async function isReady(node: FakeNode): Promise<boolean> {
  return (await node.status()).readiness.ready;
}

test('an agent takes its nodes from Kubernetes, gives itself a range there, and goes on when the API is gone', async () => {
  using stack = new DisposableStack();
  const { api, node, start } = await prepare(stack);
  api.put(NODES, nodeObject('node-1'));
  api.put(NODES, nodeObject('node-2', ['10.244.0.0/24'], { status: at('192.168.1.3') }));
  const metadata = { creationTimestamp: '2026-02-02T00:00:00Z' };
  api.put(NODES, nodeObject('thief', ['10.244.0.0/25'], { metadata }));
  await start();
  let waited = '';
  await until('the agent has a range and takes pods', async () => {
    const { readiness } = await node.status();
    if (!readiness.ready) waited = `${waited}\n${readiness.reason}`;
    return readiness.ready;
  });
  assert.match(
    waited,
    /the cluster has not given this node a range yet; an agent that holds the lease kube-system/,
  );
  const { readiness, peers, problems } = await node.status();
  assert.deepEqual(readiness, {
    ready: true,
    view: { ranges: ['10.244.1.0/24'], nodeIps: ['192.168.1.2'], mtu: 1500 },
  });
  assert.deepEqual(
    peers.map(({ name, ranges }) => [name, ranges]),
    [
      ['node-2', ['10.244.0.0/24']],
      ['thief', []],
    ],
  );
  assert.match(
    problems.join('\n'),
    /node thief claims 10\.244\.0\.0\/25, which overlaps 10\.244\.0\.0\/24 of node node-2/,
  );
  const way = () =>
    node.foreign
      .routes({ protocol: ROUTE_PROTOCOL })
      .filter(({ destination }) => destination === '10.244.0.0/24')
      .map(({ gateway, linkIndex }) => [gateway, linkIndex]);
  assert.deepEqual(way(), [['192.168.1.3', 2]]);
  api[Symbol.dispose]();
  await until('the agent says that the API is gone', async () =>
    /objects of kind node are not up to date since .*ECONNREFUSED/.test(await node.problems()),
  );
  assert.equal(await isReady(node), true);
  assert.deepEqual(way(), [['192.168.1.3', 2]]);
});

test('without the right to tell how it is an agent says so once, and does its work', async () => {
  using stack = new DisposableStack();
  const { api, node, start, mayNotReport } = await prepare(stack);
  api.put(NODES, nodeObject('node-1', ['10.244.0.0/24']));
  mayNotReport();
  await start();
  const denied = async () =>
    (await node.status()).problems.filter((text) =>
      text.startsWith('the cluster is not told how this agent is'),
    );
  await until('it is said', async () => (await denied()).length > 0);
  const [problem, ...others] = await denied();
  assert.match(
    problem!,
    /PATCH .*\/leases\/fairlead-agent-node-1: 403 .*; give the account of the agent the rights/,
  );
  assert.deepEqual(others, []);
  await until('it takes pods', () => isReady(node));
  assert.equal(node.log.filter((line) => line.includes('the cluster is not told')).length, 1);
});

test('nodes as none should be: each is named, and the rest of the cluster goes on', async () => {
  using stack = new DisposableStack();
  const { api, node, start, condition } = await prepare(stack);
  api.put(NODES, nodeObject('node-1', ['10.244.0.0/24']));
  api.put(NODES, nodeObject('node-2', ['10.244.1.0/24'], { status: at('192.168.1.3') }));
  await start();
  const isUp = /^False FairleadIsUp: pods of 10\.244\.0\.0\/24 are reached/;
  await until('the condition says so', () => isUp.test(condition()));
  const many = Array.from({ length: 1000 }, (_, index) => `172.20.${index >> 8}.${index & 255}`);
  const nodes: [string, { addresses?: readonly string[]; range: string }, RegExp][] = [
    ['no-address', { addresses: [], range: '10.244.50.0/24' }, /no-address.* (has no|without).*address/],
    [
      'outside',
      { range: '10.9.0.0/24' },
      /node outside claims 10\.9\.0\.0\/24, which is outside the pod network 10\.244\.0\.0\/16/,
    ],
    ['everything', { range: '0.0.0.0/0' }, /node everything claims 0\.0\.0\.0\/0, which is outside/],
    [
      'thief',
      { range: '10.244.0.0/24' },
      /node thief claims 10\.244\.0\.0\/24, which overlaps 10\.244\.0\.0\/24 of node node-1, who joined first/,
    ],
    [
      'whale',
      { range: '10.244.0.0/16' },
      /node whale claims 10\.244\.0\.0\/16, which overlaps 10\.244\.0\.0\/24 of node node-1/,
    ],
    [
      'crowded',
      { addresses: many, range: '10.244.51.0/24' },
      /node crowded: status\.addresses: has 1000 items, of which 64 count/,
    ],
    [
      'broadcast',
      { addresses: ['192.168.1.255'], range: '10.244.52.0/24' },
      /pods of node broadcast are not reached: .*192\.168\.1\.255 is the broadcast address of 192\.168\.1\.0\/24/,
    ],
    [
      'loopback',
      { addresses: ['127.0.0.1'], range: '10.244.53.0/24' },
      /pods of node loopback are not reached: .*127\.0\.0\.1 is the loopback address/,
    ],
    [
      'renamed',
      { addresses: ['192.168.1.2'], range: '10.244.54.0/24' },
      /nodes node-1 and renamed have one internal address, 192\.168\.1\.2.*\n(.*\n)*.*renamed are not reached: .*is an address of this node itself/,
    ],
    [
      'twin',
      { addresses: ['192.168.1.3'], range: '10.244.55.0/24' },
      /nodes node-2 and twin have one internal address, 192\.168\.1\.3/,
    ],
  ];
  for (const [index, [name, { addresses = [`192.168.1.${100 + index}`], range }]] of nodes.entries())
    api.put(
      NODES,
      nodeObject(name, [range], {
        metadata: { creationTimestamp: '2026-02-02T00:00:00Z' },
        status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
      }),
    );
  for (const [name, , expected] of nodes)
    await until(`${name} is named: ${expected}`, async () => expected.test(await node.problems()));
  assert.equal(await isReady(node), true);
  assert.match(condition(), isUp, "a peer's record is not this node's fault");
  assert.ok(node.routes().includes('10.244.1.0/24'), 'the others are reached');
  for (const [name] of nodes) api.delete(NODES, name);
  await until('nothing is wrong any more', async () => (await node.problems()) === '');
});

test('a range where services have their addresses is refused: problem, condition, Event, metric and ADD say why', async () => {
  using stack = new DisposableStack();
  const { api, node, start, condition, events } = await prepare(stack);
  node.configure((text) => text.replace('cluster: {', 'cluster: { serviceNetwork: 10.244.1.0/25,'));
  const reason =
    /node node-\d claims 10\.244\.1\.0\/24, which overlaps 10\.244\.1\.0\/25, where services have their/;
  const peer: FakeObject = nodeObject('node-2', ['10.244.1.0/24'], { status: at('192.168.1.3') });
  api.put(NODES, nodeObject('node-1', ['10.244.0.0/24']));
  api.put(NODES, peer);
  await start();
  await until('the other node is named', async () => reason.test(await node.problems()));
  assert.equal(await isReady(node), true);
  await until('the condition says that it is up', () => condition().startsWith('False FairleadIsUp'));
  node.addPod('/run/netns/elsewhere');
  assert.equal((await node.ask('ADD', { container: 'elsewhere' })).exitCode, 0);
  assert.ok(!node.routes().includes('10.244.1.0/24'), 'nothing is routed there');
  // The same of the node itself.
  api.delete(NODES, 'node-2');
  api.delete(NODES, 'node-1');
  api.put(NODES, nodeObject('node-1', ['10.244.1.0/24']));
  await until('the agent says so', async () => !(await isReady(node)));
  await until('the condition says so', () => {
    const told = condition();
    return told.startsWith('True FairleadIsNotReady') && reason.test(told);
  });
  await until('an Event says so', () => reason.test(events()));
  const metrics = (await node.questions?.metrics('root')) ?? '';
  assert.match(metrics, /^fairlead_range_refusals\{cause="services"\} [1-9]$/m);
  assert.match(metrics, /^fairlead_ready 0$/m);
  node.addPod('/run/netns/refused');
  const { exitCode, stdout } = await node.ask('ADD', { container: 'refused' });
  assert.equal(exitCode, 1);
  assert.match(stdout, reason);
});
