/** Whatever happens in the cluster and to the kernel: what a resync leaves out, a comparison of everything does not miss. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { parseCidr } from '../../base/ip/cidr.ts';
import { type Ip, parseIp } from '../../base/ip/ip.ts';
import { parseMac } from '../../base/ip/mac.ts';
import { runToEnd } from '../../base/run/slices.ts';
import { createRangeAcceptance } from '../../cluster/ranges/acceptance.ts';
import { acceptRanges } from '../../cluster/ranges/ranges.ts';
import { ROUTE_METRIC, ROUTE_PROTOCOL, VXLAN_LINKS } from '../../edge/marks/marks.ts';
import { createFakeNamespace, openFakeKernel, watchFakeKernel } from '../../edge/netlink/fake/fake.ts';
import type { Kernel, Operation } from '../../edge/netlink/kernel.ts';
import { MAIN_TABLE, NUD_PERMANENT } from '../../edge/netlink/objects.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { ATTACHMENT_GROUP, formatRecord } from '../../plan/pod/attachment.ts';
import { hostNeighbors, hostRoutes } from '../../plan/pod/plan.ts';
import type { LiveAttachment } from '../node/attachments.ts';
import { Resync, type ResyncInput } from './resync.ts';

const POD_NETWORK = [parseCidr('10.244.0.0/16')];
const SELF = 'node-0';
const ETH0 = 2;
/** Another program's. */
const DOCKER0 = 3;
/** Two of them overlap, and some nodes have the same. */
const RANGES = ['10.244.1.0/24', '10.244.2.0/24', '10.244.2.0/23', '10.244.4.0/24', '10.9.0.0/24'] as const;
/** On the link, and behind a router; some nodes have the same. */
const ADDRESSES = [
  '192.168.1.7',
  '192.168.1.8',
  '172.16.0.7',
  '172.16.0.8',
  // This node's own, now and then, and that of no machine.
  '192.168.1.9',
  '192.168.1.255',
] as const;

/** One node's kernel, as Fairlead and as another program. */
class World {
  readonly namespace = createFakeNamespace();
  readonly kernel: Kernel = openFakeKernel(this.namespace);
  readonly foreign: Kernel = openFakeKernel(this.namespace);
  readonly pods = new Map<string, LiveAttachment>();
  nodes = new Map<string, ClusterNode>();
  /** As the latest resync found them. */
  nodeIps: readonly Ip[] = [];
  port = 8472;
  #index = 1000;
  readonly nextIndex = () => ++this.#index;

  constructor() {
    this.touch(
      { op: 'link.change', change: { index: 1, up: true } },
      {
        op: 'link.create',
        link: { index: ETH0, name: 'eth0', up: true, mtu: 1500, kind: { type: 'bridge' } },
      },
      { op: 'link.create', link: { index: DOCKER0, name: 'docker0', up: true, kind: { type: 'bridge' } } },
      {
        op: 'address.replace',
        address: { linkIndex: ETH0, ip: parseIp('192.168.1.2'), prefixLength: 24, scope: 0 },
      },
    );
    this.setNode(0, '192.168.1.2', '10.244.0.0/24');
  }

  /** As another program. */
  touch(...operations: Operation[]): void {
    this.foreign.apply(operations);
  }

  setNode(index: number, ip: string, range: string, life = 0): void {
    this.nodes.set(`node-${index}`, {
      name: `node-${index}`,
      uid: `uid-${index}-${life}`,
      createdAt: '2026-01-01T00:00:00Z',
      internalIps: [parseIp(ip)],
      podCidrs: [parseCidr(range)],
    });
  }

