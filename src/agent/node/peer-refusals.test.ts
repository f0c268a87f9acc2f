/** What the kernel refuses of one peer is that peer's fault, and no other's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { createSharedAddresses } from '../../cluster/shared-addresses.ts';
import { NetlinkError, type Operation } from '../../edge/netlink/kernel.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { planOverlay } from '../../plan/overlay/plan.ts';
import { refusalsOf } from './peer-refusals.ts';

function node(index: number, ip: string): ClusterNode {
  return {
    name: `node-${index}`,
    uid: `uid-${index}`,
    createdAt: '2026-01-01T00:00:00Z',
    internalIps: [parseIp(ip)],
    podCidrs: [parseCidr(`10.244.${index}.0/24`)],
  };
}

const [self, near, far] = [node(0, '192.168.1.2'), node(1, '192.168.1.3'), node(2, '172.16.0.2')];

test('a route, a neighbor or a forwarding entry that is refused is named once, for its peer', () => {
  const { own, peers } = planOverlay({
    self,
    peers: [near, far],
    podNetwork: [parseCidr('10.244.0.0/16')],
    underlays: [
      {
        family: 4,
        address: parseIp('192.168.1.2'),
        linkIndex: 2,
        linkName: 'eth0',
        mtu: 1500,
        connected: [parseCidr('192.168.1.0/24')],
      },
    ],
    localIps: new Set([parseIp('192.168.1.2')]),
    backend: 'auto',
    vxlan: { port: 8472, vni: 1 },
    tunnelIndexes: { 4: 9, 6: 10 },
    loopbackIndex: 1,
  });
  const refused = (operation: Operation) => ({
    operation,
    error: new NetlinkError('the entry was refused', 'EINVAL'),
  });
  const entries = peers[1]!.entries;
  const failures = [
    refused({ op: 'fdb.replace', entry: entries.fdb[0]! }),
    refused({ op: 'neighbor.replace', neighbor: entries.neighbors[0]! }),
    refused({ op: 'route.replace', route: entries.routes[0]! }),
  ];
  const { own: mine, peers: theirs } = refusalsOf({ failures }, peers);
  assert.deepEqual(mine, []);
  assert.equal(theirs.length, 1);
  assert.match(theirs[0]!, /^pods of node node-2 are not reached: .*refused: EINVAL; correct/);
  const ownFailure = refused({ op: 'route.replace', route: own.routes[0]! });
  assert.deepEqual(refusalsOf({ failures: [ownFailure, ...failures] }, peers).own, [ownFailure]);
});

test('nodes with one address are all named, once', () => {
  const sharedAddresses = createSharedAddresses();
  assert.deepEqual(sharedAddresses([self, near, far]), []);
  const [third, fourth] = [node(3, '192.168.1.3'), node(4, '192.168.1.3')];
  const [sentence, ...more] = sharedAddresses([fourth, self, near, third]);
  assert.match(sentence!, /^nodes node-1 and node-3 and node-4 have one internal address, 192\.168\.1\.3: /);
  assert.deepEqual(more, []);
  assert.match(sharedAddresses([self, third, fourth])[0]!, /^nodes node-3 and node-4 /);
  assert.deepEqual(sharedAddresses([self, third]), [], 'the others are gone');
  assert.equal(sharedAddresses([self, third, near]).length, 1);
  const twice = { ...self, internalIps: [...self.internalIps, ...self.internalIps] };
  assert.deepEqual(sharedAddresses([twice]), []);
});
