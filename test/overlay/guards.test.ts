/** What pods and strangers may not send, with real packets through the node's own table and links set as planned. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { probe } from '../../lab/prober.ts';
import { LinkSettler } from '../../src/agent/settings/link-settler.ts';
import { writeSysctls } from '../../src/agent/settings/sysctl.ts';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { readInherited } from '../../src/datapath/nftables/inherited.ts';
import { createNodeTablePlanner, TABLE } from '../../src/datapath/nftables/node-table.ts';
import { createTunnelSets } from '../../src/datapath/nftables/tunnel-guard.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import { openSysctls } from '../../src/edge/sysctl/sysctls.ts';
import type { ClusterNode } from '../../src/plan/node/cluster-node.ts';
import { ATTACHMENT_GROUP, DELETING_GROUP } from '../../src/plan/pod/attachment.ts';
import { createNamespace, type TestNamespace } from '../namespace.ts';

const [node, pod, peer] = [createNamespace('guard'), createNamespace('pod'), createNamespace('peer')];
const namespace = NetworkNamespace.open(node.path);
const kernel = openKernel(namespace);
const nftables = openNftables(namespace);
after(() => {
  nftables[Symbol.dispose]();
  kernel[Symbol.dispose]();
  namespace[Symbol.dispose]();
  for (const one of [peer, pod, node]) one[Symbol.dispose]();
});

const TUNNEL_MAC = '02:00:00:00:00:01';

function nodeOf(name: string, ips: string[], ranges: string[]): ClusterNode {
  return {
    name,
    uid: name,
    createdAt: '2026-01-01T00:00:00Z',
    internalIps: ips.map((ip) => parseIp(ip)),
    podCidrs: ranges.map((range) => parseCidr(range)),
  };
}

/** A link with a host in a namespace of its own at the other end. */
function connect(host: TestNamespace, name: string, near: string[], far: string[], group = 0): void {
  const [at, index] = [host.name, 'eth0'];
  node.exec('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', index, 'netns', at);
  node.exec('ip', 'link', 'set', name, 'group', String(group), 'up');
  for (const link of ['lo', index]) host.exec('ip', 'link', 'set', link, 'up');
  for (const ip of near) node.exec('ip', 'address', 'add', ip, 'dev', name, 'nodad');
  for (const ip of far) host.exec('ip', 'address', 'add', ip, 'dev', index, 'nodad');
}

/** The namespace's own end of a tunnel that leads to the node, and all of the pod network behind it. */
function tunnelFrom(host: TestNamespace, local: string, remote: string): void {
  const options = ['id', '1', 'dstport', '8472', 'local', local, 'remote', remote, 'dev', 'eth0'];
  host.exec('ip', 'link', 'add', 'evil', 'type', 'vxlan', ...options, 'nolearning');
  // What it says by itself would be counted.
  host.exec('nft', 'add table inet quiet; add chain inet quiet out { type filter hook output priority 0; }');
  host.exec('nft', 'add rule inet quiet out oifname evil ip6 daddr ff00::/8 drop');
  host.exec('ip', 'link', 'set', 'evil', 'addrgenmode', 'none', 'up');
  for (const [ip, via] of [
    ['10.244.0.0/24', '10.244.0.1'],
    ['fd00:244::/64', 'fe80::1'],
  ] as const) {
    host.exec('ip', 'neighbor', 'replace', via, 'lladdr', TUNNEL_MAC, 'dev', 'evil');
    host.exec('ip', 'route', 'replace', ip, 'via', via, 'dev', 'evil', 'onlink');
  }
}

node.exec('ip', 'link', 'set', 'lo', 'up');
for (const setting of ['ipv4/ip_forward=1', 'ipv6/conf/all/forwarding=1', 'ipv6/conf/default/accept_ra=2'])
  node.exec('sysctl', '-qw', `net/${setting}`);
