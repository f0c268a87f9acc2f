/** What we read from the kernel, and what iproute2 reads from it, are the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { parseMac } from '../../src/base/ip/mac.ts';
import type { Kernel, Operation } from '../../src/edge/netlink/kernel.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { INGRESS_PARENT, NUD_PERMANENT, type Qdisc, ROOT_PARENT } from '../../src/edge/netlink/objects.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { sameQdisc } from '../../src/edge/netlink/state/identity.ts';
import { createNamespace, type TestNamespace } from '../namespace.ts';

type Json = Record<string, unknown>;

/** Runs `body` in a namespace that iproute2 has furnished with one of everything. */
function inFurnished(title: string, body: (kernel: Kernel, namespace: TestNamespace) => void): void {
  void test(title, () => {
    using namespace = createNamespace();
    using opened = NetworkNamespace.open(namespace.path);
    using kernel = openKernel(opened);
    for (const line of FURNITURE.trim().split('\n')) {
      const [command = '', ...words] = line.trim().split(' ');
      namespace.exec(command, ...words);
    }
    body(kernel, namespace);
  });
}

const FURNITURE = `
  ip link set lo up
  ip link add veth0 index 10 address 02:00:00:00:00:10 mtu 1400 type veth peer name veth1 index 11
  ip link set veth0 up alias an-alias-of-veth0 group 77
  ip link set veth1 up
  ip link property add dev veth0 altname a-name-that-is-longer-than-fifteen altname short
  ip link add br0 index 12 type bridge
  ip link set veth1 master br0
  ip addr add 192.168.1.2/24 dev veth0
  ip addr add 10.0.0.1 peer 10.0.0.2/32 dev veth0
  ip addr add fd00::2/64 dev veth0 nodad
  ip link add tunnel0 index 13 type vxlan id 42 dstport 8472 local 192.168.1.2 dev veth0 nolearning noudpcsum
  ip link set tunnel0 up
  ip route add 10.1.0.0/16 via 192.168.1.3 proto 70 metric 70 src 192.168.1.2 mtu 1300
  ip route add 10.2.0.0/16 via 10.9.9.9 dev tunnel0 onlink proto 70
  ip route add unreachable 10.3.0.0/16 table 7010 metric 5
  ip route add 10.4.0.0/16 nexthop via 192.168.1.3 nexthop via 192.168.1.4
  ip route add 10.5.0.0/16 via inet6 fd00::9 dev veth0
  ip route add fd01::/64 via fd00::3 proto 70
  ip rule add from 10.244.0.0/24 table 7010 priority 7010 protocol 70
  ip rule add to 10.0.0.0/8 iif lo fwmark 0x10/0xf0 table 100 priority 100
  ip rule add from 10.0.0.0/8 blackhole priority 101
  ip neigh add 192.168.1.3 lladdr 02:00:00:00:00:03 dev veth0 nud permanent
  ip neigh add fd00::3 lladdr 02:00:00:00:00:03 dev veth0 nud permanent
  bridge fdb add 02:00:00:00:00:04 dev tunnel0 dst 192.168.1.4 self permanent
  bridge fdb append 00:00:00:00:00:00 dev tunnel0 dst 192.168.1.5 self permanent
`;

inFurnished('links', (kernel, namespace) => {
  const theirs = json(namespace, 'ip', '-d', 'link', 'show').map((link) => {
    const info = field(link, 'linkinfo');
    return {
      index: link['ifindex'],
      name: link['ifname'],
      kind: info?.['info_kind'],
      mac: link['address'],
      mtu: link['mtu'],
      alias: link['ifalias'],
      altNames: link['altnames'] ?? [],
      group: GROUP_NAMES.get(String(link['group'])) ?? Number(link['group']),
      master: link['master'],
    };
  });
  const ours = kernel.links();
  assert.deepEqual(
    ours.map(({ index, name, kind, mac, mtu, alias, altNames, group, master }) => ({
      index,
      name,
      kind,
      mac,
      mtu,
      alias,
      altNames,
      group,
      master: ours.find((link) => link.index === master)?.name,
    })),
    theirs,
  );
  assert.deepEqual(kernel.link('tunnel0')?.vxlan, {
    vni: 42,
    port: 8472,
    local: '192.168.1.2',
    lowerIndex: 10,
    learning: false,
    udpChecksum: false,
  });
  assert.equal(kernel.link('a-name-that-is-longer-than-fifteen')?.index, 10);
  assert.equal(kernel.link('short')?.index, 10);
});

