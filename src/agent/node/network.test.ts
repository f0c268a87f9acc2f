/** One input that fails is a problem by name: what does not hang on it is brought about, and what is unknown is kept. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../../test/until.ts';
import { parseConfiguration } from '../../base/config/parse.ts';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { createLogger } from '../../base/log/logger.ts';
import { MACHINE_CLOCK } from '../../base/run/clock.ts';
import type { ClusterStore } from '../../cluster/store.ts';
import { openNftablesDatapath } from '../../datapath/nftables/datapath.ts';
import { TABLE } from '../../datapath/nftables/node-table.ts';
import { createFakeNamespace, openFakeKernel } from '../../edge/netlink/fake/fake.ts';
import { createFakeSysctls } from '../../edge/netlink/fake/fake-sysctls.ts';
import { type Kernel, NetlinkError } from '../../edge/netlink/kernel.ts';
import { createFakeNftables } from '../../edge/nftables/fake.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { ATTACHMENT_GROUP, formatRecord } from '../../plan/pod/attachment.ts';
import { derive } from '../derive.ts';
import { createWorld } from '../world.ts';
import { createAttachmentTable } from './attachments.ts';
import { LinkRemoval } from './link-removal.ts';
import { NodeNetwork } from './network.ts';
import { loadNodeView } from './node-record.ts';
import type { NodeView } from './node-view.ts';

const TABLE_KEY = `${TABLE.family} ${TABLE.name}`;
const POD_LINK = 20;
const VIEW: NodeView = {
  ranges: [parseCidr('10.244.0.0/24')],
  nodeIps: [parseIp('192.168.1.2')],
  mtu: 1500,
};
const RECORD: ClusterNode = {
  name: 'node-1',
  uid: 'uid-1',
  createdAt: '2026-01-01T00:00:00Z',
  internalIps: VIEW.nodeIps,
  podCidrs: VIEW.ranges,
};

/** A node with one pod, whose predecessor has left a table; `faults` are what fails, and may change. */
async function startNode({
  lastView,
  nodes = [RECORD],
}: {
  lastView?: NodeView;
  nodes?: ClusterNode[];
} = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'flt-network-'));
  after(() => rmSync(directory, { recursive: true }));
  const faults = { links: false, entries: false, claim: false };
  const refuse = (what: string): never => {
    throw new NetlinkError(`list ${what}, which changed during each of 20 attempts`, 'EAGAIN');
  };
  const namespace = createFakeNamespace();
  const sysctls = createFakeSysctls(namespace);
  const fake = openFakeKernel(namespace);
  const kernel: Kernel = {
    ...fake,
    links: () => (faults.links ? refuse('links') : fake.links()),
    readEntries: async (fdbOf) => (faults.entries ? refuse('routes') : fake.readEntries(fdbOf)),
  };
  const attachment = {
    network: 'net',
    containerId: 'c1',
    ifname: 'eth0',
    ips: [parseIp('10.244.0.2')],
  };
  const outcomes = fake.apply([
    { op: 'link.change', change: { index: 1, up: true } },
    { op: 'link.create', link: { index: 2, name: 'eth0', up: true, mtu: 1500, kind: { type: 'bridge' } } },
    {
      op: 'address.replace',
      address: { linkIndex: 2, ip: parseIp('192.168.1.2'), prefixLength: 24, scope: 0 },
    },
    {
      op: 'link.create',
      link: {
        index: POD_LINK,
        name: 'flpod',
        group: ATTACHMENT_GROUP,
        up: true,
        kind: { type: 'bridge' },
      },
    },
    { op: 'link.change', change: { index: POD_LINK, alias: formatRecord(attachment)! } },
  ]);
  assert.deepEqual(
    outcomes.filter((refusal) => refusal !== undefined),
    [],
  );
  const nftables = createFakeNftables();
  const former = { ...TABLE, sets: [], chains: [] };
  nftables.tables.set(TABLE_KEY, former);
  const configuration = parseConfiguration(
    [
      'podNetwork: [10.244.0.0/16]',
      'cluster: { directory: /nowhere }',
      `paths: { socketDirectory: ${directory}, stateDirectory: ${directory}/state }`,
    ].join('\n'),
    'test',
  );
  const store: ClusterStore = {
    state: { nodes, problems: [] },
    watch: () => ({ [Symbol.dispose]: () => undefined }),
    claimRanges: async () => {
      if (faults.claim) throw new Error('the API refuses the claim');
      return true;
    },
    close: () => undefined,
  };
  const table = createAttachmentTable();
  let index = 1000;
  const log = createLogger({ level: 'error', format: 'text' }, () => undefined);
  const world = createWorld('node-1', lastView);
  const states = () => derive(world.view, world.node, table.now, configuration);
  const datapath = await openNftablesDatapath(nftables, log);
  const network = new NodeNetwork({
    name: 'node-1',
    configuration: () => configuration,
    store,
    kernel,
    datapath,
    table,
    removal: new LinkRemoval(
      kernel,
      () => undefined,
      () => undefined,
    ),
    nextIndex: () => ++index,
    openSysctls: () => sysctls,
    forgetFlows: async () => undefined,
    log,
    clock: MACHINE_CLOCK,
    world,
    states,
  });
  after(() => network.stop());
  return {
    network,
    datapath,
    table,
    faults,
    directory,
    podRoutes: () => fake.routes({ linkIndex: POD_LINK }).map(({ destination }) => String(destination)),
    isFormer: () => nftables.tables.get(TABLE_KEY) === former,
  };
}