  /** As an ADD does. */
  attach(number: number): void {
    if (this.pods.has(String(number))) return;
    const attachment: LiveAttachment = {
      network: 'fairlead',
      containerId: `pod-${number}`,
      ifname: 'eth0',
      ips: [parseIp(`10.244.0.${number + 2}`)],
      linkIndex: this.nextIndex(),
    };
    const { linkIndex } = attachment;
    const outcomes = this.kernel.apply([
      {
        op: 'link.create',
        link: {
          index: linkIndex,
          name: `pod${number}`,
          up: true,
          group: ATTACHMENT_GROUP,
          kind: { type: 'bridge' },
        },
      },
      ...hostNeighbors(attachment, linkIndex).map(
        (neighbor) => ({ op: 'neighbor.replace', neighbor }) as const,
      ),
      ...hostRoutes(attachment, linkIndex, this.nodeIps).map(
        (route) => ({ op: 'route.replace', route }) as const,
      ),
      { op: 'link.change', change: { index: linkIndex, alias: formatRecord(attachment)! } },
    ]);
    if (outcomes.every((refusal) => refusal === undefined)) this.pods.set(String(number), attachment);
    else this.kernel.apply([{ op: 'link.delete', index: linkIndex }]);
  }

  /** As a DEL does. */
  detach(number: number): void {
    const pod = this.pods.get(String(number));
    if (pod === undefined) return;
    this.pods.delete(String(number));
    this.kernel.apply([{ op: 'link.delete', index: pod.linkIndex }]);
  }

  input(accept: typeof acceptRanges): ResyncInput {
    const { nodes } = accept([...this.nodes.values()], POD_NETWORK);
    return {
      self: nodes.find(({ name }) => name === SELF),
      peers: nodes.filter(({ name }) => name !== SELF),
      attachments: () => [...this.pods.values()],
      isDeleting: () => false,
      settings: { podNetwork: POD_NETWORK, backend: 'auto', vxlan: { port: this.port, vni: 1 } },
    };
  }
}

const tunnelIndex = ({ foreign }: World) => foreign.link(VXLAN_LINKS[4])?.index ?? 0;
const pick = <T>(items: readonly T[], at: number): T[] =>
  items.length === 0 ? [] : [items[at % items.length]!];