inFurnished('addresses', (kernel, namespace) => {
  const theirs = json(namespace, 'ip', 'addr', 'show').flatMap((link) =>
    list(link['addr_info']).map((address) => ({
      linkIndex: link['ifindex'],
      ip: address['local'],
      prefixLength: address['prefixlen'],
      scope: SCOPES.get(String(address['scope'])),
    })),
  );
  assert.deepEqual(
    kernel
      .addresses()
      .map(({ flags: _flags, ...address }) => address)
      .toSorted(byText),
    theirs.toSorted(byText),
  );
});

inFurnished('routes', (kernel, namespace) => {
  const indexes = new Map(kernel.links().map(({ index, name }) => [name, index]));
  const theirs = ['-4', '-6']
    .flatMap((family) => json(namespace, 'ip', family, '-d', '-N', 'route', 'show', 'table', 'all'))
    .map((route) => ({
      destination: destination(String(route['dst']), route),
      table: Number(route['table'] ?? 254),
      protocol: Number(route['protocol']),
      type: ROUTE_TYPES.get(String(route['type'])) ?? 'other',
      gateway: route['gateway'],
      linkIndex: indexes.get(String(route['dev'])),
      source: route['prefsrc'],
      metric: route['metric'],
      onLink: JSON.stringify(route['flags']).includes('onlink') || undefined,
    }));
  assert.deepEqual(
    kernel
      .routes()
      .map(({ destination: to, table, protocol, type, gateway, linkIndex, source, metric, onLink }) => ({
        destination: to,
        table,
        protocol,
        type,
        gateway,
        linkIndex,
        source,
        metric,
        onLink,
      }))
      .toSorted(byText),
    theirs.toSorted(byText),
  );
  assert.equal(kernel.routes({ protocol: 70 }).find(({ metric }) => metric === 70)?.mtu, 1300);
});

inFurnished('neighbors', (kernel, namespace) => {
  const theirs = json(namespace, 'ip', 'neigh', 'show', 'nud', 'permanent').map((neighbor) => ({
    linkIndex: kernel.link(String(neighbor['dev']))?.index,
    ip: neighbor['dst'],
    state: NUD_PERMANENT,
    mac: neighbor['lladdr'],
  }));
  const ours = kernel.neighbors().filter(({ state }) => state === NUD_PERMANENT);
  assert.equal(ours.length, 2);
  assert.deepEqual(ours.toSorted(byText), theirs.toSorted(byText));
});

inFurnished('forwarding entries', (kernel, namespace) => {
  const theirs = json(namespace, 'bridge', 'fdb', 'show', 'dev', 'tunnel0').map((entry) => ({
    mac: entry['mac'],
    destination: entry['dst'],
  }));
  const ours = kernel.fdb(13).map(({ mac, destination: to }) => ({ mac, destination: to }));
  assert.equal(ours.length, 2);
  assert.deepEqual(ours.toSorted(byText), theirs.toSorted(byText));
});

