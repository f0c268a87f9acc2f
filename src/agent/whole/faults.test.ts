/** Faults that lay between the parts of an agent, each as it was: the kernel, the API or the disk refuses, others interfere. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseIp } from '../../base/ip/ip.ts';
import { TABLE } from '../../datapath/nftables/node-table.ts';
import { POLICY_TABLE } from '../../datapath/nftables/policy/render.ts';
import { NetlinkError } from '../../edge/netlink/kernel.ts';
import type { TableName } from '../../edge/nftables/nft.ts';
import { formatTable } from '../../edge/nftables/transaction.ts';
import { addressOf, createFakeNode, type FakeNode, nodeRecord } from '../fake/fake-node.ts';

const PORTS = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];

function text({ nftables }: FakeNode, { family, name }: TableName): string {
  const table = nftables.tables.get(`${family} ${name}`);
  return table === undefined ? '' : formatTable(table);
}

function metadata(name: string, namespace?: string, labels: object = {}) {
  return { name, ...(namespace === undefined ? {} : { namespace }), uid: name, resourceVersion: '1', labels };
}

/** A policy that lets nothing in, for all pods of a namespace, and those pods. */
function isolate(namespace: string, ...pods: string[]) {
  return {
    namespaces: [{ metadata: metadata(namespace) }],
    pods: pods.map((name) => ({
      metadata: metadata(name, namespace),
      spec: { nodeName: 'node-1' },
      status: { phase: 'Running' },
    })),
    policies: [{ metadata: metadata('closed', namespace), spec: { podSelector: {}, ingress: [] } }],
  };
}

async function restart(node: FakeNode, agent: { stop: () => Promise<void> }) {
  await node.settled('the agent has stopped', agent.stop());
  return node.start();
}

for (const [what, refusal] of [
  ['settings that cannot be written', [/^sysctl\.write/, 'EROFS']],
  ['settings that cannot be read', [/^sysctl\.read/, 'ENOENT']],
  ['an interrupted dump of entries', [/^kernel\.readEntries/, 'EAGAIN']],
  ['an interrupted dump of addresses', [/^kernel\.addresses/, 'EAGAIN']],
  ['rules that cannot be read', [/^kernel\.rules/, 'ENOBUFS']],
] as const) {
  test(`${what}: an agent that starts knows all the same what is attached`, async () => {
    using node = createFakeNode();
    for (const pod of ['a', 'b', 'c']) node.addPod(`/run/netns/${pod}`);
    const [pattern, errno] = refusal;
    const refuse = () =>
      node.refuse((call) => (pattern.test(call) ? new NetlinkError(call, errno) : undefined));
    // What an agent has set once needs not be set again.
    if (errno === 'EROFS') refuse();
    const first = await node.start();
    for (const container of ['a', 'b']) addressOf(await node.call('ADD', { container }));
    await node.settled('the agent has stopped', first.stop());
    // A DEL that comes while no agent runs is kept.
    await node.call('DEL', { container: 'b' });
    refuse();
    await node.start();
    const { attachments, problems } = await node.status();
    assert.deepEqual(
      attachments.map(({ containerId }) => containerId),
      ['a'],
      'the kept DEL was done',
    );
    assert.deepEqual(node.kept(), []);
    assert.match(problems.join('\n'), new RegExp(errno));
    assert.equal(addressOf(await node.call('ADD', { container: 'c' })), '10.244.0.4/32');
    for (const container of ['a', 'c'])
      assert.equal((await node.call('DEL', { container })).exitCode, 0, container);
    node.refuse();
    await node.clock.until('nothing is wrong', async () => (await node.problems()) === '');
  });
}

test('a range that cannot be claimed: what is attached stays known, and no address is given', async () => {
  using node = createFakeNode();
  node.cluster.setNodes([nodeRecord(1, { podCidrs: [] })]);
  for (const pod of ['a', 'b']) node.addPod(`/run/netns/${pod}`);
  const first = await node.start();
  addressOf(await node.call('ADD', { container: 'a' }));
  const claimed = node.cluster.nodes;
  assert.equal(claimed[0]?.podCidrs.length, 1);
  await node.settled('the agent has stopped', first.stop());
  node.cluster.setNodes([nodeRecord(1, { podCidrs: [] })]);
  node.refuse((what) => (what === 'cluster.claimRanges' ? new Error('409 conflict') : undefined));
  await node.start();
  assert.match(await node.problems(), /no range could be claimed for this node: 409 conflict; it is tried/);
  assert.deepEqual(
    (await node.status()).attachments.map(({ containerId }) => containerId),
    ['a'],
  );
  assert.equal((await node.call('ADD', { container: 'b' })).exitCode, 1);
  assert.equal((await node.call('DEL', { container: 'a' })).exitCode, 0);
  assert.equal(node.foreign.links().length, 2);
  node.refuse();
  await node.clock.until('it has a range', async () => (await node.status()).readiness.ready);
});