connect(
  pod,
  'pod0',
  ['10.244.0.1/32', 'fd00:244::1/128'],
  ['10.244.0.2/32', 'fd00:244::2/128'],
  ATTACHMENT_GROUP,
);
connect(
  peer,
  'eth0',
  ['192.168.1.2/24', 'fd00:1::2/64'],
  ['192.168.1.3/24', '192.168.1.9/24', 'fd00:1::3/64'],
);
for (const [ip, via] of [
  ['10.244.0.2', '10.244.0.1'],
  ['fd00:244::2', 'fd00:244::1'],
] as const) {
  node.exec('ip', 'route', 'add', ip, 'dev', 'pod0');
  pod.exec('ip', 'route', 'add', via, 'dev', 'eth0');
  pod.exec('ip', 'route', 'add', 'default', 'via', via, 'dev', 'eth0');
}
node.exec(
  ...'ip link add fl-vxlan type vxlan id 1 dstport 8472 local 192.168.1.2 dev eth0 nolearning'.split(' '),
);
node.exec('ip', 'link', 'set', 'fl-vxlan', 'address', TUNNEL_MAC, 'up');
tunnelFrom(peer, '192.168.1.3', '192.168.1.2');

const NODES = [
  nodeOf('self', ['192.168.1.2', 'fd00:1::2'], ['10.244.0.0/24', 'fd00:244::/64']),
  nodeOf('peer', ['192.168.1.3', 'fd00:1::3'], ['10.244.1.0/24', 'fd00:244:0:1::/64', '10.244.16.0/20']),
  nodeOf('third', ['192.168.1.4'], ['10.244.2.0/24', 'fd00:244:0:2::/64']),
];
const table = createNodeTablePlanner()({
  ranges: NODES[0]!.podCidrs,
  podNetwork: [parseCidr('10.244.0.0/16'), parseCidr('fd00:244::/48')],
  strays: [],
  nodes: NODES,
  exclude: [],
  untracked: true,
  tracked: [],
  masquerade: true,
  tunnel: {
    port: 8472,
    vni: 1,
    localIps: NODES[0]!.internalIps,
    sets: createTunnelSets()(NODES, 'self'),
  },
});
await nftables.replace(table);
const attachment = {
  network: 'fairlead',
  containerId: 'c',
  ifname: 'eth0',
  ips: [parseIp('10.244.0.2'), parseIp('fd00:244::2')],
  linkIndex: kernel.link('pod0')!.index,
};
const settler = new LinkSettler(kernel);
const settle = () =>
  settler.settle({
    links: kernel.links(),
    attachments: [attachment],
    families: [4, 6],
    write: (settings) => writeSysctls(settings, openSysctls('/proc/sys'), namespace),
  });
settle();

/** What counted packets while something was sent. */
async function counted(send: () => Promise<unknown>): Promise<string[]> {
  const before = await nftables.counts(TABLE);
  await send();
  const now = await nftables.counts(TABLE);
  return [...now]
    .filter(([name, { packets }]) => packets > (before.get(name)?.packets ?? 0))
    .map(([name]) => name);
}

/** One echo request from the sender's own address. @returns whether it was answered. */
async function ping(from: TestNamespace, address: string, size = 56, timeoutMs = 2000): Promise<boolean> {
  const target = { id: 1, protocol: 'icmp', address, port: 0, size, timeoutMs } as const;
  return (await probe(from.name, [target]))[0]?.ok === true;
}

/** The same in the name of another, by the sender's own nftables: no answer finds its way back. */
async function pretend(
  from: TestNamespace,
  source: string,
  destination: string,
  size?: number,
): Promise<void> {
  const ip = destination.includes(':') ? 'ip6' : 'ip';
  from.exec('nft', 'add table inet as; add chain inet as out { type filter hook output priority 0; }');
  from.exec('nft', `add rule inet as out ${ip} daddr ${destination} ${ip} saddr set ${source}`);
  await ping(from, destination, size, 20);
  from.exec('nft', 'delete table inet as');
}

