/** NetworkPolicy objects of the API, on real packets between pods of two nodes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientOf } from '../../lab/client.ts';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { addPod } from '../../lab/pods.ts';
import { probe } from '../../lab/prober.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { openConntrack } from '../../src/edge/conntrack/conntrack.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { reach } from '../agent/reach.ts';
import { until } from '../until.ts';
import { fairlead, startLab } from './fixture.ts';

const plan = await startLab({ nodes: 2, pods: 2, api: true });
const [node, other] = plan.nodes as [LabNode, LabNode];
const client = clientOf(plan);
const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const space = (name: string) => readPods(plan.options.name).find((pod) => pod.name === name)!.namespace;
const address = (name: string) => readPods(plan.options.name).find((pod) => pod.name === name)!.ips![0]!;

function policyOf(name: string, spec: object): object {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name }, spec };
}

async function create(name: string, spec: object): Promise<void> {
  await client.json({ method: 'POST', path: POLICIES, body: policyOf(name, spec) });
}

async function remove(name: string): Promise<void> {
  await client.json({ method: 'DELETE', path: `${POLICIES}/${name}` });
}

async function label(pod: string, labels: Record<string, string | null>): Promise<void> {
  await client.json({
    method: 'PATCH',
    path: `/api/v1/namespaces/default/pods/${pod}`,
    contentType: 'application/merge-patch+json',
    body: { metadata: { labels } },
  });
}

/** Whether a pod, or a node, reaches another pod. */
async function meets(from: string, to: string, protocol: 'tcp' | 'udp' = 'tcp'): Promise<boolean> {
  const source = plan.nodes.find(({ name }) => name === from)?.namespace ?? space(from);
  return (await reach(source, protocol, address(to), 8080)) !== undefined;
}

const becomes = (wanted: boolean, from: string, to: string) =>
  until(
    `${from} ${wanted ? 'reaches' : 'no longer reaches'} ${to}`,
    async () => (await meets(from, to)) === wanted,
  );

for (const name of ['pod-1', 'pod-2', 'pod-3', 'pod-4']) {
  await until(`${name} is an object`, () =>
    label(name, { app: name }).then(
      () => true,
      () => false,
    ),
  );
}

test('default deny, an exception by label, and what a node may always do', async () => {
  assert.equal(await meets('pod-3', 'pod-1'), true);
  await create('deny', { podSelector: { matchLabels: { app: 'pod-1' } }, policyTypes: ['Ingress'] });
  await becomes(false, 'pod-3', 'pod-1');
  assert.equal(await meets('pod-2', 'pod-1'), false, 'of the same node');
  assert.equal(await meets('pod-3', 'pod-1', 'udp'), false);
  assert.equal(await meets('pod-1', 'pod-3'), true, 'what it asks for is answered');
  assert.equal(await meets('pod-3', 'pod-2'), true, 'others are not meant');
  assert.equal(await meets('node-1', 'pod-1'), true, 'its own node always reaches it');
  await create('allow', {
    podSelector: { matchLabels: { app: 'pod-1' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { role: 'friend' } } }], ports: [{ port: 8080 }] }],
  });
  await label('pod-3', { role: 'friend' });
  await becomes(true, 'pod-3', 'pod-1');
  assert.equal(await meets('pod-4', 'pod-1'), false);
  assert.equal(await meets('pod-3', 'pod-1', 'udp'), false, 'TCP alone');
  await label('pod-3', { role: null });
  await becomes(false, 'pod-3', 'pod-1');
  await remove('deny');
  await remove('allow');
  await becomes(true, 'pod-4', 'pod-1');
});

test('egress to the own node follows the rules, and what the node asks for is answered', async () => {
  const toNode = async (ip: string, port = 8080) =>
    (await reach(space('pod-1'), 'tcp', ip, port)) !== undefined;
  const [own, another] = [String(node.address), String(other.address)];
  assert.deepEqual([await toNode(own), await toNode(another)], [true, true]);
  // A connection of the node's that was there before, over which the pod has yet to answer.
  const talk = await openTalk(node.namespace, address('pod-1'));
  assert.equal(await talk.says(), true);
  await create('inside', { podSelector: { matchLabels: { app: 'pod-1' } }, policyTypes: ['Egress'] });
  await until('the own node is closed', async () => !(await toNode(own)));
  assert.equal(await toNode(another), false);
  assert.equal(await meets('node-1', 'pod-1'), true);
  assert.equal(await talk.says(), true);
  talk.end();
  await create('out', {
    podSelector: { matchLabels: { app: 'pod-1' } },
    policyTypes: ['Egress'],
    egress: [{ to: [{ ipBlock: { cidr: `${own}/32` } }], ports: [{ port: 8080 }] }],
  });
  await until('the own node is open', () => toNode(own));
  assert.equal(await toNode(own, 8082), false);
  await remove('inside');
  await remove('out');
  await until('all is open', () => toNode(another));
});