/** What may happen, with a number that says to whom. */
const EVENTS: { [name: string]: (world: World, at: number) => void } = {
  'a node joins or changes': (world, at) =>
    world.setNode(
      1 + (at % 4),
      ADDRESSES[(at >> 2) % ADDRESSES.length]!,
      RANGES[(at >> 4) % 5]!,
      (at >> 7) % 2,
    ),
  'a node leaves': (world, at) => void world.nodes.delete(`node-${1 + (at % 4)}`),
  'a record is written again as it was': (world, at) => {
    const name = `node-${at % 5}`;
    const node = world.nodes.get(name);
    if (node !== undefined) world.nodes.set(name, { ...node });
  },
  'this node is forgotten': (world) => void world.nodes.delete(SELF),
  'this node is known': (world) => world.setNode(0, '192.168.1.2', '10.244.0.0/24'),
  'this node has another address': (world) => world.setNode(0, '192.168.1.9', '10.244.0.0/24'),
  'the tunnel has another port': (world, at) => void (world.port = 8472 + (at % 2)),
  'an address appears': (world) =>
    world.touch({
      op: 'address.replace',
      address: { linkIndex: ETH0, ip: parseIp('192.168.1.9'), prefixLength: 24, scope: 0 },
    }),
  'an address goes': (world, at) =>
    world.touch(
      ...pick(world.foreign.addresses(), at).map((address) => ({ op: 'address.delete', address }) as const),
    ),
  'the address is back': (world) =>
    world.touch({
      op: 'address.replace',
      address: { linkIndex: ETH0, ip: parseIp('192.168.1.2'), prefixLength: 24, scope: 0 },
    }),
  'a route is deleted': (world, at) =>
    world.touch(
      ...pick(world.foreign.routes({ protocol: ROUTE_PROTOCOL }), at).map(
        (route) => ({ op: 'route.delete', route }) as const,
      ),
    ),
  'a route is overwritten': (world, at) =>
    world.touch(
      ...pick(world.foreign.routes({ protocol: ROUTE_PROTOCOL }), at).map(
        ({ destination, table, metric = 0 }) =>
          ({
            op: 'route.replace',
            route: { destination, table, metric, protocol: 3, type: 'blackhole', scope: 0 },
          }) as const,
      ),
    ),
  "another's route into the pod network comes or goes": (world, at) => {
    const route = {
      destination: parseCidr('10.244.9.0/24'),
      table: MAIN_TABLE,
      protocol: 3,
      type: 'unicast',
      scope: 253,
      linkIndex: DOCKER0,
    } as const;
    world.touch({ op: at % 2 === 0 ? 'route.replace' : 'route.delete', route });
  },
  'a route that looks like ours is added': (world) =>
    world.touch({
      op: 'route.replace',
      route: {
        destination: parseCidr('10.244.77.0/24'),
        table: MAIN_TABLE,
        protocol: ROUTE_PROTOCOL,
        metric: ROUTE_METRIC,
        type: 'unreachable',
        scope: 0,
      },
    }),
  'a neighbor is deleted': (world, at) =>
    world.touch(
      ...pick(world.foreign.neighbors(), at).map(
        (neighbor) => ({ op: 'neighbor.delete', neighbor }) as const,
      ),
    ),
  'a neighbor is added': (world, at) =>
    world.touch({
      op: 'neighbor.replace',
      neighbor: {
        linkIndex: pick(
          [tunnelIndex(world), ...[...world.pods.values()].map((pod) => pod.linkIndex)],
          at,
        )[0]!,
        ip: parseIp('10.244.88.0'),
        mac: parseMac('02:00:00:00:00:01'),
        state: NUD_PERMANENT,
      },
    }),
  'a forwarding entry is deleted': (world, at) =>
    world.touch(
      ...pick(world.foreign.fdb(tunnelIndex(world)), at).map(
        (entry) => ({ op: 'fdb.delete', entry }) as const,
      ),
    ),
  'a rule is deleted': (world, at) =>
    world.touch(
      ...pick(
        world.foreign.rules().filter(({ protocol }) => protocol === ROUTE_PROTOCOL),
        at,
      ).map((rule) => ({ op: 'rule.delete', rule }) as const),
    ),
  'a link goes down or up': (world, at) =>
    world.touch(
      ...pick(world.foreign.links(), at >> 1).map(
        ({ index }) => ({ op: 'link.change', change: { index, up: at % 2 === 1 } }) as const,
      ),
    ),
  'the links are up': (world) =>
    world.touch(
      ...world.foreign
        .links()
        .map(({ index }) => ({ op: 'link.change', change: { index, up: true } }) as const),
    ),
  'the tunnel is deleted': (world) => world.touch({ op: 'link.delete', index: tunnelIndex(world) }),
  'the MTU changes': (world, at) =>
    world.touch({ op: 'link.change', change: { index: ETH0, mtu: 1400 + 50 * (at % 3) } }),
  'a pod is attached': (world, at) => world.attach(at % 3),
  'a pod is detached': (world, at) => world.detach(at % 3),
  nothing: () => undefined,
};