test('a pod sends in its own name alone, to the node and beyond it, whatever the reverse path filter is', async () => {
  for (const scope of ['all', 'pod0']) node.exec('sysctl', '-qw', `net/ipv4/conf/${scope}/rp_filter=0`);
  for (const [other, ...destinations] of [
    ['10.244.0.3', '10.244.0.1', '192.168.1.2'],
    ['fd00:244::3', 'fd00:244::1', 'fd00:1::2'],
  ] as const) {
    for (const destination of destinations) {
      assert.ok(await ping(pod, destination), destination);
      assert.deepEqual(await counted(() => pretend(pod, other, destination)), ['spoofed-source']);
    }
  }
  // What a DHCP client or a mapping of link-local addresses gives a link is no address of the pod's either.
  for (const ip of ['169.254.7.7/16', 'fd00:77::7/64'])
    node.exec('ip', 'address', 'add', ip, 'dev', 'pod0', 'nodad');
  for (const [source, destination] of [
    ['169.254.9.9', '10.244.0.1'],
    ['fd00:77::9', 'fd00:244::1'],
  ] as const)
    assert.deepEqual(await counted(() => pretend(pod, source, destination)), ['spoofed-source'], source);
  for (const source of [
    '10.244.1.7',
    '192.168.1.3',
    '192.168.1.2',
    '0.0.0.0',
    '0.1.2.3',
    '255.255.255.255',
    '224.0.0.1',
  ])
    assert.deepEqual(await counted(() => pretend(pod, source, '192.168.1.3')), ['spoofed-source'], source);
  for (const ip of ['169.254.7.7/16', 'fd00:77::7/64'])
    node.exec('ip', 'address', 'delete', ip, 'dev', 'pod0');
});

test('a pod that was deleted sends nothing, while its link waits for its own deletion', async () => {
  const heard = () => Promise.all(['10.244.0.1', 'fd00:244::1'].map((ip) => ping(pod, ip, 56, 300)));
  node.exec('ip', 'link', 'set', 'pod0', 'group', String(DELETING_GROUP));
  assert.deepEqual(await heard(), [false, false]);
  node.exec('ip', 'link', 'set', 'pod0', 'group', String(ATTACHMENT_GROUP));
  assert.deepEqual(await heard(), [true, true]);
});

test('a router advertisement of a pod is dropped, and would not be taken', async () => {
  // An echo request of zeros becomes an advertisement that is valid for 600 s; the last field keeps the checksum right.
  const rule =
    'icmpv6 type echo-request ip6 hoplimit set 255 @th,0,16 set 0x8600 @th,48,16 set 600 @th,112,16 set 0xf7a7';
  pod.exec('ip', 'address', 'add', 'fe80::2/64', 'dev', 'eth0', 'nodad');
  pod.exec('nft', 'add table inet ra; add chain inet ra out { type filter hook output priority 0; }');
  pod.exec('nft', `add rule inet ra out ip6 saddr set fe80::2 ${rule}`);
  const advertise = () => ping(pod, 'fd00:244::1', 8, 20);
  const advertised = () => node.exec('ip', '-6', 'route', 'show', 'proto', 'ra');
  assert.deepEqual(await counted(advertise), ['router-advertisement']);
  await nftables.remove(TABLE);
  await advertise();
  assert.equal(advertised(), '', 'by the settings of the link');
  node.exec('sysctl', '-qw', 'net/ipv6/conf/pod0/accept_ra=2');
  await advertise();
  assert.match(advertised(), /default via fe80/, 'what was sent is an advertisement');
  pod.exec('nft', 'delete table inet ra');
  await nftables.replace(table);
});

test('settings of links that somebody changed are put right, and only those', () => {
  assert.ok(settle().mended.length > 0);
  assert.deepEqual(settle(), { mended: [], problems: [] });
  const changes = {
    'ipv4/conf/pod0/forwarding': '0',
    'ipv4/conf/pod0/rp_filter': '0',
    'ipv4/conf/pod0/proxy_arp': '1',
    'ipv4/conf/pod0/accept_redirects': '1',
    'ipv4/conf/pod0/route_localnet': '1',
    'ipv4/conf/fl-vxlan/forwarding': '0',
    'ipv6/conf/pod0/accept_ra': '2',
    'ipv6/conf/pod0/proxy_ndp': '1',
    'ipv6/conf/pod0/autoconf': '1',
    'ipv6/conf/pod0/accept_redirects': '1',
    'ipv6/conf/pod0/disable_ipv6': '1',
    'ipv6/conf/fl-vxlan/accept_ra': '2',
  };
  const read = () => Object.keys(changes).map((name) => node.exec('sysctl', '-n', `net/${name}`).trim());
  const right = read();
  for (const [name, value] of Object.entries(changes)) node.exec('sysctl', '-qw', `net/${name}=${value}`);
  node.exec('ip', 'link', 'set', 'pod0', 'mtu', '1400');
  assert.deepEqual(read(), Object.values(changes));
  settle();
  assert.deepEqual(read(), right);
  assert.equal(kernel.link('pod0')?.mtu, 1500);
  assert.equal(node.exec('sysctl', '-n', 'net/ipv6/conf/default/accept_ra').trim(), '2');
  assert.deepEqual(settle(), { mended: [], problems: [] });
  node.exec('ip', '-6', 'route', 'replace', 'fd00:244::2', 'dev', 'pod0');
});

