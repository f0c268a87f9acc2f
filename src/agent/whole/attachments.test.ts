/** A whole agent between fakes: what its parts do together, without a kernel, a cluster or a namespace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
