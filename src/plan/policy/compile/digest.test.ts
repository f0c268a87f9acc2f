import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trimNetworkPolicy } from '../../../cluster/kinds/network-policy.ts';
import { digestPolicies } from './digest.ts';

function policy(metadata: object, spec: object = { podSelector: {} }) {
  const trimmed = trimNetworkPolicy({
    metadata: { name: 'a', namespace: 'n', uid: 'u1', resourceVersion: '1', generation: 1, ...metadata },
    spec,
  });
  assert.ok('object' in trimmed);
  return trimmed.object;
}

test('the same policies have one digest, in whatever order and version; any other ones have another', () => {
  const [one, two] = [policy({}), policy({ uid: 'u2' })];
  const digest = digestPolicies([one, two]);
  assert.match(digest, /^[0-9a-f]{16}$/);
  assert.equal(digestPolicies([two, one]), digest);
  assert.equal(digestPolicies([policy({ resourceVersion: '9', labels: { a: 'b' } }), two]), digest);
  const others = [
    [one],
    [],
    [policy({ generation: 2 }), two],
    [policy({ uid: 'u3' }), two],
    [policy({ annotations: { 'fairlead.io/staged': 'true' } }), two],
    [policy({ generation: undefined }), two],
  ];
  const digests = others.map(digestPolicies);
  assert.equal(new Set([digest, ...digests]).size, others.length + 1);
});

test('a policy that cannot be read counts, as it closes what it selects', () => {
  const broken = { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: 'x' } }] }] };
  assert.notEqual(digestPolicies([policy({}, broken)]), digestPolicies([]));
});
