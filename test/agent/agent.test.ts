import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deleteNamespaces, namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, nodeRecord, startAgent, writeConfiguration } from '../../lab/nodes.ts';
import { addPod, deletePod, networkConfiguration } from '../../lab/pods.ts';
import { FAIRLEAD } from '../../lab/processes.ts';
import { callPlugin } from '../../lab/runtime.ts';
import { clusterDirectory, nodePaths, readPods } from '../../lab/state.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { ask } from '../../lab/verify/ask.ts';
import { everyWay, type PodHost, viewLab } from '../../lab/verify/view.ts';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { ipFamily } from '../../src/base/ip/ip.ts';
import { openDirectoryStore, removeNode, writeNode } from '../../src/cluster/directory-store.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { faultsOf, startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';

function inNode(node: LabNode, ...command: string[]): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
}

function statusOf(plan: LabPlan, node: LabNode) {
  return askStatus(nodePaths(plan.options.name, node.name).apiSocket);
}

/** Whether pods of different nodes meet, by every protocol. */
async function podsMeet(plan: LabPlan): Promise<boolean> {
  const { pods } = viewLab(plan);
  const questions = pods.flatMap((from) =>
    pods.filter((to) => to.node !== from.node).flatMap((to) => everyWay(from, to)),
  );
  return (await ask(questions)).every(({ ok }) => ok);
}

test('an agent that is killed and started again knows every pod, its address and its interface', async () => {
  const plan = await startLab({ pods: 3 });
  const node = plan.nodes[0]!;
  const before = (await statusOf(plan, node)).attachments;
  assert.equal(before.length, 3);
  killAgent(node);
  assert.equal(await podsMeet(plan), true, 'pods go on without an agent');
  startAgent(plan, node);
  const { attachments } = await awaitAgent(plan, node);
  assert.deepEqual(
    new Set(attachments.map((a) => JSON.stringify(a))),
    new Set(before.map((a) => JSON.stringify(a))),
  );
  const next = await addPod(plan, 'next', node.name);
  assert.deepEqual(next.ips, ['10.244.0.5'], 'the round goes on behind the newest pod');
});

test('whatever is destroyed behind its back is put right, and foreign things stay', async () => {
  const plan = await startLab({ nodes: 2, subnets: 2, pods: 1 });
  const node = plan.nodes[0]!;
  await inNode(node, 'ip', 'route', 'add', '10.99.0.0/16', 'dev', 'lo');
  const pod = (await statusOf(plan, node)).attachments[0]!.interface;
  // While the device is gone there is nothing to show of it: that is a difference too.
  const show = (...command: string[]) => inNode(node, ...command).catch(() => 'nothing');
  const snapshot = async () =>
    [
      await show('ip', 'route', 'show', 'table', 'all', 'proto', '70'),
      await show('ip', 'rule', 'show', 'priority', '7010'),
      await show('bridge', 'fdb', 'show', 'dev', 'fl-vxlan'),
      await show('ip', '-br', 'link', 'show', 'fl-vxlan'),
      await show('ip', 'neigh', 'show', 'nud', 'permanent'),
      await show('nft', '--stateless', 'list', 'table', 'inet', 'fairlead'),
      await show('cat', '/proc/sys/net/ipv4/ip_forward'),
    ]
      .map((part) => part.split('\n').toSorted().join('\n'))
      .join('\n');
  const before = await snapshot();
  const damages: string[][] = [
    ['ip', 'route', 'del', '10.244.1.0/24'],
    ['ip', 'route', 'del', '10.244.0.2/32'],
    ['ip', 'link', 'del', 'fl-vxlan'],
    ['ip', 'link', 'set', 'fl-vxlan', 'down'],
    ['ip', 'link', 'set', 'fl-vxlan', 'mtu', '1200'],
    ['ip', 'link', 'set', 'fl-vxlan', 'address', '02:00:00:00:00:99'],
    ['ip', 'rule', 'del', 'priority', '7010'],
    ['ip', 'neigh', 'flush', 'dev', 'fl-vxlan', 'nud', 'permanent'],
    ['ip', 'neigh', 'flush', 'dev', pod, 'nud', 'permanent'],
    ['ip', 'route', 'add', '10.244.77.0/24', 'dev', 'lo', 'proto', '70', 'metric', '70'],
    ['nft', 'delete', 'table', 'inet', 'fairlead'],
    ['nft', 'flush', 'chain', 'inet', 'fairlead', 'outside'],
    ['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward'],
  ];
  for (const damage of damages) {
    await inNode(node, ...damage);
    await until(`${damage.join(' ')} is mended`, async () => (await snapshot()) === before);
  }
  assert.match(await inNode(node, 'ip', 'route', 'show', '10.99.0.0/16'), /10\.99\.0\.0\/16 dev lo/);
  assert.equal(await podsMeet(plan), true);
  assert.match(
    readFileSync(nodePaths(plan.options.name, node.name).log, 'utf8'),
    /setting of the node was not as it must be/,
  );
});

