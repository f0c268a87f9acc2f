/** Addresses and routes. */
import assert from 'node:assert/strict';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import type { Kernel, Operation } from '../../src/edge/netlink/kernel.ts';
import { MAIN_TABLE, type Route, SCOPE_LINK, SCOPE_UNIVERSE } from '../../src/edge/netlink/objects.ts';
import {
  byText,
  createVeth,
  entriesOn,
  errnos,
  HOST_INDEX,
  hostRoute,
  type InWorld,
  isV4,
  own,
  POD_INDEX,
  POD_IP,
  PROTOCOL,
  permanent,
  podAddress,
  reach,
  replace,
  v4,
  withoutLink,
} from './conformance-world.ts';

/** linux/if_addr.h. */
const IFA_F_PERMANENT = 0x80;

export function testRoutes(inWorld: InWorld): void {
  inWorld('an address is there once however often it is put there', (world) => {
    const { pod } = world;
    createVeth(world);
    const operation: Operation = { op: 'address.replace', address: podAddress };
    reach(pod, operation, operation);
    assert.deepEqual(v4(pod.addresses()), [{ ...podAddress, flags: IFA_F_PERMANENT }]);
    assert.deepEqual(
      errnos(pod, [
        { op: 'address.replace', address: { ...podAddress, linkIndex: 999 } },
        { op: 'address.delete', address: { ...podAddress, ip: parseIp('10.9.9.9') } },
        { op: 'address.delete', address: podAddress },
        { op: 'address.delete', address: podAddress },
      ]),
      ['ENODEV', 'EADDRNOTAVAIL', undefined, 'EADDRNOTAVAIL'],
    );
    assert.deepEqual(v4(pod.addresses()), []);
  });

  inWorld('the route to an address own range comes and goes with address and link', (world) => {
    const { pod } = world;
    createVeth(world);
    const address = { ...podAddress, prefixLength: 24 };
    const connected = () => pod.routes({ table: MAIN_TABLE }).filter(isV4);
    reach(pod, { op: 'address.replace', address });
    const route = {
      destination: '10.244.0.0/24',
      table: MAIN_TABLE,
      protocol: 2,
      type: 'unicast',
      scope: SCOPE_LINK,
      linkIndex: POD_INDEX,
      source: POD_IP,
    };
    assert.deepEqual(connected(), [route]);
    reach(pod, { op: 'link.change', change: { index: POD_INDEX, up: false } });
    assert.deepEqual(connected(), []);
    reach(pod, { op: 'link.change', change: { index: POD_INDEX, up: true } });
    assert.deepEqual(connected(), [route]);
    reach(pod, { op: 'address.delete', address });
    assert.deepEqual(connected(), []);
  });

  inWorld('a route is told apart by destination, table and metric', (world) => {
    const { node } = world;
    createVeth(world);
    const plain = hostRoute({});
    const later = hostRoute({ metric: 70 });
    const elsewhere = hostRoute({ table: 7010, mtu: 1300 });
    reach(node, ...[plain, later, elsewhere].map(replace));
    assert.deepEqual(own(node), [later, plain, elsewhere].toSorted(byText));
    // The same key again overwrites.
    reach(node, replace(withoutLink({ ...plain, type: 'unreachable', scope: SCOPE_UNIVERSE })));
    assert.equal(own(node).length, 3);
    assert.ok(own(node).some(({ type, metric }) => type === 'unreachable' && metric === undefined));
    reach(node, { op: 'route.delete', route: later });
    assert.deepEqual(errnos(node, [{ op: 'route.delete', route: later }]), ['ESRCH']);
    assert.equal(own(node).length, 2);
  });

  inWorld("a route of somebody else's is not deleted in place of ours", (world) => {
    const { node } = world;
    createVeth(world);
    const foreign = hostRoute({ protocol: 4 });
    reach(node, replace(foreign));
    assert.deepEqual(errnos(node, [{ op: 'route.delete', route: hostRoute({}) }]), ['ESRCH']);
    assert.deepEqual(node.routes({ protocol: 4 }), [foreign]);
  });

  inWorld('routes that discard need no link', ({ node }) => {
    const types = ['blackhole', 'unreachable', 'prohibit'] as const;
    const routes = types.map((type, index) =>
      withoutLink(hostRoute({ type, scope: SCOPE_UNIVERSE, metric: 70 + index })),
    );
    reach(node, ...routes.map(replace));
    assert.deepEqual(own(node), routes.toSorted(byText));
  });

  inWorld('routes are listed by table, protocol and link', (world) => {
    const { node } = world;
    createVeth(world);
    const routes = [hostRoute({}), hostRoute({ table: 7010 }), hostRoute({ metric: 9, protocol: 4 })];
    reach(node, ...routes.map(replace));
    const count = (filter?: Parameters<Kernel['routes']>[0]) => node.routes(filter).filter(isV4).length;
    assert.equal(count(), 3);
    assert.equal(count({ table: 7010 }), 1);
    assert.equal(count({ table: 4242 }), 0);
    assert.equal(count({ protocol: PROTOCOL }), 2);
    assert.equal(count({ protocol: PROTOCOL, table: MAIN_TABLE }), 1);
    assert.equal(count({ protocol: PROTOCOL, linkIndex: HOST_INDEX }), 2);
    assert.equal(count({ linkIndex: 1 }), 0);
  });

  inWorld('a gateway must be reachable, unless the route says that it is on the link', (world) => {
    const { pod } = world;
    createVeth(world);
    reach(pod, { op: 'address.replace', address: podAddress });
    const gateway = parseIp('10.244.0.1');
    const byGateway: Route = {
      ...hostRoute({ linkIndex: POD_INDEX, scope: SCOPE_UNIVERSE }),
      destination: parseCidr('0.0.0.0/0'),
      gateway,
      source: POD_IP,
    };
    assert.deepEqual(errnos(pod, [replace(byGateway)]), ['ENETUNREACH']);
    reach(pod, replace({ ...byGateway, onLink: true }));
    assert.deepEqual(own(pod), [{ ...byGateway, onLink: true }]);
    reach(pod, { op: 'route.delete', route: byGateway });
    const toGateway = hostRoute({ linkIndex: POD_INDEX, destination: parseCidr('10.244.0.1/32') });
    reach(pod, replace(toGateway), replace(byGateway));
    assert.deepEqual(own(pod), [byGateway, toGateway].toSorted(byText));
  });

  inWorld('a route needs a link that is there and up, and a source of this namespace', (world) => {
    const { node } = world;
    createVeth(world);
    reach(node, { op: 'link.create', link: { index: 50, name: 'br0', kind: { type: 'bridge' } } });
    assert.deepEqual(
      errnos(node, [
        replace(hostRoute({ linkIndex: 999 })),
        replace(hostRoute({ linkIndex: 50 })),
        replace(hostRoute({ source: parseIp('192.168.1.2') })),
      ]),
      ['ENODEV', 'ENETDOWN', 'EINVAL'],
    );
    const address = { linkIndex: HOST_INDEX, ip: parseIp('192.168.1.2'), prefixLength: 32, scope: 0 };
    const route = hostRoute({ source: address.ip });
    reach(node, { op: 'address.replace', address }, replace(route));
    assert.deepEqual(own(node), [route]);
    reach(node, { op: 'address.delete', address });
    assert.deepEqual(own(node), []);
  });

  inWorld('routes and neighbors of a link end when it goes down and do not come back', (world) => {
    const { node } = world;
    createVeth(world);
    reach(node, ...entriesOn(HOST_INDEX));
    assert.equal(own(node).length, 1);
    for (const up of [false, true]) {
      reach(node, { op: 'link.change', change: { index: HOST_INDEX, up } });
      assert.deepEqual([own(node), permanent(node)], [[], []]);
    }
    assert.equal(v4(node.addresses()).length, 1);
  });
}
