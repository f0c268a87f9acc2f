/** Ports of the node that lead to pods, with real packets from everywhere. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { createNamespaces, deleteNamespaces, namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { networkConfiguration } from '../../lab/pods.ts';
import { startProbe } from '../../lab/processes.ts';
import { callPlugin } from '../../lab/runtime.ts';
import { readPods } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { openUdpClient, reach } from './reach.ts';
import { sctpInit } from './sctp.ts';

type Mapping = { hostPort: number; containerPort: number; protocol?: string; hostIP?: string };
type Answer = { exitCode: number; error?: { code: number; msg: string }; ip?: string };

const plan = await startLab({ nodes: 2, pods: 1, family: 'dual' });
const [node, other] = plan.nodes as [LabNode, LabNode];
const [neighbor, stranger] = readPods(plan.options.name).map(({ namespace }) => namespace) as [
  string,
  string,
];
let count = 0;

/** A pod of the first node, with a server on TCP and UDP port 8080 that says its name. */
async function pod(name: string) {
  const namespace = `${node.namespace}-p${++count}`;
  await createNamespaces([namespace]);
  after(() => deleteNamespaces([namespace]));
  await startProbe(namespace, name);
  const containerId = randomBytes(32).toString('hex');
  const call = async (
    command: 'ADD' | 'DEL' | 'CHECK',
    portMappings: Mapping[],
    more = {},
  ): Promise<Answer> => {
    const { exitCode, stdout } = await callPlugin({
      command,
      configuration: networkConfiguration(plan, node.name, { runtimeConfig: { portMappings }, ...more }),
      containerId,
      netns: namespacePath(namespace),
      ifname: 'eth0',
    });
    if (exitCode !== 0) return { exitCode, error: JSON.parse(stdout) as { code: number; msg: string } };
    const result: { ips?: { address: string }[] } =
      stdout === '' ? {} : (JSON.parse(stdout) as { ips?: { address: string }[] });
    return { exitCode, ...(result.ips === undefined ? {} : { ip: result.ips[0]!.address.split('/')[0]! }) };
  };
  return { namespace, call };
}