inFurnished('rules', (kernel, namespace) => {
  const ours = kernel.rules().filter(({ family }) => family === 4);
  assert.deepEqual(
    ours.map(({ priority, table, protocol }) => [priority, table, protocol]),
    json(namespace, 'ip', '-N', '-d', 'rule', 'show')
      .filter((rule) => rule['table'] !== undefined)
      .map((rule) => [rule['priority'], Number(rule['table']), Number(rule['protocol'] ?? 0)]),
  );
  assert.deepEqual(
    ours.filter(({ priority }) => priority === 100 || priority === 7010),
    [
      {
        family: 4,
        priority: 100,
        table: 100,
        protocol: 0,
        to: '10.0.0.0/8',
        inputLink: 'lo',
        fwmark: 0x10,
        fwmask: 0xf0,
      },
      { family: 4, priority: 7010, table: 7010, protocol: 70, from: '10.244.0.0/24' },
    ],
  );
});

inFurnished('network configurations', (kernel, namespace) => {
  namespace.exec('sysctl', '-q', '-w', 'net.ipv4.conf.veth0.rp_filter=2', 'net.ipv4.conf.veth0.forwarding=1');
  assert.deepEqual(
    kernel.networkConfigurations().find(({ scope }) => typeof scope === 'object' && scope.link === 10),
    { family: 4, scope: { link: 10 }, forwarding: true, rpFilter: 2 },
  );
  assert.equal(kernel.networkConfigurations().length, kernel.links().length + 2);
});

void test('what we write is what iproute2 shows', () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using kernel = openKernel(opened);
  const operations: Operation[] = [
    { op: 'link.change', change: { index: 1, up: true } },
    {
      op: 'link.create',
      link: {
        index: 20,
        name: 'host0',
        mtu: 1400,
        group: 64016,
        up: true,
        kind: { type: 'veth', peer: { name: 'eth0', index: 21, mac: parseMac('02:00:00:00:00:21') } },
      },
    },
    { op: 'link.change', change: { index: 21, up: true } },
    { op: 'link.change', change: { index: 20, alias: 'the record', ipv4: { proxyArp: true, rpFilter: 1 } } },
    {
      op: 'address.replace',
      address: { linkIndex: 20, ip: parseIp('192.168.1.2'), prefixLength: 24, scope: 0 },
    },
    {
      op: 'route.replace',
      route: {
        destination: parseCidr('10.244.1.0/24'),
        table: 254,
        protocol: 70,
        type: 'unicast',
        scope: 0,
        gateway: parseIp('192.168.1.3'),
        linkIndex: 20,
        source: parseIp('192.168.1.2'),
        metric: 70,
        mtu: 1350,
      },
    },
    {
      op: 'route.replace',
      route: {
        destination: parseCidr('10.244.0.0/16'),
        table: 7010,
        protocol: 70,
        type: 'unreachable',
        scope: 0,
        metric: 71,
      },
    },
  ];
  assert.deepEqual(
    kernel.apply(operations),
    operations.map(() => undefined),
  );
  const [link] = json(namespace, 'ip', '-d', 'link', 'show', 'host0');
  assert.deepEqual([link?.['ifalias'], link?.['group'], link?.['mtu']], ['the record', '64016', 1400]);
  assert.equal(
    namespace.exec('ip', '-N', 'route', 'show', 'proto', '70').trim(),
    '10.244.1.0/24 via 192.168.1.3 dev host0 src 192.168.1.2 metric 70 mtu 1350',
  );
  assert.equal(
    namespace.exec('ip', 'route', 'show', 'table', '7010').trim(),
    'unreachable 10.244.0.0/16 proto 70 metric 71',
  );
  const settings = ['proxy_arp', 'rp_filter'].map((name) =>
    namespace.exec('cat', `/proc/sys/net/ipv4/conf/host0/${name}`).trim(),
  );
  assert.deepEqual(settings, ['1', '1']);
});