test('a node that left while the agent was down is gone after its start', async () => {
  const plan = await startLab({ nodes: 3, pods: 1 });
  const [node, , gone] = plan.nodes as [LabNode, LabNode, LabNode];
  killAgent(node);
  removeNode(clusterDirectory(plan.options.name), {
    name: gone.name,
    uid: `${plan.options.name}-${gone.name}`,
  });
  startAgent(plan, node);
  await until(
    'the route of the node that left is gone',
    async () => !(await inNode(node, 'ip', 'route')).includes('10.244.2.0/24 via'),
  );
  assert.match(await inNode(node, 'ip', 'route'), /10\.244\.1\.0\/24 via/);
});

test('two nodes that claim one range: the second claim is refused on both, by name, and the rest goes on', async () => {
  const plan = await startLab({ nodes: 3, pods: 1 });
  const [first, second, third] = plan.nodes as [LabNode, LabNode, LabNode];
  const directory = clusterDirectory(plan.options.name);
  using store = disposable(openDirectoryStore(directory));
  const record = store.opened.state.nodes.find(({ name }) => name === second.name)!;
  writeNode(directory, { ...record, podCidrs: [parseCidr('10.244.0.0/24')] });
  for (const node of plan.nodes) {
    await until(`${node.name} names both`, async () =>
      (await statusOf(plan, node)).problems.some((problem) =>
        /node node-2 claims 10\.244\.0\.0\/24, which overlaps 10\.244\.0\.0\/24 of node node-1/.test(problem),
      ),
    );
  }
  const refused = await callPlugin({
    command: 'STATUS',
    configuration: networkConfiguration(plan, second.name),
  });
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stdout, /"code":5[01],.*node-1.*give node node-2 another range/);
  await assert.rejects(addPod(plan, 'late', second.name), /node-2 claims/);
  assert.ok((await addPod(plan, 'fine', first.name)).ips);
  const { pods } = viewLab(plan);
  const served = pods.filter(({ node }) => node !== second.name);
  assert.ok(
    (await ask(served.flatMap((a) => served.filter((b) => b !== a).flatMap((b) => everyWay(a, b))))).every(
      ({ ok }) => ok,
    ),
  );
  assert.match(await inNode(third, 'ip', 'route', 'get', '10.244.0.2'), new RegExp(`via ${first.address}`));
  writeNode(directory, record);
  await until(
    'the claim is withdrawn and all is well',
    async () => (await statusOf(plan, second)).problems.length === 0,
  );
  assert.deepEqual(await faultsOf(plan), []);
});

test('the backend changes live, and running pods go on', async () => {
  const plan = await startLab({ backend: 'vxlan', pods: 1 });
  for (const backend of ['host-gw', 'auto', 'vxlan']) {
    for (const node of plan.nodes) writeConfiguration(plan, node, backend);
    const mode = backend === 'vxlan' ? 'vxlan' : 'direct';
    for (const node of plan.nodes) {
      await until(`${node.name} uses ${backend}`, async () =>
        (await statusOf(plan, node)).peers.every(({ paths }) =>
          paths.every(({ path }) => path.mode === mode),
        ),
      );
    }
    assert.equal(await podsMeet(plan), true, backend);
    const tunnels = await inNode(plan.nodes[0]!, 'ip', '-br', 'link', 'show', 'type', 'vxlan');
    assert.equal(tunnels.includes('fl-vxlan'), mode === 'vxlan', 'a backend that is off leaves nothing');
  }
});

