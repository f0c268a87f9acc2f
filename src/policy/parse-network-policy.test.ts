import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseNetworkPolicy } from './parse-network-policy.ts';

function parse(spec: unknown) {
  return parseNetworkPolicy('shop', 'web', { spec });
}

test('what the types are when nobody says', () => {
  const types = (spec: object) => {
    const { policy } = parse({ podSelector: {}, ...spec });
    return [policy.ingress !== undefined, policy.egress !== undefined];
  };
  assert.deepEqual(types({}), [true, false]);
  assert.deepEqual(types({ egress: [] }), [true, false]);
  assert.deepEqual(types({ egress: [{}] }), [true, true]);
  assert.deepEqual(types({ policyTypes: ['Egress'], ingress: [{}] }), [false, true]);
});

test('a policy with a mistake is named with field and cure, and allows nothing to what it selects', () => {
  const rule = (more: object) => ({ podSelector: { matchLabels: { app: 'web' } }, ingress: [more] });
  const cases: [object, RegExp][] = [
    [
      rule({ from: [{ ipBlock: { cidr: '10.0.0.0/33' } }] }),
      /ingress\[0\]\.from\[0\]\.ipBlock\.cidr: .*is not an IP range/,
    ],
    [
      rule({ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] } }] }),
      /except\[0\]: 11\.0\.0\.0\/16 is not within 10\.0\.0\.0\/8/,
    ],
    [rule({ from: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] }), /an ipBlock stands alone/],
    [rule({ from: [{}] }), /names nobody; write podSelector, namespaceSelector or ipBlock/],
    [rule({ ports: [{ port: 0 }] }), /ports\[0\]\.port: 0 is not a port/],
    [rule({ ports: [{ port: 'Not A Name' }] }), /is not the name of a port/],
    [
      rule({ ports: [{ port: 90, endPort: 80 }] }),
      /endPort: 80 does not end a range that begins with port 90/,
    ],
    [rule({ ports: [{ port: 'web', endPort: 80 }] }), /endPort: 80 does not end a range/],
    [rule({ ports: [{ protocol: 'ICMP' }] }), /protocol: "ICMP" is unknown; write one of TCP, UDP, SCTP/],
    [
      rule({ from: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'Like' }] } }] }),
      /operator: "Like" is unknown/,
    ],
    [
      rule({ from: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'In', values: [] }] } }] }),
      /values: is empty; In needs at least one/,
    ],
    [
      rule({ from: Array.from({ length: 20_001 }, () => ({ podSelector: {} })) }),
      /has 20001 items; keep at most 20000/,
    ],
    [{ podSelector: {}, policyTypes: ['Sideways'] }, /policyTypes: "Sideways" is unknown/],
  ];
  for (const [spec, text] of cases) {
    const { policy, problem } = parse(spec);
    assert.match(problem ?? '', text);
    assert.match(problem ?? '', /^networkpolicy shop\/web: .*until it is mended it allows nothing/);
    assert.deepEqual([policy.ingress, policy.egress], [[], []]);
  }
  assert.deepEqual(parse(rule({ ports: [{ port: 0 }] })).policy.pods, [
    { key: 'app', operator: 'In', values: ['web'] },
  ]);
  assert.deepEqual(
    parse({ podSelector: 'all' }).policy.pods,
    [],
    'where even that cannot be read: all of the namespace',
  );
});

test('ten thousand peers are read', () => {
  const from = Array.from({ length: 10_000 }, (_, index) => ({
    ipBlock: { cidr: `10.${index >> 8}.${index & 255}.0/24` },
  }));
  const { policy, problem } = parse({ podSelector: {}, ingress: [{ from }] });
  assert.equal(problem, undefined);
  assert.equal(policy.ingress?.[0]?.peers?.length, 10_000);
});

test('whatever comes is a policy, with or without a problem', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const { policy } = parseNetworkPolicy('a', 'b', { spec: value });
      assert.equal(policy.name, 'b');
    }),
  );
});
