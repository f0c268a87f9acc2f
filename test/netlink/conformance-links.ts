/** Links: what creating, changing and deleting one does. */
import assert from 'node:assert/strict';
import { parseMac } from '../../src/base/ip/mac.ts';
import type { Operation } from '../../src/edge/netlink/kernel.ts';
import type { NewLink } from '../../src/edge/netlink/objects.ts';
import { until } from '../until.ts';
import {
  changeHost,
  createBridge,
  createTunnel,
  createVeth,
  entriesOn,
  errnos,
  HOST_INDEX,
  HOST_MAC,
  type InWorld,
  names,
  POD_INDEX,
  POD_MAC,
  podAddress,
  reach,
  veth,
  vxlan,
} from './conformance-world.ts';

export function testLinks(inWorld: InWorld): void {
  inWorld('the host end of a veth, and its routes, go with the namespace of the other end', async (world) => {
    createVeth(world);
    world.endPod();
    await until('the link is gone', () => world.node.link(HOST_INDEX) === undefined);
    assert.ok(world.node.routes().every(({ linkIndex }) => linkIndex !== HOST_INDEX));
  });

  inWorld('a new namespace holds a loopback that is down, and the usual rules', ({ node }) => {
    assert.deepEqual(
      node.links().map(({ index, name: link, up, loopback }) => ({ index, link, up, loopback })),
      [{ index: 1, link: 'lo', up: false, loopback: true }],
    );
    assert.deepEqual(node.addresses(), []);
    assert.deepEqual(node.routes(), []);
    assert.deepEqual(
      node.rules().filter(({ family }) => family === 4),
      [
        { family: 4, priority: 0, table: 255, protocol: 2 },
        { family: 4, priority: 32766, table: 254, protocol: 2 },
        { family: 4, priority: 32767, table: 253, protocol: 2 },
      ],
    );
  });

  inWorld('a veth is made with both ends in place, under the indexes that were chosen', (world) => {
    reach(world.node, { op: 'link.create', link: veth(world) });
    const host = world.node.link(HOST_INDEX);
    const { ipv4, ipv6, ...rest } = host ?? {};
    assert.notEqual(ipv4, undefined);
    assert.notEqual(ipv6, undefined);
    assert.deepEqual(
      { ...rest, peerNamespaceId: 'any' },
      {
        index: HOST_INDEX,
        name: 'host0',
        kind: 'veth',
        mac: HOST_MAC,
        mtu: 1400,
        up: true,
        running: false,
        loopback: false,
        group: 64016,
        altNames: [],
        peerIndex: POD_INDEX,
        peerNamespaceId: 'any',
      },
    );
    const pod = world.pod.link('eth0');
    assert.equal(pod?.index, POD_INDEX);
    assert.equal(pod?.mac, POD_MAC);
    assert.equal(pod?.peerIndex, HOST_INDEX);
    assert.equal(pod?.up, false);
    assert.notEqual(pod?.peerNamespaceId, undefined);
    assert.deepEqual(world.node.link('host0'), host);
  });

  inWorld('a veth carries when both of its ends are up', (world) => {
    createVeth(world);
    assert.equal(world.node.link(HOST_INDEX)?.running, true);
    assert.equal(world.pod.link(POD_INDEX)?.running, true);
    reach(world.pod, { op: 'link.change', change: { index: POD_INDEX, up: false } });
    assert.equal(world.node.link(HOST_INDEX)?.up, true);
    assert.equal(world.node.link(HOST_INDEX)?.running, false);
  });

  inWorld('a veth whose name or index is taken on either side leaves nothing behind', (world) => {
    createVeth(world);
    const second = (change: Partial<NewLink>, peer: { name?: string; index?: number }): Operation => ({
      op: 'link.create',
      link: {
        index: 101,
        name: 'host1',
        ...change,
        kind: { type: 'veth', peer: { name: 'eth1', index: 8, namespaceFd: world.podFd, ...peer } },
      },
    });
    assert.deepEqual(
      errnos(world.node, [
        second({ name: 'host0' }, {}),
        second({ index: HOST_INDEX }, {}),
        second({}, { name: 'eth0' }),
        second({}, { index: POD_INDEX }),
      ]),
      ['EEXIST', 'EEXIST', 'EEXIST', 'EBUSY'],
    );
    assert.deepEqual(names(world.node), ['host0', 'lo']);
    assert.deepEqual(names(world.pod), ['eth0', 'lo']);
    reach(world.node, second({}, {}));
  });

  inWorld('names and settings that no link can have are refused', ({ node }) => {
    assert.deepEqual(
      errnos(node, [
        createBridge({ name: 'sixteen-letters1' }),
        createBridge({ name: 'a/b' }),
        createBridge({ name: 'a b' }),
        createBridge({ mac: parseMac('01:00:5e:00:00:01') }),
        createBridge({ mac: parseMac('00:00:00:00:00:00') }),
      ]),
      ['ERANGE', 'EINVAL', 'EINVAL', 'EADDRNOTAVAIL', 'EADDRNOTAVAIL'],
    );
    assert.deepEqual(names(node), ['lo']);
  });

  inWorld('a link is changed field by field', (world) => {
    const { node } = world;
    createVeth(world);
    const before = node.link(HOST_INDEX);
    reach(node, changeHost({ alias: 'fairlead net=a container=b' }));
    assert.deepEqual(node.link(HOST_INDEX), { ...before, alias: 'fairlead net=a container=b' });
    const mac = parseMac('02:00:00:00:01:01');
    reach(node, changeHost({ mtu: 1300, group: 64029, mac, name: 'other0', alias: '' }));
    assert.deepEqual(node.link(HOST_INDEX), { ...before, mtu: 1300, group: 64029, mac, name: 'other0' });
    assert.equal(node.link('host0'), undefined);
  });

  inWorld('a change that cannot be is refused and changes nothing', (world) => {
    const { node } = world;
    createVeth(world);
    const before = node.links();
    assert.deepEqual(
      errnos(node, [
        { op: 'link.change', change: { index: 999, up: true } },
        changeHost({ mtu: 67 }),
        changeHost({ mtu: 65_536 }),
        changeHost({ alias: 'x'.repeat(256) }),
        changeHost({ mac: parseMac('ff:ff:ff:ff:ff:ff') }),
        changeHost({ name: 'lo' }),
      ]),
      ['ENODEV', 'EINVAL', 'EINVAL', 'ERANGE', 'EADDRNOTAVAIL', 'EEXIST'],
    );
    assert.deepEqual(node.links(), before);
    reach(node, changeHost({ alias: 'ä'.repeat(127) }));
    assert.equal(node.link(HOST_INDEX)?.alias, 'ä'.repeat(127));
  });

  inWorld('what nobody has is not found', ({ node }) => {
    assert.equal(node.link('nobody'), undefined);
    assert.equal(node.link(''), undefined);
    assert.equal(node.link('x'.repeat(500)), undefined);
    assert.equal(node.link(4711), undefined);
    assert.equal(node.link(0), undefined);
    assert.equal(node.link(-1), undefined);
  });

  inWorld('deleting one end of a veth takes the other along, and what is on both', (world) => {
    const { node, pod } = world;
    createVeth(world);
    reach(node, ...entriesOn(HOST_INDEX));
    reach(pod, { op: 'address.replace', address: { ...podAddress, prefixLength: 24 } });
    reach(node, { op: 'link.delete', index: HOST_INDEX });
    assert.deepEqual([...names(node), ...names(pod)], ['lo', 'lo']);
    assert.deepEqual([node.addresses(), node.neighbors(), node.routes()], [[], [], []]);
    assert.deepEqual([pod.addresses(), pod.routes()], [[], []]);
    assert.deepEqual(errnos(node, [{ op: 'link.delete', index: HOST_INDEX }]), ['ENODEV']);
  });

  inWorld('alternative names are there all or none, and find the link', (world) => {
    createVeth(world);
    const { node } = world;
    const add = (...added: string[]): Operation => ({ op: 'link.addNames', index: HOST_INDEX, names: added });
    reach(node, add('fl1.tcp.8080.80.any', 'fl1.udp.53.53.fd00__1'));
    assert.deepEqual(node.link(HOST_INDEX)?.altNames, ['fl1.tcp.8080.80.any', 'fl1.udp.53.53.fd00__1']);
    assert.equal(node.link('fl1.tcp.8080.80.any')?.index, HOST_INDEX);
    assert.deepEqual(errnos(node, [add('fl1.tcp.8080.80.any'), add('x'.repeat(128)), add('new')]), [
      'EEXIST',
      'ERANGE',
      undefined,
    ]);
  });

  inWorld('a group of links is deleted at once', ({ node }) => {
    reach(
      node,
      createBridge({ index: 10, name: 'br10', group: 64029 }),
      createBridge({ index: 11, name: 'br11', group: 64029 }),
      createBridge({ index: 12, name: 'br12', group: 5 }),
    );
    reach(node, { op: 'link.deleteGroup', group: 64029 });
    assert.deepEqual(names(node), ['br12', 'lo']);
    assert.deepEqual(
      errnos(node, [
        { op: 'link.deleteGroup', group: 64029 },
        { op: 'link.delete', index: 1 },
      ]),
      ['ENODEV', 'EOPNOTSUPP'],
    );
  });

  inWorld('a VXLAN device keeps what it was made with', ({ node }) => {
    reach(node, { op: 'link.create', link: vxlan });
    const made = node.link('tunnel0');
    assert.equal(made?.kind, 'vxlan');
    assert.equal(made?.mtu, 1450);
    assert.deepEqual(made?.vxlan, {
      vni: 1,
      port: 8472,
      local: '192.168.1.2',
      learning: false,
      udpChecksum: true,
    });
    assert.deepEqual(errnos(node, [createTunnel('tunnel1', 1), createTunnel('tunnel2', 2)]), [
      'EEXIST',
      undefined,
    ]);
  });

  inWorld('a VXLAN device follows its lower link', (world) => {
    createVeth(world);
    const kind = { type: 'vxlan', vni: 5, port: 4789, learning: true, lowerIndex: HOST_INDEX } as const;
    reach(world.node, { op: 'link.create', link: { index: 60, name: 'tunnel5', kind } });
    assert.equal(world.node.link(60)?.vxlan?.lowerIndex, HOST_INDEX);
    assert.equal(world.node.link(60)?.vxlan?.learning, true);
    assert.equal(world.node.link(60)?.mtu, 1350);
  });

  inWorld('a link becomes the port of a bridge and leaves it again', (world) => {
    createVeth(world);
    reach(
      world.node,
      { op: 'link.create', link: { index: 50, name: 'br0', up: true, kind: { type: 'bridge' } } },
      { op: 'link.change', change: { index: HOST_INDEX, master: 50 } },
    );
    assert.equal(world.node.link(HOST_INDEX)?.master, 50);
    reach(world.node, { op: 'link.change', change: { index: HOST_INDEX, master: 0 } });
    assert.equal(world.node.link(HOST_INDEX)?.master, undefined);
  });
}