test('after any events a resync has reached all that a comparison of everything would', async () => {
  const event = fc.record({ what: fc.constantFrom(...Object.keys(EVENTS)), at: fc.nat(255) });
  // Several may happen before the next resync.
  const rounds = fc.array(fc.array(event, { minLength: 1, maxLength: 3 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(rounds, async (course) => {
      const world = new World();
      // Two of them have the same address.
      for (const at of [8, 25, 62, 35]) EVENTS['a node joins or changes']!(world, at);
      const resync = new Resync(world.kernel, world.nextIndex);
      using _watch = watchFakeKernel({
        namespace: world.namespace,
        own: world.kernel.portIds,
        onEvent: (told) => void resync.notice(told, world.pods),
      });
      const acceptance = createRangeAcceptance();
      for (const events of [[], ...course]) {
        for (const { what, at } of events) EVENTS[what]!(world, at);
        await setImmediate();
        const input = world.input((nodes, podNetwork) =>
          runToEnd(acceptance(nodes, { podNetwork, serviceNetwork: [] })),
        );
        const { reached, underlays, foreign } = await resync.run(input);
        if (underlays.length > 0) world.nodeIps = underlays.map(({ address }) => address);
        // As the runner does, which tries again.
        if (reached.failures.length > 0) resync.doubtAll();
        await setImmediate();
        const everything = await new Resync(world.kernel, world.nextIndex).run(world.input(acceptRanges));
        assert.deepEqual(everything.reached.applied, 0, 'a comparison of everything finds more to do');
        assert.deepEqual(foreign, everything.foreign);
        assert.equal(
          everything.problem === undefined,
          input.self !== undefined && everything.underlays.length > 0,
        );
      }
    }),
    { numRuns: 300 },
  );
});

test('what changes in the cluster alone costs what it changes: the kernel is not read', async () => {
  const world = new World();
  for (const [index, range] of RANGES.entries()) world.setNode(index + 1, `172.16.0.${index}`, range);
  const asked: string[] = [];
  // Every question to the kernel is noted.
  const kernel = new Proxy(world.kernel, {
    get: (target, name) => {
      if (name !== 'apply' && name !== 'applyAsync') asked.push(String(name));
      return Reflect.get(target, name) as unknown;
    },
  });
  const resync = new Resync(kernel, world.nextIndex);
  const acceptance = createRangeAcceptance();
  const run = async () => {
    asked.length = 0;
    const input = world.input((nodes, podNetwork) =>
      runToEnd(acceptance(nodes, { podNetwork, serviceNetwork: [] })),
    );
    return (await resync.run(input)).reached.applied;
  };
  await run();
  assert.equal(await run(), 0, 'the devices that it made are looked at once more');
  assert.ok(asked.includes('readEntries'));
  assert.deepEqual([await run(), asked], [0, []]);
  world.setNode(1, '172.16.0.99', RANGES[0]);
  assert.deepEqual([await run(), asked], [3, []], 'forwarding entry, route to the node, and the former one');
  world.nodes.delete('node-1');
  assert.deepEqual([await run(), asked], [4, []], 'and neighbor and route to the pods');
  world.setNode(1, '172.16.0.99', RANGES[0]);
  assert.deepEqual([await run(), asked], [4, []]);
});

test('ranges that are judged anew where something changed are judged as all of them would be', () => {
  const node = fc.record({
    number: fc.nat(6),
    range: fc.constantFrom(...RANGES, '10.244.0.0/16', '10.244.2.128/25', '10.244.2.0/31', 'fd00::/64'),
    second: fc.option(fc.constantFrom(...RANGES)),
    year: fc.integer({ min: 2020, max: 2022 }),
  });
  const change = fc.record({ node, gone: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 15 }), (course) => {
      const acceptance = createRangeAcceptance();
      const nodes = new Map<string, ClusterNode>();
      for (const changes of course) {
        for (const {
          node: { number, range, second, year },
          gone,
        } of changes) {
          const name = `node-${number}`;
          if (gone) nodes.delete(name);
          else
            nodes.set(name, {
              name,
              uid: `uid-${number}`,
              createdAt: `${year}-01-01T00:00:00Z`,
              internalIps: [],
              podCidrs: [range, ...(second === null ? [] : [second])].map((text) => parseCidr(text)),
            });
        }
        const all = [...nodes.values()];
        assert.deepEqual(
          runToEnd(acceptance(all, { podNetwork: POD_NETWORK, serviceNetwork: [] })),
          acceptRanges(all, POD_NETWORK),
        );
      }
    }),
    { numRuns: 1000 },
  );
});
