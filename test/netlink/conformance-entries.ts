/** Neighbors, forwarding entries, rules and the settings of a link. */
import assert from 'node:assert/strict';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { type FdbEntry, NUD_PERMANENT, type Rule } from '../../src/edge/netlink/objects.ts';
import {
  createVeth,
  errnos,
  HOST_INDEX,
  HOST_MAC,
  type InWorld,
  POD_MAC,
  PROTOCOL,
  permanent,
  podNeighbor,
  reach,
  vxlan,
} from './conformance-world.ts';

export function testEntries(inWorld: InWorld): void {
  inWorld('a neighbor is told apart by link and address', (world) => {
    const { node } = world;
    createVeth(world);
    const moved = { ...podNeighbor, mac: HOST_MAC };
    reach(node, { op: 'neighbor.replace', neighbor: podNeighbor });
    assert.deepEqual(permanent(node), [podNeighbor]);
    reach(node, { op: 'neighbor.replace', neighbor: moved });
    assert.deepEqual(permanent(node, HOST_INDEX), [moved]);
    assert.deepEqual(node.neighbors(1), []);
    assert.deepEqual(
      errnos(node, [
        { op: 'neighbor.replace', neighbor: { ...podNeighbor, linkIndex: 999 } },
        { op: 'neighbor.delete', neighbor: { ...podNeighbor, linkIndex: 999 } },
        { op: 'neighbor.delete', neighbor: podNeighbor },
        { op: 'neighbor.delete', neighbor: podNeighbor },
      ]),
      ['ENODEV', 'ENODEV', undefined, 'ENOENT'],
    );
    assert.deepEqual(permanent(node), []);
  });

  inWorld('one MAC address leads to one tunnel end', (world) => {
    const { node } = world;
    createVeth(world);
    reach(node, { op: 'link.create', link: vxlan });
    const entry: FdbEntry = {
      linkIndex: vxlan.index,
      mac: POD_MAC,
      destination: parseIp('192.168.1.3'),
      state: NUD_PERMANENT,
    };
    const moved = { ...entry, destination: parseIp('192.168.1.4') };
    reach(node, { op: 'fdb.replace', entry });
    assert.deepEqual(node.fdb(vxlan.index), [entry]);
    reach(node, { op: 'fdb.replace', entry: moved });
    assert.deepEqual(node.fdb(vxlan.index), [moved]);
    for (const up of [false, true]) reach(node, { op: 'link.change', change: { index: vxlan.index, up } });
    assert.deepEqual(node.fdb(vxlan.index), [moved]);
    assert.deepEqual(
      errnos(node, [
        { op: 'fdb.replace', entry: { ...entry, linkIndex: 999 } },
        { op: 'fdb.delete', entry: { ...entry, mac: HOST_MAC } },
        { op: 'fdb.delete', entry: moved },
      ]),
      ['ENODEV', 'ENOENT', undefined],
    );
    assert.deepEqual(node.fdb(vxlan.index), []);
  });

  inWorld('a rule is there once', ({ node }) => {
    const rule: Rule = {
      family: 4,
      priority: 7010,
      table: 7010,
      protocol: PROTOCOL,
      from: parseCidr('10.244.0.0/24'),
    };
    const marked: Rule = {
      family: 4,
      priority: 7010,
      table: 100,
      protocol: PROTOCOL,
      to: parseCidr('10.0.0.0/8'),
      inputLink: 'lo',
      fwmark: 0x10,
      fwmask: 0xf0,
    };
    reach(node, { op: 'rule.add', rule }, { op: 'rule.add', rule: marked });
    assert.deepEqual(
      node.rules().filter(({ protocol }) => protocol === PROTOCOL),
      [rule, marked],
    );
    assert.deepEqual(
      errnos(node, [
        { op: 'rule.add', rule },
        { op: 'rule.delete', rule },
        { op: 'rule.delete', rule },
      ]),
      ['EEXIST', undefined, 'ENOENT'],
    );
  });

  inWorld('a link has its own forwarding and reverse path filter', (world) => {
    const { node } = world;
    createVeth(world);
    const settings = () =>
      node
        .networkConfigurations()
        .find(({ scope }) => typeof scope === 'object' && scope.link === HOST_INDEX);
    for (const [forwarding, rpFilter] of [
      [true, 2],
      [false, 1],
    ] as const) {
      const ipv4 = { forwarding, rpFilter, proxyArp: forwarding };
      reach(node, { op: 'link.change', change: { index: HOST_INDEX, ipv4 } });
      assert.deepEqual(settings(), { family: 4, scope: { link: HOST_INDEX }, forwarding, rpFilter });
    }
    const scopes = node.networkConfigurations().map(({ scope }) => scope);
    assert.deepEqual(
      [scopes.includes('all'), scopes.includes('default'), scopes.length],
      [true, true, 2 + 2],
    );
  });
}