test('until the links were read a node is not ready, whatever its last view says, and touches nothing', async () => {
  const { network, table, faults, podRoutes, isFormer } = await startNode({ lastView: VIEW });
  faults.links = true;
  assert.equal(network.readiness.ready, false);
  await assert.rejects(network.resync(['start']), /list links/);
  const { readiness } = network;
  assert.match(readiness.ready ? '' : readiness.reason, /not known since .*list links.*EAGAIN/);
  assert.deepEqual([table.now.known, podRoutes(), isFormer()], [false, [], true]);
  faults.links = false;
  await network.resync(['retry']);
  assert.equal(network.readiness.ready, true);
  assert.ok(table.now.known);
  assert.deepEqual(
    [...table.now.live.values()].map(({ ips }) => ips[0]),
    ['10.244.0.2'],
  );
  assert.deepEqual([podRoutes(), isFormer()], [['10.244.0.2/32'], false]);
});

test('a dump of routes that is interrupted leaves what is attached known, and the firewall in force', async () => {
  const { network, table, faults, isFormer } = await startNode({ lastView: VIEW });
  faults.entries = true;
  await assert.rejects(network.resync(['start']), /the kernel could not be read or changed: list routes/);
  assert.equal(table.now.known && table.now.live.size, 1);
  assert.equal(isFormer(), true, 'whether there is a tunnel is not known yet');
  assert.match(network.reached.problems.join(), /list routes/);
  faults.entries = false;
  await network.resync(['retry']);
  assert.deepEqual([network.reached.problems, isFormer()], [[], false]);
  faults.entries = true;
  await assert.rejects(network.resync(['period']), /list routes/);
  assert.equal(network.reached.overlay === undefined, false, 'what was reached counts');
  assert.equal(network.readiness.ready, true);
});

test('a node that does not know its range keeps the firewall of the agent before', async () => {
  const { network, datapath, isFormer } = await startNode({ nodes: [] });
  await network.resync(['start']);
  assert.equal(isFormer(), true);
  await assert.rejects(
    datapath.changePorts('add', {
      ips: [parseIp('10.244.0.2')],
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    }),
    /the firewall stays as it is: this node does not know its own range yet/,
  );
});

test('a claim of a range that is refused is a problem by name, and pods are kept right', async () => {
  const { network, faults, podRoutes } = await startNode({ nodes: [{ ...RECORD, podCidrs: [] }] });
  faults.claim = true;
  await assert.rejects(network.resync(['start']), /no range could be claimed for this node: the API refuses/);
  assert.match(network.reached.problems.join(), /the API refuses the claim/);
  assert.deepEqual(podRoutes(), ['10.244.0.2/32']);
  faults.claim = false;
  await network.resync(['retry']);
  assert.equal(network.readiness.ready, true);
});

test('a state directory that cannot be written is a problem by name, and tried until it can', async () => {
  const { network, directory } = await startNode();
  const state = join(directory, 'state');
  writeFileSync(state, 'in the way');
  await network.resync(['start']);
  assert.match(network.reached.problems.join(), /state\/node\.json cannot be written: /);
  assert.equal(network.readiness.ready, true);
  rmSync(state);
  await network.resync(['period']);
  await until('all of it is written', () => network.reached.problems.length === 0);
  assert.deepEqual(loadNodeView(state, RECORD.name)?.ranges, VIEW.ranges);
});