test('a known node sends through the tunnel in the name of its own pods and of itself, and in no other', async () => {
  const [v4, v6] = ['10.244.0.2', 'fd00:244::2'];
  for (const [source, destination] of [
    ['10.244.1.7', v4],
    ['10.244.31.7', v4],
    ['192.168.1.3', v4],
    ['fd00:244:0:1::7', v6],
    ['fd00:1::3', v6],
  ] as const)
    assert.deepEqual(await counted(() => pretend(peer, source, destination)), [], source);
  for (const [source, destination] of [
    ['10.244.2.7', v4],
    ['10.244.0.3', v4],
    ['192.168.1.4', v4],
    ['203.0.113.7', v4],
    ['fd00:244:0:2::7', v6],
    ['fd00:244::3', v6],
    ['2001:db8::7', v6],
  ] as const)
    assert.deepEqual(
      await counted(() => pretend(peer, source, destination)),
      ['tunnel-inner-source'],
      source,
    );
});

test('nothing is tunnelled to another address of the node, where pods of a known node speak in its name', async () => {
  peer.exec('ip', 'link', 'delete', 'evil');
  node.exec('ip', 'address', 'add', '192.168.1.50/24', 'dev', 'eth0');
  tunnelFrom(peer, '192.168.1.3', '192.168.1.50');
  assert.deepEqual(await counted(() => pretend(peer, '10.244.1.7', '10.244.0.2')), ['tunnel-stranger']);
  node.exec('ip', 'address', 'delete', '192.168.1.50/24', 'dev', 'eth0');
  peer.exec('ip', 'link', 'delete', 'evil');
  tunnelFrom(peer, '192.168.1.3', '192.168.1.2');
});

test('what is tunnelled in fragments is judged whole', async () => {
  assert.deepEqual(await counted(() => pretend(peer, '10.244.1.7', '10.244.0.2', 3000)), []);
  assert.deepEqual(await counted(() => pretend(peer, '10.244.2.7', '10.244.0.2', 3000)), [
    'tunnel-inner-source',
  ]);
});

test('neither a pod nor a stranger speaks to the tunnel', async () => {
  peer.exec('ip', 'link', 'delete', 'evil');
  tunnelFrom(peer, '192.168.1.9', '192.168.1.2');
  assert.deepEqual(await counted(() => pretend(peer, '10.244.1.7', '10.244.0.2')), ['tunnel-stranger']);
  for (const [local, remote] of [
    ['10.244.0.2', '192.168.1.2'],
    ['fd00:244::2', 'fd00:1::2'],
  ] as const) {
    tunnelFrom(pod, local, remote);
    pod.exec('ip', 'route', 'replace', '10.244.0.7', 'via', '10.244.0.1', 'dev', 'evil', 'onlink');
    assert.deepEqual(
      await counted(() => pretend(pod, '10.244.1.7', '10.244.0.7')),
      ['tunnel-stranger'],
      local,
    );
    pod.exec('ip', 'link', 'delete', 'evil');
  }
});

test('the next agent reads back which nodes there are, while the cluster cannot be asked', async () => {
  const { tunnel } = readInherited(await nftables.read(TABLE));
  const sorted = (sets: typeof tunnel) =>
    sets
      .map((set) => ({ ...set, elements: set.elements.map(({ key }) => key.join(' ')).toSorted() }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(sorted(tunnel), sorted(createTunnelSets()(NODES, 'self')));
});
