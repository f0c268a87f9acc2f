/** A node with three pods, another node's pods and a client outside, as namespaces: who answers says who it is and whom it saw. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { PROBE } from '../../lab/processes.ts';
import { openServiceTables, type ServiceTables } from '../../src/datapath/nftables/services.ts';
import { type Conntrack, openConntrack } from '../../src/edge/conntrack/conntrack.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import { ATTACHMENT_GROUP } from '../../src/plan/pod/attachment.ts';
import { createNamespace, type TestNamespace } from '../namespace.ts';
import { LOCAL_PODS, NODE, OUTSIDER, REMOTE_PODS } from './worlds.ts';

export type ServiceNetwork = {
  node: TestNamespace;
  /** Whose address this is; the node's and the outsider's too. */
  hostOf: (ip: string) => TestNamespace;
  tables: ServiceTables;
  conntrack: Conntrack;
  [Symbol.dispose](): void;
};

/** The first two hosts of anything, IPv4 and IPv6, which all links use: fe80::1 is the node on each of them. */
const GATEWAY = '169.254.1.1';
const GATEWAY_MAC = 'ee:ee:ee:ee:ee:ee';

export async function openNetwork(): Promise<ServiceNetwork> {
  const node = createNamespace('svc-node');
  const hosts = new Map<string, TestNamespace>(NODE.ips.map((ip) => [ip, node]));
  const opened = [node];
  settings(node, [
    'net.ipv4.ip_forward=1',
    'net.ipv6.conf.all.forwarding=1',
    'net.ipv4.conf.all.rp_filter=0',
    // Each refusal counts.
    'net.ipv4.icmp_ratemask=0',
    'net.ipv6.icmp.ratemask=127',
  ]);
  const connect = (name: string, group: number, addresses: readonly (readonly [string, string])[]) => {
    const host = createNamespace(`svc-${name}`);
    opened.push(host);
    attach(node, host, name, group, addresses);
    for (const ip of addresses.flat()) hosts.set(ip, host);
    return host;
  };
  const pods = LOCAL_PODS.map((ips, index) => connect(`p${index}`, ATTACHMENT_GROUP, [ips]));
  const remote = connect('remote', 0, REMOTE_PODS);
  connect('outside', 0, [OUTSIDER]);
  for (const ip of NODE.ips) node.exec('ip', 'addr', 'add', `${ip}/${bits(ip)}`, 'dev', 'lo');
  for (const family of ['-4', '-6'])
    node.exec(
      'ip',
      family,
      'route',
      'add',
      'default',
      'dev',
      'v-outside',
      'src',
      NODE.ips[family === '-4' ? 0 : 1]!,
    );
  const servers = await Promise.all([
    ...pods.map((host, index) => serve(host, LOCAL_PODS[index]![0])),
    ...REMOTE_PODS.flatMap((ips) => ips.map((ip) => serve(remote, ips[0], ip))),
  ]);
  const namespace = NetworkNamespace.open(node.path);
  const [nftables, conntrack] = [openNftables(namespace), openConntrack(namespace)];
  const tables = openServiceTables(nftables);
  exempt(node);
  return {
    node,
    hostOf: (ip) => hosts.get(ip)!,
    tables,
    conntrack,
    [Symbol.dispose]: () => {
      for (const server of servers) server.kill();
      nftables[Symbol.dispose]();
      conntrack[Symbol.dispose]();
      namespace[Symbol.dispose]();
      for (const host of opened) host[Symbol.dispose]();
    },
  };
}

/** As the table of a node does: what pods send each other is not tracked. */
function exempt(node: TestNamespace): void {
  const rule = (ip: string, range: string) => `${ip} saddr ${range} ${ip} daddr ${range} notrack accept;`;
  node.exec(
    'nft',
    `table inet exempt { chain early { type filter hook prerouting priority raw; ${rule('ip', '10.244.0.0/16')} ${rule('ip6', 'fd00:10:244::/48')} }; }`,
  );
}

function settings(host: TestNamespace, values: readonly string[]): void {
  host.exec('sysctl', '-qw', ...values);
  host.exec('ip', 'link', 'set', 'lo', 'up');
}

function attach(
  node: TestNamespace,
  host: TestNamespace,
  name: string,
  group: number,
  addresses: readonly (readonly [string, string])[],
): void {
  const link = `v-${name}`;
  settings(host, ['net.ipv4.conf.all.rp_filter=0']);
  const peer = `type veth peer name eth0 netns ${host.name}`.split(' ');
  node.exec('ip', 'link', 'add', link, 'address', GATEWAY_MAC, 'group', String(group), ...peer);
  host.exec('ip', 'link', 'set', 'eth0', 'up');
  node.exec('ip', 'link', 'set', link, 'up');
  const [{ address: mac }] = JSON.parse(host.exec('ip', '-j', 'link', 'show', 'eth0')) as [
    { address: string },
  ];
  host.exec('ip', 'neigh', 'add', GATEWAY, 'lladdr', GATEWAY_MAC, 'dev', 'eth0');
  host.exec('ip', 'neigh', 'add', 'fe80::1', 'lladdr', GATEWAY_MAC, 'dev', 'eth0');
  for (const ip of addresses.flat()) {
    host.exec(
      'ip',
      'addr',
      'add',
      `${ip}/${bits(ip)}`,
      'dev',
      'eth0',
      ...(ip.includes(':') ? ['nodad'] : []),
    );
    node.exec('ip', 'route', 'add', `${ip}/${bits(ip)}`, 'dev', link);
    node.exec('ip', 'neigh', 'add', ip, 'lladdr', mac, 'dev', link);
  }
  const [v4, v6] = addresses[0]!;
  host.exec('ip', 'route', 'add', 'default', 'via', GATEWAY, 'dev', 'eth0', 'onlink', 'src', v4);
  host.exec('ip', '-6', 'route', 'add', 'default', 'via', 'fe80::1', 'dev', 'eth0', 'onlink', 'src', v6);
}

function bits(ip: string): number {
  return ip.includes(':') ? 128 : 32;
}

/** @param name what it says it is: its first IPv4 address. @param address where it listens, if not everywhere. */
async function serve(host: TestNamespace, name: string, address?: string): Promise<ChildProcess> {
  const where = address === undefined ? [] : ['--bind', address];
  const child = spawn(
    PROBE,
    ['serve', '--name', name, '--netns', host.path, '--ports', 'tcp/8443,udp/8443', ...where],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(child.stdout, 'data');
  return child;
}