test('a pod whose name takes more than the kernel keeps of an interface has its policies, and after a restart too', async () => {
  using node = createFakeNode({ hasPolicies: true });
  const [namespace, name] = ['n'.repeat(63), 'p'.repeat(55)];
  node.cluster.setObjects(isolate(namespace, name));
  node.addPod('/run/netns/a');
  const agent = await node.start();
  addressOf(await node.call('ADD', { container: 'a', pod: `${namespace}/${name}`, ports: PORTS }));
  assert.match(text(node, POLICY_TABLE), /10\.244\.0\.2 : jump/);
  node.nftables.others.remove(POLICY_TABLE);
  await restart(node, agent);
  await node.clock.until('they are in force again', () =>
    /10\.244\.0\.2 : jump/.test(text(node, POLICY_TABLE)),
  );
  assert.deepEqual((await node.status()).attachments[0]?.pod, { namespace, name });
});

test('an idle agent writes nothing and reads nothing, whatever others do in tables of theirs', async () => {
  using node = createFakeNode({ hasPolicies: true });
  node.cluster.setObjects(isolate('default', 'a'));
  node.addPod('/run/netns/a');
  await node.start();
  addressOf(await node.call('ADD', { container: 'a', pod: 'default/a', ports: PORTS }));
  // A table that is quiet for half a minute is listed once, to be compared with later.
  await node.clock.turn(31_000);
  const { nftables } = node;
  const { lastResync } = await node.status();
  const before = [nftables.generation, nftables.listings];
  await node.clock.turn(20_000);
  assert.deepEqual([nftables.generation, nftables.listings], before);
  assert.deepEqual((await node.status()).lastResync, lastResync);
  nftables.others.replace({ family: 'inet', name: 'theirs', sets: [], chains: [] });
  await node.clock.turn(10_000);
  assert.equal(nftables.generation, before[0]! + 1, 'theirs, and none of ours');
  const own = text(node, TABLE);
  nftables.others.remove(TABLE);
  await node.clock.until('ours is back', () => text(node, TABLE) === own);
  const healed = nftables.generation;
  await node.clock.turn(30_000);
  assert.equal(nftables.generation, healed);
});

test('a port that is opened while the table is being brought stays open', async () => {
  let pause: Promise<unknown> = Promise.resolve();
  using node = createFakeNode({ pause: () => pause.then(() => undefined) });
  node.addPod('/run/netns/a');
  await node.start();
  const slow = Promise.withResolvers<void>();
  pause = slow.promise;
  node.nftables.others.remove(TABLE);
  node.cluster.setNodes([nodeRecord(1), nodeRecord(2), nodeRecord(3)]);
  await node.clock.turn(2000);
  const added = node.ask('ADD', { container: 'a', ports: PORTS });
  await node.clock.turn(100);
  node.cluster.setNodes([nodeRecord(1), nodeRecord(2)]);
  await node.clock.turn(2000);
  slow.resolve();
  addressOf(await node.settled('the ADD is answered', added));
  await node.clock.turn(5000);
  assert.match(text(node, TABLE), /8080.*10\.244\.0\.2/);
});

test('a DEL while its ADD waits for policies: the ADD fails, and neither link nor port is left', async () => {
  const slow = Promise.withResolvers<void>();
  let pause: Promise<void> = Promise.resolve();
  using node = createFakeNode({ hasPolicies: true, pause: () => pause });
  node.cluster.setObjects(isolate('default', 'a'));
  node.addPod('/run/netns/a');
  await node.start();
  await node.clock.turn(1000);
  pause = slow.promise;
  const added = node.ask('ADD', { container: 'a', pod: 'default/a', ports: PORTS });
  await node.clock.turn(100);
  const deleted = node.ask('DEL', { container: 'a' });
  await node.clock.turn(100);
  slow.resolve();
  const { exitCode, stdout } = await node.settled('the ADD is answered', added);
  assert.equal(exitCode, 1, stdout);
  assert.match(stdout, /was deleted by a DEL while it was attached/);
  assert.equal((await node.settled('the DEL is answered', deleted)).exitCode, 0);
  await node.clock.turn(2000);
  assert.deepEqual([node.foreign.links().length, node.routes()], [2, ['10.244.1.0/24']]);
  assert.doesNotMatch(text(node, TABLE), /8080/);
  assert.doesNotMatch(text(node, POLICY_TABLE), /10\.244\.0\.2/);
});

test('what was enforced for a pod goes with it, and no resync is waited for', async () => {
  using node = createFakeNode({ hasPolicies: true, configuration: { resyncSeconds: '3600' } });
  node.cluster.setObjects(isolate('default', 'a'));
  node.addPod('/run/netns/a');
  await node.start();
  addressOf(await node.call('ADD', { container: 'a', pod: 'default/a' }));
  assert.match(text(node, POLICY_TABLE), /10\.244\.0\.2/);
  assert.equal((await node.call('DEL', { container: 'a' })).exitCode, 0);
  await node.clock.turn(3000);
  assert.equal(text(node, POLICY_TABLE), '');
});