test('why: the policy and the rule on each side, and the path', async () => {
  await create('deny', { podSelector: { matchLabels: { app: 'pod-1' } }, policyTypes: ['Ingress'] });
  await create('allow', {
    podSelector: { matchLabels: { app: 'pod-1' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'pod-2' } } }], ports: [{ port: 8080 }] }],
  });
  await becomes(false, 'pod-3', 'pod-1');
  const why = (...args: string[]) =>
    fairlead('why', ...args, '--socket', nodePaths(plan.options.name, node.name).apiSocket);
  const denied = await why('pod-3', 'default/pod-1', '--port', '8080');
  assert.equal(denied.status, 1);
  assert.match(
    denied.stdout,
    /^Denied: default\/pod-3 \(10\.244\.1\.2\) → default\/pod-1 \(10\.244\.0\.2\), TCP 8080/,
  );
  assert.match(denied.stdout, /egress {2}allowed {2}no policy isolates the source/);
  assert.match(
    denied.stdout,
    /ingress DENIED .*isolated for ingress by default\/(deny|allow), default\/(deny|allow), and none of their rules/,
  );
  assert.doesNotMatch(denied.stdout, /path/, 'its packets begin at another node');
  const allowed = await why('pod-2', 'pod-1', '--port', '8080');
  assert.equal(allowed.status, 0, allowed.stdout);
  // A path is told by the node on which packets begin: of those from pod-3 this one sees the end alone.
  assert.match(allowed.stdout, /path {4}on this node, by its interface fl/);
  assert.match(
    allowed.stdout,
    /ingress allowed {2}default\/allow ingress\[0\] allows it to pod default\/pod-1/,
  );
  assert.match(allowed.stdout, /path {4}on this node, by its interface fl/);
  assert.match(
    (await why('pod-1', 'pod-3', '--protocol', 'icmp')).stdout,
    /path {4}to node node-2: direct via 192\.168\.1\.3/,
  );
  assert.match(
    (await why('pod-9', 'pod-1', '--port', '1')).stderr,
    /there is no pod default\/pod-9; did you mean default\/pod-\d\?/,
  );
  assert.match((await why('pod-1', 'pod-2', '--port', '99999')).stderr, /port: 99999 is not a port/);
  await remove('deny');
  await remove('allow');
  await becomes(true, 'pod-3', 'pod-1');
});

test('egress, to a block of addresses without another', async () => {
  await create('out', {
    podSelector: { matchLabels: { app: 'pod-2' } },
    policyTypes: ['Egress'],
    egress: [{ to: [{ ipBlock: { cidr: '10.244.1.0/24', except: [`${address('pod-4')}/32`] } }] }],
  });
  await becomes(false, 'pod-2', 'pod-4');
  assert.equal(await meets('pod-2', 'pod-3'), true);
  assert.equal(await meets('pod-2', 'pod-1'), false);
  assert.equal(await meets('pod-4', 'pod-2'), true, 'ingress is another matter');
  await remove('out');
  await becomes(true, 'pod-2', 'pod-4');
});

test('a policy is in force for a pod before its ADD returns, also where the cluster has not told of it', async () => {
  await create('deny-all', { podSelector: {}, policyTypes: ['Ingress'] });
  await becomes(false, 'pod-3', 'pod-1');
  await addPod(plan, 'newcomer', node.name);
  assert.equal(await meets('pod-3', 'newcomer'), false, 'at once');
  await remove('deny-all');
  await becomes(true, 'pod-3', 'newcomer');
});

test('a restart of the agent never opens what is closed', async () => {
  await create('deny', { podSelector: { matchLabels: { app: 'pod-1' } }, policyTypes: ['Ingress'] });
  await becomes(false, 'pod-3', 'pod-1');
  let opened = 0;
  let asked = 0;
  const watch = { ended: false };
  const asking = (async () => {
    while (!watch.ended) {
      asked++;
      if (await meets('pod-3', 'pod-1', 'udp')) opened++;
    }
  })();
  for (let time = 0; time < 2; time++) {
    killAgent(node);
    startAgent(plan, node);
    await awaitAgent(plan, node);
  }
  watch.ended = true;
  await asking;
  assert.ok(asked > 0);
  assert.equal(opened, 0);
  await remove('deny');
  await becomes(true, 'pod-3', 'pod-1');
});

