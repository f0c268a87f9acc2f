/** The CNI commands on real pods: the real plugin, a real agent, real namespaces. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { networkConfiguration } from '../../lab/pods.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { type CniCall, callPlugin } from '../../lab/runtime.ts';
import { nodePaths } from '../../lab/state.ts';
import { CNI_VERSIONS } from '../../src/edge/cni/version.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { until } from '../until.ts';
import { errorOf, parse, startNode } from './containers.ts';

const { plan, node, container } = await startNode();

for (const cniVersion of CNI_VERSIONS) {
  test(`ADD, CHECK and DEL in ${cniVersion}`, async () => {
    const { space, call } = container({ cniVersion });
    const added = await call('ADD');
    assert.equal(added.exitCode, 0, added.stdout);
    const result = parse(added.stdout);
    assert.equal(result.cniVersion, cniVersion);
    const pod = result.interfaces[1]!;
    assert.deepEqual([pod.name, pod.sandbox], ['eth0', space.path]);
    const [ip] = result.ips;
    assert.equal(ip!.interface, 1);
    assert.equal(ip!.version, cniVersion < '1' ? '4' : undefined);
    assert.equal(pod.mtu, cniVersion === '1.1.0' ? 1500 : undefined);
    assert.match(
      space.exec('ip', '-o', 'addr', 'show', 'eth0'),
      new RegExp(`inet ${ip!.address.replaceAll('.', '\\.')} `),
    );
    assert.match(space.exec('ip', 'route'), /default via 10\.244\.0\.1/);
    const configuration = networkConfiguration(plan, node.name, { cniVersion, prevResult: result });
    const checked = await call('CHECK', { configuration });
    if (cniVersion === '0.3.1') assert.equal(errorOf(checked).code, 1);
    else assert.deepEqual(checked, { exitCode: 0, stdout: '' });
    assert.deepEqual(await call('DEL', { configuration }), { exitCode: 0, stdout: '' });
    assert.deepEqual(await call('DEL'), { exitCode: 0, stdout: '' });
    await until('the interface is gone', () => !space.exec('ip', '-br', 'link').includes('eth0'));
  });
}

test('CHECK names everything that is not as ADD left it', async () => {
  const { space, call } = container();
  const result = parse((await call('ADD')).stdout);
  const configuration = networkConfiguration(plan, node.name, { prevResult: result });
  space.exec('ip', 'route', 'del', 'default');
  space.exec('ip', 'addr', 'flush', 'dev', 'eth0');
  const { code, msg } = errorOf(await call('CHECK', { configuration }));
  assert.equal(code, 103);
  assert.match(msg, /eth0 lacks its address 10\.244\.0\.\d+.*route through eth0 is missing/);
  await call('DEL');
  assert.equal(errorOf(await call('CHECK', { configuration })).code, 3);
});

test('a second ADD is refused and the first keeps its address; another interface gets another', async () => {
  const { space, call } = container();
  const first = parse((await call('ADD')).stdout);
  assert.equal(errorOf(await call('ADD')).code, 101);
  const second = parse((await call('ADD', { ifname: 'eth1' })).stdout);
  assert.notEqual(second.ips[0]!.address, first.ips[0]!.address);
  assert.deepEqual(second.routes, []);
  assert.match(space.exec('ip', 'rule'), new RegExp(`from ${second.ips[0]!.address.split('/')[0]} lookup`));
  assert.match(space.exec('ip', 'route'), new RegExp(`default via 10\\.244\\.0\\.1 dev eth0`));
  await call('DEL', { ifname: 'eth1' });
  await call('DEL');
});

test('an address and a MAC that are asked for are given, once', async () => {
  const wish = { runtimeConfig: { ips: ['10.244.0.77/24'], mac: '02:42:0a:f4:00:4d' } };
  const { space, call } = container(wish);
  assert.equal(parse((await call('ADD')).stdout).ips[0]!.address, '10.244.0.77/32');
  assert.match(space.exec('ip', '-o', 'link', 'show', 'eth0'), /02:42:0a:f4:00:4d/);
  const other = container(wish);
  assert.match(errorOf(await other.call('ADD')).msg, /10\.244\.0\.77 is taken by container container-/);
  const outside = container({ runtimeConfig: { ips: ['10.99.0.1'] } });
  assert.match(
    errorOf(await outside.call('ADD')).msg,
    /10\.99\.0\.1 is not an address for a pod of this node, whose range is 10\.244\.0\.0\/24/,
  );
  await call('DEL');
});

test('GC releases what is not listed, of this network alone', async () => {
  const [kept, released, foreign] = [container(), container(), container({ name: 'other' })];
  for (const { call } of [kept, released, foreign]) assert.equal((await call('ADD')).exitCode, 0);
  const configuration = networkConfiguration(plan, node.name, {
    'cni.dev/valid-attachments': [{ containerID: kept.containerId, ifname: 'eth0' }],
  });
  assert.deepEqual(await callPlugin({ command: 'GC', configuration }), { exitCode: 0, stdout: '' });
  await until('the one is gone', () => !released.space.exec('ip', '-br', 'link').includes('eth0'));
  for (const { space } of [kept, foreign]) assert.match(space.exec('ip', '-br', 'link'), /eth0/);
  for (const { call } of [kept, foreign]) await call('DEL');
  const older = networkConfiguration(plan, node.name, { cniVersion: '1.0.0' });
  assert.equal(errorOf(await callPlugin({ command: 'GC', configuration: older })).code, 1);
});

test('STATUS is silent when all is well; prevResult is kept and extended', async () => {
  assert.deepEqual(
    await callPlugin({ command: 'STATUS', configuration: networkConfiguration(plan, node.name) }),
    { exitCode: 0, stdout: '' },
  );
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'lo', sandbox: '/x' }],
    ips: [{ address: '127.0.0.1/8', interface: 0 }],
    routes: [{ dst: '10.1.0.0/16' }],
    dns: { domain: 'a.example' },
  };
  const { call } = container({ prevResult });
  const result = parse((await call('ADD')).stdout);
  assert.deepEqual(result.interfaces.map(({ name }) => name).toSpliced(1, 1), ['lo', 'eth0']);
  assert.equal(result.ips[1]!.interface, 2);
  assert.equal(result.routes[0]!.dst, '10.1.0.0/16');
  await call('DEL');
});

test('bad input: the code of the specification, one sentence, nothing left behind', async () => {
  const hostLinks = () => {
    using namespace = NetworkNamespace.open(`/run/netns/${node.namespace}`);
    using kernel = openKernel(namespace);
    return kernel.links().filter(({ alias }) => alias?.startsWith('fairlead ')).length;
  };
  const before = hostLinks();
  const { space, call } = container();
  space.exec('ip', 'link', 'add', 'taken', 'type', 'bridge');
  const of = (more: object) => ({ configuration: networkConfiguration(plan, node.name, more) });
  const cases: [Partial<CniCall>, number, RegExp][] = [
    [{ netns: '/etc/hostname' }, 102, /is not a network namespace/],
    [{ netns: '/run/netns/none' }, 102, /does not exist/],
    [{ netns: '/proc/self/ns/mnt' }, 102, /is not a network namespace/],
    [{ netns: `/run/netns/${node.namespace}` }, 8, /namespace of the node itself/],
    [{ ifname: 'taken' }, 4, /has an interface taken already/],
    [{ ifname: 'a/b' }, 4, /CNI_IFNAME/],
    [{ ifname: 'x'.repeat(16) }, 4, /CNI_IFNAME/],
    [{ containerId: '../x' }, 4, /CNI_CONTAINERID/],
    [{ args: 'IP' }, 4, /CNI_ARGS/],
    [of({ cniVersion: '9.9.9' }), 1, /supported|use one of/],
    [of({ cniVersion: '0.2.0' }), 1, /supported|use one of/],
    [of({ name: '../x' }), 7, /name/],
    [of({ mtu: 1_000_000_000 }), 7, /mtu/],
    [of({ runtimeConfig: { mac: 'ff:ff:ff:ff:ff:ff' } }), 7, /mac/],
    [of({ runtimeConfig: { ips: ['nonsense'] } }), 7, /ips/],
    [of({ runtimeConfig: [] }), 7, /runtimeConfig/],
    [of({ runtimeConfig: { bandwidth: { ingressRate: 1000 } } }), 7, /ingressBurst/],
  ];
  for (const [more, code, text] of cases) {
    const error = errorOf(await call('ADD', more));
    assert.equal(error.code, code, JSON.stringify([more.ifname, more.netns, error]).slice(0, 300));
    assert.match(error.msg, text);
  }
  assert.equal(hostLinks(), before);
  assert.ok(!space.exec('ip', '-br', 'link').includes('eth0'));
});

test('hostile bytes, silent callers and many of them: others are served all the while, and the agent lives', async () => {
  const { cniSocket, sockets } = nodePaths(plan.options.name, node.name);
  const agents = agentProcesses(node.namespace);
  const descriptors = () => readdirSync(`/proc/${agents[0]}/fd`).length;
  const before = descriptors();
  const garbage = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(5000, 0xff),
    Buffer.from('FLC1\xff\xff\xff\xff\0\0\0\0', 'latin1'),
    Buffer.alloc(0),
  ];
  const callers = Array.from({ length: 300 }, (_, index) => {
    const socket = connect(cniSocket);
    socket.on('error', () => undefined);
    socket.write(garbage[index % garbage.length]!);
    return socket;
  });
  const { call } = container();
  assert.equal((await call('ADD')).exitCode, 0);
  assert.equal((await call('DEL')).exitCode, 0);
  for (const socket of callers) socket.destroy();
  await until('their descriptors are closed', () => descriptors() <= before + 2);
  assert.deepEqual(agentProcesses(node.namespace), agents);
  assert.equal(readFileSync(`/proc/${agents[0]}/comm`, 'utf8').length > 0, true);
  assert.equal(statSync(cniSocket).mode & 0o777, 0o600);
  assert.equal(statSync(sockets).mode & 0o777, 0o700);
});

test('twenty pods at once get twenty addresses, and twenty DELs leave nothing', async () => {
  const many = Array.from({ length: 20 }, () => container());
  const results = await Promise.all(many.map(({ call }) => call('ADD')));
  const addresses = results.map(({ stdout }) => parse(stdout).ips[0]!.address);
  assert.equal(new Set(addresses).size, 20);
  const gone = await Promise.all(many.map(({ call }) => call('DEL')));
  assert.ok(gone.every(({ exitCode }) => exitCode === 0));
  for (const { space } of many)
    await until('its interface is gone', () => !space.exec('ip', '-br', 'link').includes('eth0'));
});
