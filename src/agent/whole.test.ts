/** A whole agent between fakes: what its parts do together, without a kernel, a cluster or a namespace. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../test/until.ts';
import { parseConfiguration } from '../base/config/parse.ts';
import { parseCidr } from '../base/ip/cidr.ts';
import { parseIp } from '../base/ip/ip.ts';
import { TABLE } from '../datapath/nftables/node-table.ts';
import { decodeReply, encodeRequest } from '../edge/cni/frame.ts';
import type { CniReply } from '../edge/cni/result/reply.ts';
import { ROUTE_PROTOCOL } from '../edge/marks/marks.ts';
import { NetlinkError } from '../edge/netlink/kernel.ts';
import { askStatus } from '../tools/status/ask.ts';
import { startAgent } from './agent.ts';
import type { Edges } from './edges.ts';
import { createFakeEdges } from './fake-edges.ts';

const NODE_1 = {
  name: 'node-1',
  uid: 'uid-1',
  createdAt: '2026-01-01T00:00:00Z',
  internalIps: [parseIp('192.168.1.2')],
  podCidrs: [parseCidr('10.244.0.0/24')],
};
const NODE_2 = {
  ...NODE_1,
  name: 'node-2',
  uid: 'uid-2',
  internalIps: [parseIp('192.168.1.3')],
  podCidrs: [parseCidr('10.244.1.0/24')],
};

/** Of the node, by pod. */
const PORTS: Readonly<Record<string, number>> = { a: 8080, b: 8081 };

/** A node with an interface, in a cluster of two. */
function createNode() {
  const directory = mkdtempSync(join(tmpdir(), 'flt-whole-'));
  after(() => rmSync(directory, { recursive: true }));
  // Settings are read of this process, and must not be written to it.
  mkdirSync(join(directory, 'sys/net/ipv4'), { recursive: true });
  const text = [
    'node: { name: node-1 }',
    'podNetwork: [10.244.0.0/16]',
    'cluster: { directory: /nowhere }',
    `paths: { socketDirectory: ${directory}, stateDirectory: ${directory}/state, sysctlDirectory: ${directory}/sys }`,
    'cni: { confDirectory: "" }',
    'metrics: { address: "" }',
    'log: { level: error, format: text }',
  ].join('\n');
  const fakes = createFakeEdges(() => parseConfiguration(text, 'test'));
  fakes.foreign.apply([
    { op: 'link.change', change: { index: 1, up: true } },
    { op: 'link.create', link: { index: 2, name: 'eth0', up: true, mtu: 1500, kind: { type: 'bridge' } } },
    {
      op: 'address.replace',
      address: { linkIndex: 2, ip: parseIp('192.168.1.2'), prefixLength: 24, scope: 0 },
    },
  ]);
  fakes.setNodes([NODE_1, NODE_2]);
  const call = async (command: string, pod: string): Promise<CniReply> => {
    const socket = connect(join(directory, 'cni.sock'));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(
      encodeRequest({
        environment: {
          CNI_COMMAND: command,
          CNI_CONTAINERID: pod,
          CNI_NETNS: `/run/netns/${pod}`,
          CNI_IFNAME: 'eth0',
          CNI_PATH: '/x',
        },
        stdin: JSON.stringify({
          cniVersion: '1.1.0',
          name: 'net',
          runtimeConfig: { portMappings: [{ hostPort: PORTS[pod], containerPort: 80, protocol: 'tcp' }] },
        }),
      }),
    );
    await once(socket, 'close');
    return decodeReply(Buffer.concat(chunks))!;
  };
  return {
    ...fakes,
    call,
    status: () => askStatus(join(directory, 'api.sock')),
    start: async (change: (edges: Edges) => Edges = (edges) => edges) => {
      const agent = await startAgent(change(fakes.open()), fakes.configuration);
      after(() => agent.stop());
      return agent;
    },
    routes: () =>
      fakes.foreign
        .routes({ protocol: ROUTE_PROTOCOL })
        .filter(({ type }) => type === 'unicast')
        .map(({ destination }) => String(destination))
        .toSorted((a, b) => a.localeCompare(b)),
  };
}

function addressOf({ exitCode, stdout }: CniReply): string {
  assert.equal(exitCode, 0, stdout);
  return (JSON.parse(stdout) as { ips: { address: string }[] }).ips[0]!.address;
}

test('a pod comes, is healed, and goes; a node joins and leaves', async () => {
  const node = createNode();
  node.addPod('/run/netns/a');
  const agent = await node.start();
  assert.equal(addressOf(await node.call('ADD', 'a')), '10.244.0.2/32');
  assert.deepEqual(node.routes(), ['10.244.0.2/32', '10.244.1.0/24']);
  for (const route of node.foreign.routes({ protocol: ROUTE_PROTOCOL }))
    node.foreign.apply([{ op: 'route.delete', route }]);
  await until('the routes are back', () => node.routes().length === 2);
  node.setNodes([NODE_1]);
  await until('the peer is gone', () => node.routes().length === 1);
  assert.match((await node.nftables.read(TABLE)) ?? '', /8080/);
  assert.equal((await node.call('DEL', 'a')).exitCode, 0);
  await agent.stop();
  assert.deepEqual([node.routes(), node.foreign.links().length], [[], 2]);
  assert.doesNotMatch((await node.nftables.read(TABLE)) ?? '', /8080/);
});

test('an agent whose kernel cannot be read at its start hands no address out twice, and keeps what was in force', async () => {
  const node = createNode();
  for (const pod of ['a', 'b']) node.addPod(`/run/netns/${pod}`);
  const first = await node.start();
  addressOf(await node.call('ADD', 'a'));
  await first.stop();
  const table = node.nftables.tables.get(`${TABLE.family} ${TABLE.name}`);
  let isReadable = false;
  const second = await node.start((edges) => ({
    ...edges,
    kernel: {
      ...edges.kernel,
      links: () => {
        if (isReadable) return edges.kernel.links();
        throw new NetlinkError('list links', 'EPERM');
      },
    },
  }));
  for (const command of ['ADD', 'DEL'])
    assert.match((await node.call(command, command === 'ADD' ? 'b' : 'a')).stdout, /"code":11.*EPERM/);
  const { readiness, attachmentsUnknown } = await node.status();
  assert.deepEqual([readiness.ready, attachmentsUnknown?.why.includes('EPERM')], [false, true]);
  assert.equal(node.nftables.tables.get(`${TABLE.family} ${TABLE.name}`), table);
  isReadable = true;
  await until('it has read its links', async () => (await node.status()).readiness.ready);
  assert.equal(addressOf(await node.call('ADD', 'b')), '10.244.0.3/32');
  for (const pod of ['a', 'b']) assert.equal((await node.call('DEL', pod)).exitCode, 0);
  await second.stop();
  assert.equal(node.foreign.links().length, 2);
});