test('connections that a new policy forbids are cut, those that it allows go on', async () => {
  // Tracked from the start, as by an earlier policy.
  await create('base', { podSelector: { matchLabels: { app: 'pod-1' } }, ingress: [{}] });
  const status = () => askStatus(nodePaths(plan.options.name, node.name).apiSocket);
  await until('the pod is isolated', async () => (await status()).policy?.isolated === 1);
  const talk = (from: string) => openTalk(space(from), address('pod-1'));
  const [friend, foe] = [await talk('pod-3'), await talk('pod-4')];
  assert.deepEqual([await friend.says(), await foe.says()], [true, true]);
  await create('only', {
    podSelector: { matchLabels: { app: 'pod-1' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'pod-3' } } }] }],
  });
  await remove('base');
  await until('one was cut', async () => ((await status()).policy?.connectionsCut ?? 0) > 0);
  assert.deepEqual([await friend.says(), await foe.says()], [true, false]);
  friend.end();
  foe.end();
  await remove('only');
  await until('no pod is isolated', async () => (await status()).policy?.isolated === 0);
});

test('a ping that a new policy forbids is cut too', async () => {
  await create('base', { podSelector: { matchLabels: { app: 'pod-1' } }, ingress: [{}] });
  const status = () => askStatus(nodePaths(plan.options.name, node.name).apiSocket);
  await until('the pod is isolated', async () => (await status()).policy?.isolated === 1);
  const ping = {
    id: 0,
    protocol: 'icmp',
    address: address('pod-1'),
    port: 0,
    size: 56,
    timeoutMs: 1000,
  } as const;
  const [answer] = await probe(space('pod-3'), [ping]);
  assert.equal(answer?.ok, true);
  using inside = NetworkNamespace.open(namespacePath(node.namespace));
  using conntrack = openConntrack(inside);
  const tracked = async () =>
    (await Array.fromAsync(conntrack.walk()))
      .flat()
      .some(
        ({ protocol, source, target }) =>
          protocol === 'other' && source === address('pod-3') && target === address('pod-1'),
      );
  assert.equal(await tracked(), true);
  const before = (await status()).policy?.connectionsCut ?? 0;
  await create('deny', { podSelector: { matchLabels: { app: 'pod-1' } }, policyTypes: ['Ingress'] });
  await remove('base');
  await until('it was cut', async () => ((await status()).policy?.connectionsCut ?? 0) > before);
  assert.equal(await tracked(), false);
  await remove('deny');
});

test('the last policy takes the table along', async () => {
  await create('good', { podSelector: { matchLabels: { app: 'pod-2' } }, policyTypes: ['Ingress'] });
  await becomes(false, 'pod-3', 'pod-2');
  assert.equal(await meets('pod-3', 'pod-1'), true);
  await remove('good');
  await becomes(true, 'pod-3', 'pod-2');
  const table = await run('nsenter', [`--net=${namespacePath(other.namespace)}`, 'nft', 'list', 'tables']);
  assert.doesNotMatch(table, /fairlead-policy/, 'without a policy there is no table');
});

/** One TCP connection that stays open, and whether bytes on it still arrive: the other end counts a stream. */
async function openTalk(namespace: string, to: string) {
  const { spawn } = await import('node:child_process');
  const script = `
    const socket = require('node:net').connect(8081, '${to}', () => console.log('open'));
    socket.on('error', () => undefined);
    process.stdin.on('data', () => {
      const before = socket.bytesWritten;
      socket.write('x'.repeat(1000));
      setTimeout(() => {
        const unsent = require('node:child_process').execFileSync('ss', ['-tnH', 'dst', '${to}']).toString();
        console.log(/ESTAB\\s+\\d+\\s+0\\s/.test(unsent) ? 'through' : 'stuck');
      }, 600);
    });`;
  const child = spawn(
    'nsenter',
    [`--net=${namespacePath(namespace)}`, '--', process.execPath, '-e', script],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await until('the connection is open', () => output.includes('open'));
  return {
    says: async () => {
      output = '';
      child.stdin.write('\n');
      await until('it knows', () => /through|stuck/.test(output));
      return output.includes('through');
    },
    end: () => void child.kill(),
  };
}