void test('limits: tc shows what we write, and we read what tc writes', (context) => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using kernel = openKernel(opened);
  const veth: Operation = {
    op: 'link.create',
    link: { index: 20, name: 'host0', up: true, kind: { type: 'veth', peer: { name: 'eth0', index: 21 } } },
  };
  const limit = (linkIndex: number, tbf: NonNullable<Qdisc['tbf']>): Operation => ({
    op: 'qdisc.replace',
    qdisc: { linkIndex, parent: ROOT_PARENT, kind: 'tbf', tbf },
  });
  const operations: Operation[] = [
    veth,
    { op: 'link.create', link: { index: 30, name: 'shaper0', up: true, kind: { type: 'ifb' } } },
    limit(20, { rate: 1_250_000, burst: 32_768, limit: 100_000 }),
    limit(30, { rate: 12_500_000_000, burst: 4_000_000, limit: 9_000_000 }),
    { op: 'qdisc.replace', qdisc: { linkIndex: 20, parent: INGRESS_PARENT, kind: 'clsact' } },
    { op: 'redirect.replace', redirect: { linkIndex: 20, priority: 7010, to: 30 } },
  ];
  const refused = kernel.apply(operations).find((error) => error !== undefined);
  if (refused !== undefined) return context.skip(`this kernel cannot limit: ${refused.message}`);
  const shown = namespace.exec('tc', '-d', 'qdisc', 'show');
  assert.match(shown, /^qdisc tbf \S+ dev host0 root .*rate 10Mbit burst 32Kb/m);
  assert.match(shown, /^qdisc tbf \S+ dev shaper0 root .*rate 100Gbit burst (39|40)\d{5}b/m);
  assert.match(shown, /^qdisc clsact ffff: dev host0 parent ffff:fff1/m);
  const filter = namespace.exec('tc', 'filter', 'show', 'dev', 'host0', 'ingress');
  assert.match(
    filter,
    /protocol all pref 7010 u32 .*terminal[\s\S]*Egress Redirect to device shaper0\) stolen/,
  );
  const tc = (...words: string[]) => namespace.exec('tc', ...words);
  tc(...'qdisc replace dev host0 root tbf rate 80mbit burst 65536b limit 70000b'.split(' '));
  tc(...'filter delete dev host0 ingress'.split(' '));
  tc(
    ...'filter add dev host0 ingress protocol ip u32 match u32 0 0 action mirred egress redirect dev shaper0'.split(
      ' ',
    ),
  );
  tc(
    ...'filter add dev host0 ingress pref 9 protocol all u32 match u8 1 1 at 0 action mirred egress redirect dev shaper0'.split(
      ' ',
    ),
  );
  const theirs = kernel.qdiscs().find(({ linkIndex, kind }) => linkIndex === 20 && kind === 'tbf');
  const wanted = { rate: 10_000_000, burst: 65_536, limit: 70_000 };
  assert.equal(
    theirs !== undefined &&
      sameQdisc({ linkIndex: 20, parent: ROOT_PARENT, kind: 'tbf', tbf: wanted }, theirs),
    true,
    JSON.stringify(theirs),
  );
  assert.deepEqual(kernel.redirects(20), [], 'filters that pick packets do not hand over all');
});

const GROUP_NAMES = new Map([['default', 0]]);
const SCOPES = new Map([
  ['global', 0],
  ['link', 253],
  ['host', 254],
]);
const ROUTE_TYPES = new Map([
  ['1', 'unicast'],
  ['unicast', 'unicast'],
  ['7', 'unreachable'],
  ['unreachable', 'unreachable'],
]);

function destination(text: string, route: Json): string {
  if (text === 'default') return String(route['gateway']).includes(':') ? '::/0' : '0.0.0.0/0';
  return text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`;
}

/** iproute2 prints absent values as empty objects here and there. */
function json(namespace: TestNamespace, ...[command = '', ...words]: string[]): Json[] {
  const parsed: unknown = JSON.parse(namespace.exec(command, '-j', ...words));
  return list(parsed).filter((entry) => Object.keys(entry).length > 0);
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? value : [];
}

function field(object: Json, name: string): Json | undefined {
  return list([object[name]])[0];
}

function byText(a: object, b: object): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}
