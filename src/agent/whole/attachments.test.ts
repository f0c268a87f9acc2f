/** A whole agent between fakes: what its parts do together, without a kernel, a cluster or a namespace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { TABLE } from '../../datapath/nftables/node-table.ts';
import { ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import { NetlinkError } from '../../edge/netlink/kernel.ts';
import { addressOf, createFakeNode, nodeRecord } from '../fake/fake-node.ts';

const PORTS = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
const TABLE_KEY = `${TABLE.family} ${TABLE.name}`;

test('a pod comes, is healed, and goes; a node joins and leaves', async () => {
  using node = createFakeNode();
  const { clock } = node;
  node.addPod('/run/netns/a');
  const agent = await node.start();
  assert.equal(addressOf(await node.call('ADD', { container: 'a', ports: PORTS })), '10.244.0.2/32');
  assert.deepEqual(node.routes(), ['10.244.0.2/32', '10.244.1.0/24']);
  for (const route of node.foreign.routes({ protocol: ROUTE_PROTOCOL }))
    node.foreign.apply([{ op: 'route.delete', route }]);
  await clock.until('the routes are back', () => node.routes().length === 2);
  node.cluster.setNodes([nodeRecord(1)]);
  await clock.until('the peer is gone', () => node.routes().length === 1);
  assert.match((await node.nftables.read(TABLE)) ?? '', /8080/);
  assert.equal((await node.call('DEL', { container: 'a' })).exitCode, 0);
  await node.settled('the agent has stopped', agent.stop());
  assert.deepEqual([node.routes(), node.foreign.links().length], [[], 2]);
  assert.doesNotMatch((await node.nftables.read(TABLE)) ?? '', /8080/);
});

test('an agent whose kernel cannot be read at its start hands no address out twice, and keeps what was in force', async () => {
  using node = createFakeNode();
  for (const pod of ['a', 'b']) node.addPod(`/run/netns/${pod}`);
  const first = await node.start();
  addressOf(await node.call('ADD', { container: 'a' }));
  await node.settled('the agent has stopped', first.stop());
  const table = node.nftables.tables.get(TABLE_KEY);
  node.refuse((what) => (what === 'kernel.links' ? new NetlinkError('list links', 'EPERM') : undefined));
  const second = await node.start();
  for (const [command, container] of [
    ['ADD', 'b'],
    ['DEL', 'a'],
  ] as const)
    assert.match((await node.call(command, { container })).stdout, /"code":11.*EPERM/);
  const { readiness, attachmentsUnknown } = await node.status();
  assert.deepEqual([readiness.ready, attachmentsUnknown?.why.includes('EPERM')], [false, true]);
  assert.equal(node.nftables.tables.get(TABLE_KEY), table);
  node.refuse();
  await node.clock.until('it has read its links', async () => (await node.status()).readiness.ready);
  assert.equal(addressOf(await node.call('ADD', { container: 'b' })), '10.244.0.3/32');
  for (const container of ['a', 'b']) assert.equal((await node.call('DEL', { container })).exitCode, 0);
  await node.settled('the agent has stopped', second.stop());
  assert.equal(node.foreign.links().length, 2);
});

test('a node with several ranges of a family: a pod has one address, from the first range that has one left', async () => {
  using node = createFakeNode();
  const ranges = ['10.244.64.0/30', '10.244.65.0/24'].map((range) => parseCidr(range));
  node.cluster.setNodes([nodeRecord(1, { podCidrs: ranges }), nodeRecord(2)]);
  const agent = await node.start();
  const { readiness } = await node.status();
  assert.ok(readiness.ready && String(readiness.view.ranges) === String(ranges));
  const addresses = [];
  for (const container of ['a', 'b', 'c']) {
    node.addPod(`/run/netns/${container}`);
    addresses.push(addressOf(await node.call('ADD', { container })));
  }
  assert.deepEqual(addresses, ['10.244.64.2/32', '10.244.65.2/32', '10.244.65.3/32']);
  // As its peer sees it.
  await node.settled('the agent has stopped', agent.stop());
  node.cluster.setNodes([
    nodeRecord(1, { podCidrs: [parseCidr('10.244.0.0/24')] }),
    nodeRecord(2, { podCidrs: ranges }),
  ]);
  await node.start();
  for (const range of ranges) assert.ok(node.routes().includes(range), range);
});

test('a record that is forgotten and made anew, as of another node of the same name: pods of the node itself go on', async () => {
  using node = createFakeNode();
  node.addPod('/run/netns/a');
  node.addPod('/run/netns/b');
  await node.start();
  addressOf(await node.call('ADD', { container: 'a' }));
  node.cluster.setNodes([nodeRecord(2)]);
  await node.clock.turn(2000);
  assert.equal((await node.status()).readiness.ready, true);
  addressOf(await node.call('ADD', { container: 'b' }));
  assert.deepEqual(node.routes(), ['10.244.0.2/32', '10.244.0.3/32', '10.244.1.0/24']);
  node.cluster.setNodes([nodeRecord(1, { uid: 'another', createdAt: '2026-06-01T00:00:00Z' })]);
  await node.clock.until('the peer is forgotten', () => !node.routes().includes('10.244.1.0/24'));
  node.cluster.setNodes([nodeRecord(1), nodeRecord(2, { uid: 'another' })]);
  await node.clock.until('the peer is back', () => node.routes().includes('10.244.1.0/24'));
  assert.equal(await node.problems(), '');
});

test('a node that gets another range: its pods go on where they can, and are named where they cannot', async () => {
  using node = createFakeNode();
  for (const pod of ['a', 'next']) node.addPod(`/run/netns/${pod}`);
  await node.start();
  addressOf(await node.call('ADD', { container: 'a', pod: 'default/pod-1' }));
  node.cluster.setNodes([nodeRecord(1, { podCidrs: [parseCidr('10.244.9.0/24')] }), nodeRecord(2)]);
  const stranded =
    /pod default\/pod-1 \(eth0\) has 10\.244\.0\.2, which is of none of the ranges 10\.244\.9\.0\/24.*create it anew/;
  await node.clock.until('it is named', async () => stranded.test(await node.problems()));
  assert.equal(addressOf(await node.call('ADD', { container: 'next' })), '10.244.9.2/32');
  assert.deepEqual(node.routes(), ['10.244.0.2/32', '10.244.1.0/24', '10.244.9.2/32']);
});
