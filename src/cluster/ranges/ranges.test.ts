import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cidrsOverlap, nthSubnet, parseCidr } from '../../base/ip/cidr.ts';
import { type ClusterNode, parseNode } from '../../plan/node/cluster-node.ts';
import { acceptRanges, freeRange } from './ranges.ts';

const POOL = parseCidr('10.244.0.0/16');

function node(name: string, createdAt: string, ...ranges: string[]): ClusterNode {
  return {
    name,
    uid: `uid-${name}`,
    createdAt,
    internalIps: [],
    podCidrs: ranges.map((range) => parseCidr(range)),
  };
}

test('of two claims to one range the older one counts, both nodes are named, the rest goes on', () => {
  const first = node('node-1', '2026-01-01T00:00:00Z', '10.244.0.0/24');
  const second = node('node-2', '2026-01-02T00:00:00Z', '10.244.0.0/23');
  const third = node('node-3', '2026-01-03T00:00:00Z', '10.244.2.0/24');
  const { nodes, refused } = acceptRanges([third, second, first], [POOL]);
  assert.deepEqual(
    nodes.map(({ name, podCidrs }) => [name, podCidrs]),
    [
      ['node-1', ['10.244.0.0/24']],
      ['node-2', []],
      ['node-3', ['10.244.2.0/24']],
    ],
  );
  assert.equal(refused.length, 1);
  assert.match(
    refused[0]!.reason,
    /node node-2 claims 10\.244\.0\.0\/23, which overlaps 10\.244\.0\.0\/24 of node node-1, who joined first; give node node-2 another range/,
  );
});

test('a range outside the pod network, or without room for a pod, is refused', () => {
  const { refused } = acceptRanges(
    [node('a', '2026-01-01T00:00:00Z', '10.0.0.0/24', '10.244.0.0/31', '0.0.0.0/0')],
    [POOL],
  );
  assert.deepEqual(
    refused.map(({ range }) => range),
    ['10.0.0.0/24', '10.244.0.0/31', '0.0.0.0/0'],
  );
});

test('a range where services have their addresses is refused, whoever is older', () => {
  const services = [parseCidr('10.244.8.0/21')];
  const nodes = [
    node('a', '2026-01-01T00:00:00Z', '10.244.9.0/24'),
    node('b', '2026-01-02T00:00:00Z', '10.244.0.0/20'),
    node('c', '2026-01-03T00:00:00Z', '10.244.16.0/24'),
  ];
  const { nodes: accepted, refused } = acceptRanges(nodes, [POOL], services);
  assert.deepEqual(
    refused.map(({ node: name, cause }) => [name, cause]),
    [
      ['a', 'services'],
      ['b', 'services'],
    ],
  );
  assert.match(
    refused[0]!.reason,
    /node a claims 10\.244\.9\.0\/24, which overlaps 10\.244\.8\.0\/21, where services have their addresses; give/,
  );
  assert.deepEqual(accepted.at(-1)!.podCidrs, ['10.244.16.0/24']);
});

test('the lowest free range is next, and a used-up pod network says so', () => {
  assert.equal(
    freeRange(POOL, 24, [parseCidr('10.244.0.0/24'), parseCidr('10.244.2.0/23')]),
    '10.244.1.0/24',
  );
  assert.equal(freeRange(parseCidr('10.244.0.0/23'), 24, [parseCidr('10.244.0.0/23')]), undefined);
});

test('whatever is claimed, accepted ranges never overlap, in whatever order the nodes come', () => {
  const claims = fc.array(fc.tuple(fc.nat(20), fc.integer({ min: 20, max: 26 }), fc.nat(30)), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(claims, fc.infiniteStream(fc.nat()), (list, order) => {
      const nodes = list.map(([day, bits, index], i) =>
        node(
          `n${i}`,
          new Date(Date.UTC(2026, 0, 1 + day)).toISOString(),
          nthSubnet(POOL, bits, BigInt(index) % (1n << BigInt(bits - 16))),
        ),
      );
      const { nodes: accepted } = acceptRanges(nodes, [POOL]);
      const ranges = accepted.flatMap(({ podCidrs }) => podCidrs);
      for (const [i, a] of ranges.entries())
        for (const b of ranges.slice(i + 1)) assert.ok(!cidrsOverlap(a, b));
      const keys = nodes.map(() => order.next().value as number);
      const shuffled = nodes.toSorted((a, b) => keys[nodes.indexOf(a)]! - keys[nodes.indexOf(b)]!);
      assert.deepEqual(acceptRanges(shuffled, [POOL]).nodes, accepted);
    }),
  );
});

test('an odd record is a problem, never a crash', () => {
  const fields = Object.keys(node('a', '2026-01-01T00:00:00Z')) as (keyof ClusterNode)[];
  const almost = fc
    .tuple(fc.constantFrom(...fields), fc.anything())
    .map(([field, value]) => ({ ...node('a', '2026-01-01T00:00:00Z'), [field]: value }));
  fc.assert(
    fc.property(fc.oneof(fc.anything(), almost), (record) => {
      const read = parseNode(record);
      // What is taken for a node is read alike when it is written and read again.
      if ('problem' in read) assert.match(read.problem, /^(is not an object|\w+: .)/);
      else assert.deepEqual(parseNode(JSON.parse(JSON.stringify(read))), read);
    }),
  );
  assert.deepEqual(parseNode({ ...node('a', 'yesterday') }), {
    problem: 'createdAt: "yesterday" is not a time as in RFC 3339',
  });
});
