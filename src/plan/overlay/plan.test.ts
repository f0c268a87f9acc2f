import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../base/config/backend.ts';
import { type Cidr, parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { EMPTY_STATE, mergeStates } from '../../edge/netlink/state/state.ts';
import type { ClusterNode } from '../node/cluster-node.ts';
import { tunnelMac } from './path.ts';
import { planOverlay } from './plan.ts';
import { describeInhabited, inhabitedRanges } from './pod-network.ts';
import { findUnderlay, type Underlay } from './underlay.ts';

function node(name: string, ip: string, range: string): ClusterNode {
  return {
    name,
    uid: `uid-of-${name}`,
    createdAt: '2026-01-01T00:00:00Z',
    internalIps: [parseIp(ip)],
    podCidrs: [parseCidr(range)],
  };
}

const UNDERLAY: Underlay = {
  family: 4,
  address: parseIp('192.168.1.2'),
  linkIndex: 2,
  linkName: 'eth0',
  mtu: 1500,
  connected: [parseCidr('192.168.1.0/24')],
};
const SELF = node('node-1', '192.168.1.2', '10.244.0.0/24');
const NEAR = node('node-2', '192.168.1.3', '10.244.1.0/24');
const FAR = node('node-3', '192.168.2.2', '10.244.2.0/24');

function plan(backend: Backend, peers: ClusterNode[]) {
  const overlay = planOverlay({
    self: SELF,
    peers,
    podNetwork: [parseCidr('10.244.0.0/16')],
    underlays: [UNDERLAY],
    localIps: new Set([UNDERLAY.address, parseIp('10.9.9.9')]),
    backend,
    vxlan: { port: 8472, vni: 1 },
    tunnelIndexes: { 4: 9, 6: 10 },
    loopbackIndex: 1,
  });
  return {
    ...overlay,
    state: mergeStates(overlay.own, ...overlay.peers.map(({ entries }) => ({ ...EMPTY_STATE, ...entries }))),
  };
}

/** The routes of a plan in the words of `ip route`. */
function routeTexts(backend: Backend, peers: ClusterNode[]): string[] {
  return plan(backend, peers).state.routes.map((route) =>
    [
      route.type === 'unicast' ? '' : `${route.type} `,
      route.destination,
      route.gateway === undefined ? '' : ` via ${route.gateway}`,
      route.linkIndex === undefined ? '' : ` dev ${route.linkIndex}`,
      route.source === undefined ? '' : ` src ${route.source}`,
      route.onLink ? ' onlink' : '',
      route.table === 254 ? '' : ` table ${route.table}`,
    ].join(''),
  );
}

const OWN = ['unreachable 10.244.0.0/16', 'unreachable 10.244.0.0/24'];
const NEAR_DIRECT = '10.244.1.0/24 via 192.168.1.3 dev 2 src 192.168.1.2';
const FAR_TUNNELLED = [
  '10.244.2.0/24 via 10.244.2.0 dev 9 src 192.168.1.2 onlink',
  '192.168.2.2/32 via 10.244.2.0 dev 9 src 192.168.1.2 onlink table 7010',
];

test('auto: a direct route to the peer on the link, the tunnel to the one behind the router', () => {
  assert.deepEqual(routeTexts('auto', [NEAR, FAR]), [...OWN, NEAR_DIRECT, ...FAR_TUNNELLED]);
  const { state, mtu } = plan('auto', [NEAR, FAR]);
  assert.deepEqual(state.fdb, [
    { linkIndex: 9, mac: tunnelMac(FAR), destination: '192.168.2.2', state: 0x80 },
  ]);
  assert.deepEqual(
    state.neighbors.map(({ ip, mac }) => [ip, mac]),
    [['10.244.2.0', tunnelMac(FAR)]],
  );
  assert.deepEqual(
    state.rules.map(({ from, table }) => [from, table]),
    [['10.244.0.0/24', 7010]],
  );
  assert.equal(mtu, 1450);
});

test('auto without a distant peer has no tunnel and the full MTU', () => {
  const { state, mtu } = plan('auto', [NEAR]);
  assert.deepEqual(state.links, []);
  assert.deepEqual(state.rules, []);
  assert.equal(mtu, 1500);
});

test('vxlan tunnels to every peer and keeps its MTU even without any', () => {
  assert.equal(plan('vxlan', []).mtu, 1450);
  const { state } = plan('vxlan', [NEAR, FAR]);
  assert.deepEqual(
    state.fdb.map(({ destination }) => destination),
    ['192.168.1.3', '192.168.2.2'],
  );
  assert.deepEqual(state.links[0], {
    index: 9,
    name: 'fl-vxlan',
    mac: tunnelMac(SELF),
    mtu: 1450,
    up: true,
    kind: { type: 'vxlan', vni: 1, port: 8472, local: '192.168.1.2', lowerIndex: 2, learning: false },
  });
});

test('host-gw refuses the peer behind the router, with the reason and the cure, and serves the other', () => {
  assert.deepEqual(routeTexts('host-gw', [NEAR, FAR]), [...OWN, NEAR_DIRECT]);
  const far = plan('host-gw', [NEAR, FAR]).peers.find(({ peer }) => peer === FAR)?.paths[0]?.path;
  assert.equal(far?.mode, 'none');
  assert.match(far.reason, /node-3 .*behind a router.*use backend auto or vxlan/);
});

test('a peer without an address or without a range costs nobody else theirs', () => {
  const nameless = { ...FAR, internalIps: [] };
  const rangeless = { ...FAR, podCidrs: [] as Cidr[] };
  assert.deepEqual(routeTexts('auto', [nameless, rangeless, NEAR]), [...OWN, NEAR_DIRECT]);
});

test('the gateway address is the first of the range, on loopback, and never a source', () => {
  assert.deepEqual(plan('auto', []).state.addresses, [
    { linkIndex: 1, ip: '10.244.0.1', prefixLength: 32, scope: 253 },
  ]);
});

test('the underlay is the interface that holds the node address; on-link is what its networks hold', () => {
  const link = {
    index: 7,
    name: 'ens3',
    mtu: 9000,
    up: true,
    running: true,
    loopback: false,
    group: 0,
    altNames: [],
  };
  const addresses = [{ linkIndex: 7, ip: parseIp('192.168.1.2'), prefixLength: 24, scope: 0 }];
  assert.deepEqual(findUnderlay([parseIp('172.16.0.9'), parseIp('192.168.1.2')], 4, addresses, [link]), {
    family: 4,
    address: '192.168.1.2',
    linkIndex: 7,
    linkName: 'ens3',
    mtu: 9000,
    connected: ['192.168.1.0/24'],
  });
  assert.equal(findUnderlay([parseIp('192.168.1.9')], 4, addresses, [link]), undefined);
});

test('a pod network that holds nodes, or the network of this one, leaves them reachable, and is named', () => {
  const podNetwork = [parseCidr('192.168.0.0/16'), parseCidr('10.244.0.0/16')];
  const routes = (self: ClusterNode, peers: ClusterNode[], underlay: Underlay) =>
    planOverlay({
      self,
      peers,
      podNetwork,
      underlays: [underlay],
      backend: 'auto',
      vxlan: { port: 8472, vni: 1 },
      tunnelIndexes: { 4: 9, 6: 10 },
      loopbackIndex: 1,
      localIps: new Set(),
    }).own.routes.map(({ destination }) => destination);
  const apart = { ...UNDERLAY, address: parseIp('172.16.0.2'), connected: [parseCidr('172.16.0.0/24')] };
  const self = node('node-1', '172.16.0.2', '192.168.200.0/24');
  assert.deepEqual(routes(self, [], apart), ['192.168.0.0/16', '10.244.0.0/16', '192.168.200.0/24']);
  assert.deepEqual(routes(self, [FAR], apart), ['10.244.0.0/16', '192.168.200.0/24'], 'a peer');
  assert.deepEqual(routes(SELF, [], UNDERLAY), ['10.244.0.0/16', '10.244.0.0/24'], 'the node itself');
  assert.deepEqual(routes(self, [], UNDERLAY), ['10.244.0.0/16', '192.168.200.0/24'], 'its network');
  assert.match(
    inhabitedRanges(podNetwork, [self, FAR], [apart]).map(describeInhabited).join(),
    /^podNetwork 192\.168\.0\.0\/16 contains 192\.168\.2\.2 of node node-3.*choose/,
  );
});

test('an address that leads to no other node is named for its peer, and costs nobody else theirs', () => {
  const odd = (name: string, ...ips: string[]): ClusterNode => ({
    ...node(name, '192.168.1.3', '10.244.9.0/24'),
    internalIps: ips.map((ip) => parseIp(ip)),
  });
  const reasonOf = (peer: ClusterNode) => {
    const { peers, state } = plan('auto', [peer, NEAR]);
    assert.deepEqual(
      state.routes.filter(({ gateway }) => gateway !== undefined).map(({ gateway }) => gateway),
      ['192.168.1.3'],
    );
    const path = peers[0]!.paths[0]!.path;
    return path.mode === 'none' ? path.reason : path.mode;
  };
  for (const [ip, what] of [
    [
      '192.168.1.255',
      /node odd .* is the broadcast address of 192\.168\.1\.0\/24, which eth0 is in; correct/,
    ],
    ['192.168.1.0', /the address of the network 192\.168\.1\.0\/24/],
    ['255.255.255.255', /is reserved/],
    ['127.0.0.1', /loopback/],
    ['224.0.0.5', /multicast/],
    ['0.0.0.0', /no machine/],
    ['192.168.1.2', /192\.168\.1\.2 is an address of this node itself/],
    ['10.9.9.9', /10\.9\.9\.9 is an address of this node itself/],
  ] as const)
    assert.match(reasonOf(odd('odd', ip)), what);
  assert.match(reasonOf(odd('odd', '::1', 'ff02::1')), /::1 is the loopback.*ff02::1 is a multicast/);
  assert.match(
    reasonOf(odd('odd', 'fe80::1', '::ffff:192.0.2.1')),
    /fe80::1 leads to another machine.*IPv4 address/,
  );
  const { peers } = plan('auto', [odd('half', '127.0.0.1', '192.168.1.8')]);
  assert.deepEqual(peers[0]!.paths[0]!.path, { mode: 'direct', gateway: '192.168.1.8' });
});