test('a thousand callers at once are all answered', async () => {
  using node = createFakeNode();
  await node.start();
  const calls = Array.from({ length: 1000 }, (_, index) => {
    node.addPod(`/run/netns/c${index}`);
    return node.ask(index % 2 === 0 ? 'ADD' : 'DEL', { container: `c${index}` });
  });
  const replies = await node.settled('all are answered', Promise.all(calls));
  const yes = replies.filter(({ exitCode }) => exitCode === 0).length;
  assert.equal(yes, 500 + 253, 'all DELs, and as many ADDs as there are addresses');
  assert.deepEqual(node.kept(), []);
});

test('a state folder that is full when a namespace gets its first policy: named, tried again, and nothing starts open by the old record', async () => {
  using node = createFakeNode({ hasPolicies: true });
  const agent = await node.start();
  await node.clock.turn(1000);
  const record = join(node.stateDirectory, 'policies.json');
  assert.match(readFileSync(record, 'utf8'), /"namespaces":\[\]/);
  // A file in the place of the folder: nothing can be written, as where the disk is full.
  renameSync(node.stateDirectory, `${node.stateDirectory}.aside`);
  writeFileSync(node.stateDirectory, '');
  node.cluster.setObjects(isolate('default', 'a'));
  await node.clock.until('it is named', async () =>
    /policies\.json cannot be written: .*tried again/.test(await node.problems()),
  );
  rmSync(node.stateDirectory);
  renameSync(`${node.stateDirectory}.aside`, node.stateDirectory);
  await node.clock.until('it is written', () => readFileSync(record, 'utf8').includes('"default"'));
  assert.equal(await node.problems(), '');
  await node.settled('the agent has stopped', agent.stop());
  node.cluster.setAway(true);
  node.addPod('/run/netns/a');
  await node.start();
  const { exitCode, stdout } = await node.call('ADD', { container: 'a', pod: 'default/a' });
  assert.equal(exitCode, 1);
  assert.match(stdout, /which network policies select pods of namespace default is not known/);
});

test('an agent that is killed in the middle of an ADD leaves what the next one removes', async () => {
  for (let calls = 1; calls < 40; calls++) {
    using node = createFakeNode();
    node.addPod('/run/netns/a');
    const agent = await node.start();
    agent.life.kill(calls);
    const { exitCode } = await node.call('ADD', { container: 'a', ports: PORTS });
    agent.kill();
    await node.start();
    await node.clock.turn(3000);
    const { attachments } = await node.status();
    if (exitCode === 0) assert.equal(attachments.length, 1, `a yes after ${calls} calls`);
    assert.equal(node.foreign.links().length, 2 + attachments.length, `killed after ${calls} calls`);
    assert.equal((await node.call('DEL', { container: 'a' })).exitCode, 0);
    await node.clock.turn(3000);
    assert.deepEqual([node.foreign.links().length, node.routes()], [2, ['10.244.1.0/24']]);
  }
});

test("a peer's record that cannot be is named, and this node stays ready for its kubelet", async () => {
  using node = createFakeNode();
  await node.start();
  const two = parseIp('192.168.1.3');
  for (const [record, problem] of [
    [{ internalIps: [parseIp('192.168.1.255')] }, /node-3 are not reached: .*255 is the broadcast address/],
    [
      { internalIps: [parseIp('127.0.0.1')] },
      /node-3 are not reached: .*127\.0\.0\.1 is the loopback address/,
    ],
    [{ internalIps: [parseIp('192.168.1.2')] }, /node-1 and node-3 have one internal address/],
    [{ internalIps: [two] }, /nodes node-2 and node-3 have one internal address, 192\.168\.1\.3/],
    [{ internalIps: [] }, /node-3.* (has no|without).*address/],
  ] as const) {
    node.cluster.setNodes([nodeRecord(1), nodeRecord(2), nodeRecord(3, record)]);
    await node.clock.until(`it is named: ${problem}`, async () => problem.test(await node.problems()));
    assert.deepEqual(node.cluster.report?.ready, true, String(problem));
    assert.match(node.cluster.report?.message ?? '', /^pods of 10\.244\.0\.0\/24 are reached/);
    assert.ok(node.routes().includes('10.244.1.0/24'), 'the others are reached');
  }
  node.cluster.setNodes([nodeRecord(1), nodeRecord(2)]);
  await node.clock.until('nothing is wrong any more', async () => (await node.problems()) === '');
});

test('a DEL that the kernel refuses fails, and its pod stays attached until one succeeds', async () => {
  using node = createFakeNode();
  node.addPod('/run/netns/a');
  const agent = await node.start();
  addressOf(await node.call('ADD', { container: 'a' }));
  node.refuse((what) =>
    what.startsWith('kernel.apply link') ? new NetlinkError('change link', 'EPERM') : undefined,
  );
  const refused = await node.call('DEL', { container: 'a' });
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stdout, /stays attached: .*EPERM.*; delete it again/);
  await node.settled('the agent has stopped', agent.stop());
  node.refuse();
  await node.start();
  assert.deepEqual(
    (await node.status()).attachments.map(({ containerId }) => containerId),
    ['a'],
  );
  assert.equal((await node.call('DEL', { container: 'a' })).exitCode, 0);
  await node.clock.until('its interface is gone', () => node.foreign.links().length === 2);
});