test('nodes that have IPv4 addresses alone carry IPv6 pods through a tunnel over IPv4', async () => {
  const plan = await startLab({ nodes: 2, pods: 1, family: 'dual' });
  const records = plan.nodes.map((node) => nodeRecord(plan, node));
  for (const record of records) {
    writeNode(clusterDirectory(plan.options.name), {
      ...record,
      internalIps: record.internalIps.filter((ip) => ipFamily(ip) === 4),
    });
  }
  for (const node of plan.nodes) {
    await until(`${node.name} tunnels IPv6 over IPv4`, async () =>
      (await statusOf(plan, node)).peers[0]!.paths.some(
        ({ family, path }) => family === 6 && path.mode === 'vxlan' && path.over === 4,
      ),
    );
  }
  const [one, two] = viewLab(plan, 6).pods as [PodHost, PodHost];
  assert.deepEqual(
    (await ask([...everyWay(one, two), ...everyWay(two, one)])).filter(({ ok }) => !ok),
    [],
  );
});

test('a resync of a node that is as it shall be changes nothing', async () => {
  const plan = await startLab({ nodes: 3, subnets: 2, pods: 1, family: 'dual' });
  const node = plan.nodes[0]!;
  const before = (await statusOf(plan, node)).lastResync!.at;
  await inNode(node, 'ip', 'route', 'add', '10.99.0.0/16', 'dev', 'lo');
  await until('there was a resync since', async () => (await statusOf(plan, node)).lastResync!.at !== before);
  assert.equal((await statusOf(plan, node)).lastResync!.operations, 0);
});

test('a pod sends from its own addresses alone', async () => {
  const plan = await startLab({ nodes: 1, pods: 2, family: 'dual' });
  for (const family of [4, 6] as const) {
    const [from, to] = viewLab(plan, family).pods as [PodHost, PodHost];
    const inPod = (...command: string[]) =>
      run('nsenter', [`--net=${namespacePath(from.namespace)}`, '--', ...command]);
    const [own, stolen] =
      family === 4 ? ['10.244.0.2', '10.244.0.99'] : ['fd00:10:244::2', 'fd00:10:244::99'];
    assert.equal(
      (await ask(everyWay(from, to, own))).every(({ ok }) => ok),
      true,
    );
    await inPod('ip', 'addr', 'add', stolen, 'dev', 'eth0', ...(family === 6 ? ['nodad'] : []));
    await inPod(
      'ip',
      'route',
      'replace',
      'default',
      'via',
      family === 4 ? '10.244.0.1' : 'fd00:10:244::1',
      'dev',
      'eth0',
      'src',
      stolen,
    );
    const rule = `${family === 4 ? 'ip' : 'ip6'} saddr ${stolen} counter`;
    const inOther = (...command: string[]) =>
      run('nsenter', [`--net=${namespacePath(to.namespace)}`, '--', ...command]);
    await inOther(
      'nft',
      `add table inet seen${family}; add chain inet seen${family} in { type filter hook prerouting priority 0; }; add rule inet seen${family} in ${rule}`,
    );
    await ask([{ from, to, protocol: 'udp', timeoutMs: 300 }]);
    assert.match(await inOther('nft', 'list', 'table', 'inet', `seen${family}`), /counter packets 0 /);
  }
});

test('a second part of the pod network is added while the cluster runs', async () => {
  const plan = await startLab({ nodes: 2, pods: 1 });
  const [node, other] = plan.nodes as [LabNode, LabNode];
  const record = nodeRecord(plan, other);
  writeNode(clusterDirectory(plan.options.name), {
    ...record,
    podCidrs: [...record.podCidrs, parseCidr('10.245.7.0/24')],
  });
  await until('the range is refused', async () =>
    (await statusOf(plan, node)).problems.some((problem) =>
      problem.includes('10.245.7.0/24, which is outside the pod network 10.244.0.0/16'),
    ),
  );
  const { configuration } = nodePaths(plan.options.name, node.name);
  const text = readFileSync(configuration, 'utf8');
  writeFileSync(configuration, text.replace('podNetwork: ["10.244.0.0/16"', '$&, "10.245.0.0/16"'));
  await until('the range is reached', async () =>
    (await inNode(node, 'ip', 'route')).includes('10.245.7.0/24 via 192.168.1.3'),
  );
  await until('nothing is wrong', async () => (await statusOf(plan, node)).problems.length === 0);
  assert.equal(await podsMeet(plan), true);
});

