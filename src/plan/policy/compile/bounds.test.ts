import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../../base/ip/ip.ts';
import { runToEnd } from '../../../base/run/slices.ts';
import { openRenderer } from '../../../datapath/nftables/policy/render.ts';
import type { PolicyPod } from '../parse/objects.ts';
import { parseNetworkPolicy } from '../parse/parse-network-policy.ts';
import { describeExcess } from './bounds.ts';
import { type Compiled, compile } from './compile.ts';
import { openTabulator } from './table.ts';

const pod = (namespace: string, ip: string): PolicyPod => ({
  namespace,
  name: 'web',
  labels: {},
  podIPs: [parseIp(ip)],
  hostNetwork: false,
  phase: 'Running',
  ports: [],
});

function large(name: string, staged = false) {
  const from = Array.from({ length: 16_000 }, (_, index) => ({
    ipBlock: { cidr: `172.${16 + (index >> 13)}.${(index >> 5) & 255}.${(index & 31) * 8}/29` },
  }));
  const metadata = staged ? { annotations: { 'fairlead.io/staged': 'true' } } : {};
  return parseNetworkPolicy('shop', name, { metadata, spec: { podSelector: {}, ingress: [{ from }] } })
    .policy;
}

const compiled = (...policies: ReturnType<typeof large>[]) =>
  compile({
    pods: [pod('shop', '10.244.0.2'), pod('other', '10.244.0.3')],
    namespaces: [],
    policies: [
      ...policies,
      parseNetworkPolicy('other', 'p', { spec: { podSelector: {}, ingress: [{}] } }).policy,
    ],
    clusterPolicies: [],
    nodes: [],
  });
const rulings = ({ pods }: ReturnType<typeof compile>) => pods.flatMap(({ ingress }) => ingress ?? []);

test('policies that say too much about one pod together allow it nothing, by name; other pods are as they were', () => {
  const [shop, other] = rulings(compiled(large('one'), large('two')));
  assert.deepEqual([shop?.clauses, shop?.isolatedBy], [[], ['shop/one', 'shop/two']]);
  assert.equal(other?.clauses.length, 1);
  assert.match(
    describeExcess([shop!, other]).join(),
    /^policies shop\/one, shop\/two say more than 30000 values/,
  );
});

test('staged ones that would be too much are left out, and close nothing', () => {
  const [shop] = rulings(compiled(large('one'), large('two', true)));
  assert.deepEqual([shop?.clauses.length, shop?.isolatedBy, shop?.proposed], [1, ['shop/one'], undefined]);
  assert.match(describeExcess([shop!]).join(), /staged ones are not evaluated there/);
});

function* renderAll(from: Compiled) {
  return yield* openRenderer().render(yield* openTabulator().tabulate(from));
}

test('what is within the bound is rendered in many steps', () => {
  const steps = renderAll(compiled(large('one')));
  let count = 0;
  while (steps.next().done !== true) count++;
  assert.ok(count > 16_000, `${count} steps`);
  const { table } = runToEnd(renderAll(compiled(large('one'))));
  assert.ok(table.sets.some(({ elements }) => elements.length > 0));
});
