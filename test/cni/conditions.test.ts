/** What a pod is given and what a node says of itself, under conditions that are not everyday's. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { awaitAgent, killAgent, nodeRecord, startAgent } from '../../lab/nodes.ts';
import { callPlugin } from '../../lab/runtime.ts';
import { clusterDirectory, nodePaths } from '../../lab/state.ts';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { writeNode } from '../../src/cluster/directory-store.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { inNode } from '../lab/node.ts';
import { until } from '../until.ts';
import { errorOf, resultOf, startNode } from './containers.ts';

const { plan, node, container, configured } = await startNode();
const paths = nodePaths(plan.options.name, node.name);
const status = () => callPlugin({ command: 'STATUS', ...configured({}) });

test('C3: the MTU and the name servers of a real pod', async () => {
  const dns = { nameservers: ['10.96.0.10'], domain: 'cluster.local', search: ['svc.cluster.local'] };
  const { space, call } = container({ mtu: 1300, dns });
  const result = resultOf(await call('ADD'));
  assert.match(space.exec('ip', 'link', 'show', 'eth0'), /mtu 1300/);
  assert.equal(result.interfaces[1]!.mtu, 1300);
  assert.deepEqual(result.dns, dns);
  await call('DEL');
});

test('C9: addresses that a pod cannot have', async () => {
  const cases: [string, number][] = [
    ['10.244.0.0', 7],
    ['10.244.0.1', 7],
    ['10.244.0.255', 7],
    ['10.245.0.9', 7],
    ['fd00::9', 7],
  ];
  for (const [ip, code] of cases) {
    const { call } = container({ runtimeConfig: { ips: [ip] } });
    assert.equal(errorOf(await call('ADD')).code, code, ip);
  }
});

test('A13: the own namespace, by request', async () => {
  const { call } = container();
  const own = { netns: `/run/netns/${node.namespace}`, ifname: 'own0' };
  assert.equal(errorOf(await call('ADD', own)).code, 8);
  const environment = { CNI_NETNS_OVERRIDE: '1' };
  const { ips } = resultOf(await call('ADD', { ...own, environment }));
  assert.match(ips[0]!.address, /^10\.244\.0\./);
  assert.equal((await call('DEL', { ...own, environment })).exitCode, 0);
});

test('a namespace by a symlink to elsewhere, and one that has a pod already', async () => {
  const { space, call } = container();
  const link = join(paths.directory, 'link');
  symlinkSync('/etc/hostname', link);
  assert.equal(errorOf(await call('ADD', { netns: link })).code, 102);
  rmSync(link);
  resultOf(await call('ADD'));
  const { call: other } = container();
  assert.match(errorOf(await other('ADD', { netns: space.path })).msg, /has an interface eth0 already/);
  await call('DEL');
});

test('C11: several networks of one node, for one container and for several', async () => {
  const { space, call } = container();
  const second = container({ name: 'second' });
  const [a, b, c] = [
    resultOf(await call('ADD')),
    resultOf(await call('ADD', { ...configured({ name: 'second' }), ifname: 'net1' })),
    resultOf(await second.call('ADD')),
  ];
  assert.equal(new Set([a, b, c].map(({ ips }) => ips[0]!.address)).size, 3);
  assert.equal((await call('DEL', configured({ name: 'second' }))).exitCode, 0);
  assert.match(space.exec('ip', '-br', 'link'), /eth0/, 'a DEL of another network takes nothing');
  for (const pod of [
    call('DEL'),
    call('DEL', { ...configured({ name: 'second' }), ifname: 'net1' }),
    second.call('DEL'),
  ])
    assert.equal((await pod).exitCode, 0);
});

test('G: 51 with pods, 50 without, while the node has no range', async () => {
  const { call } = container();
  resultOf(await call('ADD'));
  const record = nodeRecord(plan, node);
  writeNode(clusterDirectory(plan.options.name), { ...record, podCidrs: [parseCidr('172.16.0.0/24')] });
  await until('the node has no range', async () => !(await askStatus(paths.apiSocket)).readiness.ready);
  const limited = errorOf(await status());
  assert.equal(limited.code, 51);
  assert.match(limited.msg, /172\.16\.0\.0\/24, which is outside the pod network/);
  assert.equal(errorOf(await container().call('ADD')).code, 11);
  assert.equal((await call('DEL')).exitCode, 0);
  assert.equal(errorOf(await status()).code, 50);
  writeNode(clusterDirectory(plan.options.name), record);
  await until('the node has its range', async () => (await askStatus(paths.apiSocket)).readiness.ready);
  assert.equal((await status()).exitCode, 0);
});

test('while the cluster cannot be read, pods start by the last good view of it', async () => {
  const record = nodeRecord(plan, node);
  killAgent(node);
  rmSync(clusterDirectory(plan.options.name), { recursive: true });
  startAgent(plan, node);
  await awaitAgent(plan, node);
  const { call } = container();
  assert.match(resultOf(await call('ADD')).ips[0]!.address, /^10\.244\.0\./);
  assert.equal((await call('DEL')).exitCode, 0);
  writeNode(clusterDirectory(plan.options.name), record);
});

test('an agent that may not write a setting knows its pods all the same, and names the setting', async () => {
  const pod = container();
  const address = resultOf(await pod.call('ADD')).ips[0]!.address;
  killAgent(node);
  await inNode(node, 'sysctl', '-qw', 'net.ipv4.ip_forward=0');
  const configuration = readFileSync(paths.configuration, 'utf8');
  const readOnly = configuration.replace('paths: {', `paths: { sysctlDirectory: ${paths.directory}/none,`);
  writeFileSync(paths.configuration, readOnly);
  await inNode(node, 'ip', 'route', 'del', address);
  startAgent(plan, node);
  await awaitAgent(plan, node);
  const { problems, attachments } = await askStatus(paths.apiSocket);
  assert.match(problems.join(), /IPv4: net\.ipv4\.ip_forward must be 1, but this kernel has no such setting/);
  assert.equal(attachments.length, 1);
  assert.match(await inNode(node, 'ip', 'route', 'show', address), /dev fl/, 'the rest is mended');
  const other = container();
  assert.notEqual(resultOf(await other.call('ADD')).ips[0]!.address, address);
  for (const { call, space } of [pod, other]) {
    assert.equal((await call('DEL')).exitCode, 0);
    await until('its interface is gone', () => !space.exec('ip', '-br', 'link').includes('eth0'));
  }
  writeFileSync(paths.configuration, configuration);
  await until('it is mended', async () => (await askStatus(paths.apiSocket)).problems.length === 0);
});