function inside(namespace: string, ...command: string[]): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(namespace)}`, '--', ...command]);
}

const web = { hostPort: 9081, containerPort: 8080 };

for (const protocol of ['tcp', 'udp'] as const) {
  test(`a ${protocol} port of the node leads to its pod, from everywhere`, async () => {
    const { namespace, call } = await pod('web');
    const mapping = { ...web, protocol };
    const { ip } = await call('ADD', [mapping]);
    const to = (address: string, from: string) => reach(from, protocol, address, 9081);
    const answered = (sawSource: string) => ({ name: 'web', sawSource });
    assert.deepEqual(
      await to(node.address, plan.world.namespace),
      answered(plan.world.address),
      'the outside',
    );
    assert.deepEqual(await to(node.address, other.namespace), answered(other.address), 'another node');
    assert.deepEqual(await to(node.address, neighbor), answered('10.244.0.2'), 'a pod beside it');
    assert.deepEqual(await to(node.address, stranger), answered('10.244.1.2'), 'a pod of another node');
    assert.deepEqual(await to(node.address, node.namespace), answered(node.address), 'the node');
    assert.deepEqual(await to('127.0.0.1', node.namespace), answered(node.address), 'localhost of the node');
    assert.deepEqual(await to(node.address, namespace), answered(node.address), 'the pod itself');
    // And directly, which bypasses the translation.
    assert.deepEqual(await reach(neighbor, protocol, ip!, 8080), answered('10.244.0.2'));
    assert.deepEqual(await reach(stranger, protocol, ip!, 8080), answered('10.244.1.2'));
    assert.equal((await call('DEL', [mapping])).exitCode, 0);
    assert.equal(await to(node.address, plan.world.namespace), undefined, 'the port is closed');
  });
}

test('an IPv6 port of the node leads to its pod', async () => {
  const { namespace, call } = await pod('web');
  await call('ADD', [web]);
  const to = (from: string) => reach(from, 'tcp', node.addresses[1]!, 9081);
  const answered = (sawSource: string) => ({ name: 'web', sawSource });
  assert.deepEqual(await to(plan.world.namespace), answered(plan.world.addresses[1]!), 'the outside');
  assert.deepEqual(await to(stranger), answered('fd00:10:244:1::2'), 'a pod of another node');
  assert.deepEqual(await to(node.namespace), answered(node.addresses[1]!), 'the node');
  assert.deepEqual(await to(namespace), answered(node.addresses[1]!), 'the pod itself');
  await call('DEL', [web]);
});

test('an SCTP port is translated', async () => {
  const { namespace, call } = await pod('sctp');
  const { ip } = await call('ADD', [{ hostPort: 3868, containerPort: 3869, protocol: 'SCTP' }]);
  await run('nsenter', [
    `--net=${namespacePath(namespace)}`,
    '--',
    'nft',
    'add table inet seen; add chain inet seen in { type filter hook input priority 0; }; add rule inet seen in sctp dport 3869 counter',
  ]);
  const send =
    'use Socket; socket(S, PF_INET, SOCK_RAW, 132) or die; send(S, pack("H*", $ARGV[1]), 0, pack_sockaddr_in(0, inet_aton($ARGV[0]))) or die';
  await promisify(execFile)('nsenter', [
    `--net=${namespacePath(plan.world.namespace)}`,
    '--',
    'perl',
    '-e',
    send,
    node.address,
    sctpInit(4000, 3868).toString('hex'),
  ]);
  await until(`the INIT reaches ${ip}`, async () =>
    /counter packets [1-9]/.test(
      await run('nsenter', [
        `--net=${namespacePath(namespace)}`,
        '--',
        'nft',
        'list',
        'table',
        'inet',
        'seen',
      ]),
    ),
  );
  await call('DEL', []);
});

test('hostIP: one address of the node; one of another family is nothing to this pod', async () => {
  const { call } = await pod('local');
  const mappings = [
    { ...web, hostIP: '127.0.0.1' },
    { ...web, hostPort: 9082, hostIP: '::' },
    { ...web, hostPort: 9083, hostIP: '0.0.0.0' },
  ];
  assert.equal((await call('ADD', mappings)).exitCode, 0);
  assert.equal((await reach(node.namespace, 'tcp', '127.0.0.1', 9081))?.name, 'local');
  assert.equal(await reach(plan.world.namespace, 'tcp', node.address, 9081), undefined);
  assert.equal(await reach(plan.world.namespace, 'tcp', node.address, 9082), undefined);
  assert.equal((await reach(plan.world.namespace, 'tcp', node.address, 9083))?.name, 'local');
  await call('DEL', mappings);
});

test("the node's localhost stays its own although a pod is reached from it", async () => {
  const { namespace, call } = await pod('guest');
  await call('ADD', [web]);
  // A pod that would route 127.0.0.1 out of its interface, if it may: the node must not take it.
  for (const command of [
    'sysctl -qw net.ipv4.conf.eth0.route_localnet=1',
    'ip addr del 127.0.0.1/8 dev lo',
    'ip route del local 127.0.0.0/8 dev lo table local',
    'ip route del local 127.0.0.1 dev lo table local',
    'ip route add 127.0.0.0/8 via 10.244.0.1 dev eth0 onlink src IP',
  ]) {
    const ip =
      /inet (\S+)\//.exec(await inside(namespace, 'ip', '-4', '-o', 'addr', 'show', 'eth0'))?.[1] ?? '';
    await inside(namespace, ...command.replace('IP', ip).split(' ')).catch(() => '');
  }
  assert.match(await inside(namespace, 'ip', 'route', 'get', '127.0.0.1'), /dev eth0/);
  assert.equal((await reach(namespace, 'tcp', node.address, 8080))?.name, 'node-1');
  assert.equal(await reach(namespace, 'tcp', '127.0.0.1', 8080), undefined);
  await call('DEL', [web]);
});

test('two pods cannot take one port; the second is told by whom it is taken and leaves nothing', async () => {
  const [first, second] = [await pod('first'), await pod('second')];
  await first.call('ADD', [web]);
  const { error } = await second.call('ADD', [{ ...web, hostIP: node.address }]);
  assert.equal(error?.code, 105);
  assert.match(error.msg, /tcp port 9081 of the node leads to container [0-9a-f]+ \(eth0\) already/);
  assert.doesNotMatch(await run('ip', ['-n', second.namespace, '-br', 'link']), /eth0/);
  assert.equal((await reach(plan.world.namespace, 'tcp', node.address, 9081))?.name, 'first');
  await first.call('DEL', []);
  assert.equal((await second.call('ADD', [web])).exitCode, 0, 'free at once after the DEL');
  assert.equal((await reach(plan.world.namespace, 'tcp', node.address, 9081))?.name, 'second');
  await second.call('DEL', []);
});

test('a UDP client that never pauses reaches the pod that has the port now', async () => {
  const client = openUdpClient(plan.world.namespace, node.address, 9081);
  assert.equal(await client.ask(), undefined, 'nobody has it yet: remembered as meant for the node');
  const [first, second] = [await pod('first'), await pod('second')];
  const mapping = { ...web, protocol: 'udp' };
  await first.call('ADD', [mapping]);
  assert.equal(await client.ask(), 'first');
  await first.call('DEL', [mapping]);
  await second.call('ADD', [mapping]);
  assert.equal(await client.ask(), 'second');
  await second.call('DEL', [mapping]);
  client.close();
});

test('ports outlive the agent, and come back when somebody destroys them', async () => {
  const { call } = await pod('web');
  const result = await call('ADD', [web]);
  killAgent(node);
  await inside(node.namespace, 'nft', 'flush', 'ruleset');
  startAgent(plan, node);
  await awaitAgent(plan, node);
  assert.equal((await reach(plan.world.namespace, 'tcp', node.address, 9081))?.name, 'web');
  await inside(node.namespace, 'nft', 'flush', 'map', 'inet', 'fairlead', 'hostports4');
  await until(
    'the port is back',
    async () => (await reach(plan.world.namespace, 'tcp', node.address, 9081))?.name === 'web',
  );
  assert.ok(result.ip);
  await call('DEL', [web]);
});

test('a pod whose namespace dies takes its ports with it', async () => {
  const { namespace, call } = await pod('web');
  await call('ADD', [web]);
  await run('ip', ['netns', 'pids', namespace]).then((pids) =>
    pids
      .split('\n')
      .filter(Boolean)
      .forEach((pid) => process.kill(Number(pid))),
  );
  await deleteNamespaces([namespace]);
  await until(
    'the element is gone',
    async () =>
      !(await inside(node.namespace, 'nft', 'list', 'map', 'inet', 'fairlead', 'hostports4')).includes(
        '9081',
      ),
  );
});

test('a pod may have many ports, but not more than a link can carry', async () => {
  const { call } = await pod('many');
  const many = Array.from({ length: 250 }, (_, index) => ({ hostPort: 20_000 + index, containerPort: 8080 }));
  assert.deepEqual((await call('ADD', many)).error, undefined);
  assert.equal((await reach(plan.world.namespace, 'tcp', node.address, 20_249))?.name, 'many');
  assert.equal((await call('DEL', many)).exitCode, 0);
  const { error } = await call('ADD', [...many, { hostPort: 30_000, containerPort: 1 }]);
  assert.match(error?.msg ?? '', /251 are too many for one pod; give at most 250/);
});