test('a configuration with a mistake changes nothing and is named; a key that cannot change live says so', async () => {
  const plan = await startLab({ nodes: 1, pods: 1 });
  const node = plan.nodes[0]!;
  const { configuration, log } = nodePaths(plan.options.name, node.name);
  const good = readFileSync(configuration, 'utf8');
  writeFileSync(configuration, good.replace('backend:', 'backand:'));
  await until('the mistake is named', () => readFileSync(log, 'utf8').includes('did you mean backend?'));
  writeFileSync(configuration, good);
  appendFileSync(configuration, 'resyncSeconds: 7\n');
  await until('the key waits', () =>
    /waits for the next start.*key=resyncSeconds/.test(readFileSync(log, 'utf8')),
  );
  assert.ok((await addPod(plan, 'fine', node.name)).ips);
});

test('a full range refuses the next pod with code 50 and says how many are used; a freed address is used again', async () => {
  const plan = await startLab({ nodes: 1, pods: 0 });
  const node = plan.nodes[0]!;
  const directory = clusterDirectory(plan.options.name);
  using store = disposable(openDirectoryStore(directory));
  writeNode(directory, { ...store.opened.state.nodes[0]!, podCidrs: [parseCidr('10.244.0.0/29')] });
  await until('the smaller range counts', async () => {
    const { readiness } = await statusOf(plan, node);
    return readiness.ready && readiness.view.ranges[0] === '10.244.0.0/29';
  });
  for (let index = 1; index <= 5; index++) await addPod(plan, `pod-${index}`, node.name);
  await assert.rejects(
    addPod(plan, 'too-many', node.name),
    /no free address in 10\.244\.0\.0\/29: 5 of 5 are used.*code 50/,
  );
  const [gone] = readPods(plan.options.name);
  await deletePod(plan, gone!);
  assert.deepEqual(
    (await addPod(plan, 'again', node.name)).ips,
    gone!.ips,
    'an ADD right behind a DEL waits for it',
  );
});

test('a pod whose namespace dies without a DEL is noticed, said, and its address is free', async () => {
  const plan = await startLab({ nodes: 1, pods: 2 });
  const node = plan.nodes[0]!;
  const [pod] = readPods(plan.options.name);
  await deleteNamespaces([pod!.namespace]);
  await until('the agent has noticed', async () => (await statusOf(plan, node)).attachments.length === 1);
  assert.match(
    readFileSync(nodePaths(plan.options.name, node.name).log, 'utf8'),
    /a pod is gone with its namespace.*pod-1/,
  );
});

test('a DEL that comes while the agent is down succeeds and is completed at its start', async () => {
  const plan = await startLab({ nodes: 1, pods: 2 });
  const node = plan.nodes[0]!;
  const [pod] = readPods(plan.options.name);
  killAgent(node);
  const call = {
    configuration: networkConfiguration(plan, node.name),
    containerId: pod!.containerId,
    netns: namespacePath(pod!.namespace),
    ifname: 'eth0',
  };
  assert.deepEqual(await callPlugin({ ...call, command: 'DEL' }), { exitCode: 0, stdout: '' });
  const add = await callPlugin({ ...call, command: 'ADD' });
  assert.match(add.stdout, /"code":11,.*start it/);
  startAgent(plan, node);
  await awaitAgent(plan, node);
  assert.deepEqual(
    (await statusOf(plan, node)).attachments.map(({ containerId }) => containerId),
    [readPods(plan.options.name)[1]!.containerId],
  );
});

test('a second agent for the same sockets is refused', async () => {
  const plan = await startLab({ nodes: 1, pods: 0 });
  const node = plan.nodes[0]!;
  const { configuration } = nodePaths(plan.options.name, node.name);
  await assert.rejects(
    inNode(node, FAIRLEAD, 'agent', '--config', configuration),
    /another fairlead agent serves .*cni\.sock already/,
  );
  await sleep(50);
  assert.equal((await statusOf(plan, node)).readiness.ready, true);
});

function disposable<T extends { close: () => void }>(opened: T) {
  return { opened, [Symbol.dispose]: () => opened.close() };
}
