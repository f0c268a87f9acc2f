/** How a kernel answers: refusals, work off the event loop, notifications, closing. */
import assert from 'node:assert/strict';
import { parseIp } from '../../src/base/ip/ip.ts';
import type { KernelEvent } from '../../src/edge/netlink/kernel.ts';
import { INGRESS_PARENT, NUD_PERMANENT, type Rule } from '../../src/edge/netlink/objects.ts';
import { until } from '../until.ts';
import {
  createVeth,
  HOST_INDEX,
  hostRoute,
  type InWorld,
  own,
  POD_MAC,
  PROTOCOL,
  podNeighbor,
  reach,
  replace,
  vxlan,
} from './conformance-world.ts';

export function testConduct(inWorld: InWorld): void {
  inWorld('a refusal stops none of the operations behind it', (world) => {
    createVeth(world);
    const outcomes = world.node.apply([
      { op: 'link.delete', index: 999 },
      replace(hostRoute({})),
      { op: 'rule.delete', rule: { family: 4, priority: 1, table: 1, protocol: 1 } },
    ]);
    assert.deepEqual(
      outcomes.map((error) => error?.errno),
      ['ENODEV', undefined, 'ENOENT'],
    );
    assert.match(outcomes[0]!.message, /^link\.delete index 999: ENODEV/);
    assert.equal(own(world.node).length, 1);
    assert.deepEqual(world.node.apply([]), []);
  });

  inWorld('operations off the event loop have the same outcomes, in order', async (world) => {
    createVeth(world);
    const first = world.node.applyAsync([replace(hostRoute({})), { op: 'link.delete', index: 999 }]);
    const second = world.node.applyAsync([{ op: 'route.delete', route: hostRoute({}) }]);
    assert.deepEqual(
      (await Promise.all([first, second])).flat().map((error) => error?.errno),
      [undefined, 'ENODEV', undefined],
    );
    assert.deepEqual(own(world.node), []);
  });

  inWorld('entries that are read in turns with others are those that are read at once', async (world) => {
    const { node } = world;
    createVeth(world);
    reach(node, { op: 'link.create', link: vxlan });
    const linkIndex = vxlan.index;
    const entry = { linkIndex, mac: POD_MAC, destination: parseIp('192.168.1.3'), state: NUD_PERMANENT };
    reach(
      node,
      { op: 'fdb.replace', entry },
      { op: 'neighbor.replace', neighbor: podNeighbor },
      replace(hostRoute({})),
    );
    const { routes, neighbors, fdb } = await node.readEntries([linkIndex]);
    assert.deepEqual(routes, node.routes());
    assert.deepEqual(
      neighbors.filter(({ state }) => state === NUD_PERMANENT),
      [podNeighbor],
    );
    assert.deepEqual(fdb, [entry]);
  });

  inWorld(
    'forwarding entries, and the end of a neighbor, are told to their author too, with what they are',
    async (world) => {
      const { node } = world;
      reach(node, { op: 'link.create', link: vxlan });
      const heard: KernelEvent[] = [];
      using _watch = world.watchNode(node.portIds, (event) => heard.push(event));
      const entry = {
        linkIndex: vxlan.index,
        mac: POD_MAC,
        destination: parseIp('192.168.1.3'),
        state: NUD_PERMANENT,
      };
      const neighbor = { ...podNeighbor, linkIndex: vxlan.index };
      reach(
        node,
        { op: 'neighbor.replace', neighbor },
        { op: 'neighbor.delete', neighbor },
        { op: 'fdb.replace', entry },
        { op: 'fdb.delete', entry },
      );
      const told = () => heard.filter(({ kind }) => kind === 'fdb' || kind === 'neighbor');
      await until('all were told', () => told().length === 3);
      const [gone, ...ends] = told();
      assert.ok(gone?.kind === 'neighbor' && gone.change === 'deleted' && gone.neighbor.ip === neighbor.ip);
      assert.deepEqual(ends, [
        { kind: 'fdb', change: 'new', entry },
        { kind: 'fdb', change: 'deleted', entry },
      ]);
    },
  );

  inWorld('who watches hears of what others change, and not of its own changes', async (world) => {
    const { node, stranger } = world;
    createVeth(world);
    const heard: KernelEvent[] = [];
    using _watch = world.watchNode(node.portIds, (event) => heard.push(event));
    reach(node, replace(hostRoute({ metric: 1 })), {
      op: 'neighbor.replace',
      neighbor: { ...podNeighbor, ip: parseIp('10.244.0.9') },
    });
    const rule: Rule = { family: 4, priority: 5, table: 5, protocol: PROTOCOL };
    reach(
      stranger,
      replace(hostRoute({})),
      { op: 'neighbor.replace', neighbor: podNeighbor },
      { op: 'rule.add', rule },
      { op: 'rule.delete', rule },
      { op: 'neighbor.delete', neighbor: podNeighbor },
      { op: 'route.delete', route: hostRoute({}) },
    );
    reach(stranger, {
      op: 'qdisc.replace',
      qdisc: { linkIndex: HOST_INDEX, parent: INGRESS_PARENT, kind: 'clsact' },
    });
    reach(stranger, { op: 'link.create', link: { index: 50, name: 'br0', kind: { type: 'bridge' } } });
    const count = (kind: KernelEvent['kind'], change: string) =>
      heard.filter((event) => event.kind === kind && 'change' in event && event.change === change).length;
    // The carrier of the veth is told of later than what causes it, by a worker of the kernel: before the bridge or behind it.
    const bridge = () => heard.find((event) => event.kind === 'link' && event.linkIndex === 50);
    await until(
      'the last changes were heard of',
      () => count('route', 'deleted') > 0 && count('queue', 'new') > 0 && bridge() !== undefined,
    );
    assert.deepEqual(
      [count('route', 'new'), count('route', 'deleted'), count('rule', 'new'), count('rule', 'deleted')],
      [1, 1, 1, 1],
    );
    assert.equal(count('neighbor', 'deleted'), 1);
    const neighbor = heard.find(({ kind }) => kind === 'neighbor');
    const queue = heard.find(({ kind }) => kind === 'queue');
    assert.deepEqual(bridge(), { kind: 'link', change: 'new', linkIndex: 50 });
    const route = heard.find((event) => event.kind === 'route' && event.route.protocol === PROTOCOL);
    assert.ok(route?.kind === 'route' && route.route.destination === hostRoute({}).destination);
    assert.deepEqual(queue, { kind: 'queue', change: 'new', linkIndex: HOST_INDEX });
    assert.deepEqual(neighbor, { kind: 'neighbor', change: 'new', neighbor: podNeighbor });
  });

  inWorld('a kernel that was closed answers no more', ({ pod }) => {
    pod.close();
    pod.close();
    assert.throws(() => pod.links(), TypeError);
    assert.throws(() => pod.apply([{ op: 'link.delete', index: 5 }]), TypeError);
  });
}
