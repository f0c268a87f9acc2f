import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../base/ip/ip.ts';
import type { Bandwidth } from '../../edge/cni/capability/bandwidth.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import { createFakeNamespace, openFakeKernel } from '../../edge/netlink/fake/fake.ts';
import type { Kernel, Operation } from '../../edge/netlink/kernel.ts';
import { ROOT_PARENT } from '../../edge/netlink/objects.ts';
import { diffStates } from '../../edge/netlink/state/diff.ts';
import { ATTACHMENT_GROUP, hostLinkName } from '../../plan/pod/attachment.ts';
import { shaperName } from '../../plan/pod/bandwidth.ts';
import { formatBandwidthNames } from '../../plan/pod/bandwidth-record.ts';
import type { LiveAttachment } from '../node/attachments.ts';
import { readOwnState } from './owned.ts';
import { Resync } from './resync.ts';
import { checkBandwidth, placeShaper, planShapers } from './shapers.ts';

const LIMITS: Bandwidth = {
  ingress: { rate: 10_000_000, burst: 800_000 },
  egress: { rate: 20_000_000, burst: 2 ** 32 - 1 },
};

function reach(kernel: Kernel, ...operations: Operation[]): void {
  for (const error of kernel.apply(operations)) if (error !== undefined) throw error;
}

/** A node with the host's end of one pod's veth, as an ADD leaves it, its limits apart. */
function nodeWithPod(bandwidth?: Bandwidth) {
  const machine = createFakeNamespace();
  const kernel = openFakeKernel(machine);
  const pod: LiveAttachment = {
    network: 'fairlead',
    containerId: 'c0ffee',
    ifname: 'eth0',
    ips: [parseIp('10.244.0.2')],
    linkIndex: 1001,
    ...(bandwidth === undefined ? {} : { bandwidth }),
  };
  const name = hostLinkName(pod);
  const peer = { name: 'eth0', namespaceFd: createFakeNamespace(machine.machine).fd };
  reach(
    kernel,
    {
      op: 'link.create',
      link: { index: 1001, name, mtu: 1450, group: ATTACHMENT_GROUP, up: true, kind: { type: 'veth', peer } },
    },
    { op: 'link.addNames', index: 1001, names: formatBandwidthNames(name, bandwidth ?? {}) },
  );
  let last = 2000;
  const freeIndex = () => ++last;
  const differences = () =>
    diffStates(planShapers([pod], kernel.links(), freeIndex), readOwnState(kernel, kernel.links(), []));
  const faults = () => checkBandwidth(pod, kernel.link(1001)!, kernel);
  return { kernel, pod, freeIndex, differences, faults };
}

test('what is planned brings the kernel to where nothing differs any more', () => {
  const { kernel, differences, faults } = nodeWithPod(LIMITS);
  assert.deepEqual(
    differences().map(({ op }) => op),
    ['link.create', 'qdisc.replace', 'qdisc.replace', 'qdisc.replace', 'redirect.replace'],
  );
  assert.equal(faults().length, 2);
  reach(kernel, ...differences());
  assert.deepEqual(differences(), []);
  assert.deepEqual(faults(), []);
});

test('a pod without limits is left alone, whatever somebody put on its link', () => {
  const { kernel, differences, faults } = nodeWithPod();
  const tbf = { rate: 1, burst: 2000, limit: 2000 };
  reach(kernel, { op: 'qdisc.replace', qdisc: { linkIndex: 1001, parent: ROOT_PARENT, kind: 'tbf', tbf } });
  assert.deepEqual(differences(), []);
  assert.deepEqual(faults(), []);
});

test('a shaper that is gone is made again, and the pod’s packets go there', () => {
  const { kernel, pod, differences, faults } = nodeWithPod(LIMITS);
  reach(kernel, ...differences());
  reach(kernel, { op: 'link.delete', index: kernel.link(shaperName(pod))!.index });
  assert.deepEqual(faults(), ['its limit of 20000000 bit/s for what it sends is not in force']);
  assert.deepEqual(
    differences().map(({ op }) => op),
    ['link.create', 'qdisc.replace', 'redirect.replace'],
  );
  reach(kernel, ...differences());
  assert.deepEqual(differences(), []);
});

test('a limit that somebody changed is put right', () => {
  const { kernel, differences, faults } = nodeWithPod({ ingress: LIMITS.ingress! });
  reach(kernel, ...differences());
  const tbf = { rate: 1_250_000, burst: 200_000, limit: 140_000 };
  reach(kernel, { op: 'qdisc.replace', qdisc: { linkIndex: 1001, parent: ROOT_PARENT, kind: 'tbf', tbf } });
  assert.deepEqual(faults(), ['its limit of 10000000 bit/s for what it receives is not in force']);
  assert.deepEqual(
    differences().map(({ op }) => op),
    ['qdisc.replace'],
  );
});

test('while the cluster does not know the node, limits are kept right, and what is not a pod’s stays', async () => {
  const { kernel, pod, freeIndex } = nodeWithPod(LIMITS);
  const vxlan = { type: 'vxlan', vni: 1, port: 8472, learning: false } as const;
  reach(kernel, { op: 'link.create', link: { name: VXLAN_LINKS[4], kind: vxlan } });
  const resync = new Resync(kernel, freeIndex);
  const run = async () => {
    const { reached } = await resync.run({
      self: undefined,
      peers: [],
      attachments: () => [pod],
      isDeleting: () => false,
      settings: { podNetwork: [], backend: 'auto', vxlan: { port: 8472, vni: 1 } },
    });
    return reached;
  };
  const first = await run();
  assert.deepEqual([first.applied, first.failures], [7, []], 'five for the limits, a route and a neighbor');
  assert.equal((await run()).applied, 0);
  assert.ok(kernel.link(VXLAN_LINKS[4]));
});

test('a new pod’s shaper gets a free index, and what an earlier one left goes; another’s link stays', () => {
  const { kernel, pod, freeIndex, differences } = nodeWithPod(LIMITS);
  reach(kernel, ...differences());
  const left = kernel.link(shaperName(pod))!.index;
  reach(kernel, {
    op: 'link.create',
    link: { index: left + 1 + 1, name: 'other', kind: { type: 'bridge' } },
  });
  const index = placeShaper(pod, kernel, freeIndex)!;
  assert.equal(kernel.link(shaperName(pod)), undefined);
  assert.equal(kernel.link(index), undefined);
  assert.equal(kernel.link('other')?.index, left + 2);
  const others = nodeWithPod(LIMITS);
  reach(others.kernel, {
    op: 'link.create',
    link: { name: shaperName(others.pod), kind: { type: 'bridge' } },
  });
  placeShaper(others.pod, others.kernel, others.freeIndex);
  assert.equal(others.kernel.link(shaperName(others.pod))?.kind, 'bridge');
  assert.equal(placeShaper(nodeWithPod().pod, kernel, freeIndex), undefined);
});
