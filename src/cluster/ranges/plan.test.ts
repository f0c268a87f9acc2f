import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cidrsOverlap, nthSubnet, parseCidr } from '../../base/ip/cidr.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { planRanges } from './plan.ts';
import { freeRange } from './ranges.ts';

const POOL = parseCidr('10.244.0.0/16');
const BITS = { 4: 24, 6: 64 } as const;

function node(name: string, day: number, ...ranges: string[]): ClusterNode {
  const createdAt = new Date(Date.UTC(2026, 0, day)).toISOString();
  return { name, uid: name, createdAt, internalIps: [], podCidrs: ranges.map((range) => parseCidr(range)) };
}

const show = (plan: ReturnType<typeof planRanges>) =>
  plan.assignments.map(({ node: { name }, ranges }) => [name, ...ranges]);

test('the oldest node gets the lowest range; what anybody claims, even wrongly, is left alone', () => {
  const waiting = [node('young', 3), node('old', 1)];
  const others = [
    node('a', 1, '10.244.0.0/24'),
    node('b', 1, '10.244.1.128/25'),
    node('c', 1, '10.244.2.0/23', '10.9.0.0/16'),
  ];
  const plan = planRanges([...others, ...waiting], waiting, [POOL], BITS);
  assert.deepEqual(show(plan), [
    ['old', '10.244.4.0/24'],
    ['young', '10.244.5.0/24'],
  ]);
  assert.deepEqual(plan.problems, []);
});

test('where services have their addresses nobody gets a range', () => {
  const waiting = [node('x', 1), node('y', 2)];
  const plan = planRanges(waiting, waiting, [POOL], BITS, [parseCidr('10.244.0.0/22')]);
  assert.deepEqual(show(plan), [
    ['x', '10.244.4.0/24'],
    ['y', '10.244.5.0/24'],
  ]);
  const full = planRanges(waiting, waiting, [POOL], BITS, [parseCidr('10.244.0.0/15')]);
  assert.match(full.problems[0]!, /no free range/);
});

test('with two families a node gets both or none, and a used-up network names who waits', () => {
  const waiting = [node('x', 1), node('y', 2), node('z', 3)];
  const pools = [parseCidr('10.244.0.0/23'), parseCidr('fd00:10::/48')];
  const plan = planRanges(waiting, waiting, pools, BITS);
  assert.deepEqual(show(plan), [
    ['x', '10.244.0.0/24', 'fd00:10::/64'],
    ['y', '10.244.1.0/24', 'fd00:10:0:1::/64'],
  ]);
  assert.match(
    plan.problems[0]!,
    /no free range of \/24 is left in 10\.244\.0\.0\/23 for 1 nodes, z the first of them; remove/,
  );
  const everything = planRanges([node('a', 1, '0.0.0.0/0')], [node('x', 1)], [POOL], BITS);
  assert.deepEqual(show(everything), []);
});

test('assigned ranges never overlap anything, and each is the lowest that is free', () => {
  const claims = fc.array(fc.tuple(fc.integer({ min: 14, max: 28 }), fc.nat(1000)), { maxLength: 20 });
  fc.assert(
    fc.property(claims, fc.nat(8), (list, count) => {
      const others = list.map(([bits, index], i) => {
        const all = parseCidr('10.240.0.0/12');
        return node(`n${i}`, 1, nthSubnet(all, bits, BigInt(index) % (1n << BigInt(bits - 12))));
      });
      const waiting = Array.from({ length: count }, (_, i) => node(`w${i}`, i + 1));
      const held = others.flatMap(({ podCidrs }) => podCidrs);
      for (const { ranges } of planRanges(others, waiting, [POOL], BITS).assignments) {
        assert.equal(ranges[0], freeRange(POOL, 24, held));
        assert.ok(!held.some((range) => cidrsOverlap(range, ranges[0]!)));
        held.push(ranges[0]!);
      }
    }),
  );
});

test('five thousand nodes at once are planned in one sweep', () => {
  const waiting = Array.from({ length: 5000 }, (_, i) => node(`n${i}`, 1));
  const plan = planRanges(waiting, waiting, [parseCidr('10.0.0.0/8')], BITS);
  assert.equal(new Set(plan.assignments.map(({ ranges }) => ranges[0])).size, 5000);
});
