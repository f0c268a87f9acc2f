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
      /spec: has more than 20000 values; split it/,
    ],
    [{ podSelector: {}, policyTypes: ['Sideways'] }, /policyTypes: "Sideways" is unknown/],
    [{ podSelector: {}, policyTypes: 'Ingress' }, /policyTypes: "Ingress" is not a list/],
    [{ podSelector: {}, ingress: {} }, /spec\.ingress: .* is not a list/],
    [{ podSelector: {}, ingress: [7] }, /ingress\[0\]: 7 is not a rule/],
    [{ podSelector: {}, egress: [{ to: 'all' }] }, /egress\[0\]\.to: "all" is not a list/],
    [rule({ ports: [443] }), /ports\[0\]: 443 is not a port/],
    [rule({ ports: [{ port: 65_536 }] }), /port: 65536 is not a port; write 1 to 65535/],
    [rule({ ports: [{ port: 1.5 }] }), /port: 1\.5 is not a port/],
    [rule({ ports: [{ port: -1 }] }), /port: -1 is not a port/],
    [rule({ ports: [{ port: {} }] }), /port: \{\} is neither a number nor a name/],
    [rule({ ports: [{ port: 80, endPort: 65_536 }] }), /endPort: 65536 does not end a range/],
    [rule({ ports: [{ endPort: 80 }] }), /endPort: 80 does not end a range/],
    [rule({ ports: [{ protocol: 'tcp' }] }), /protocol: "tcp" is unknown/],
    [rule({ from: [{ ipBlock: { cidr: '10.0.0.0' } }] }), /cidr: "10\.0\.0\.0" is not an IP range/],
    [rule({ from: [{ ipBlock: { cidr: 'fd00::/129' } }] }), /cidr: "fd00::\/129" is not an IP range/],
    [rule({ from: [{ ipBlock: {} }] }), /ipBlock\.cidr: .* is not an IP range/],
    [
      rule({ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['fd00::/64'] } }] }),
      /except\[0\]: fd00::\/64 is not within 10\.0\.0\.0\/8/,
    ],
    [
      rule({ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: '10.1.0.0/16' } }] }),
      /except: "10\.1\.0\.0\/16" is not a list/,
    ],
    [rule({ from: [{ podSelector: [] }] }), /podSelector: .* is not a selector; write \{\}/],
    [
      rule({ from: [{ podSelector: { matchLabels: { a: 1 } } }] }),
      /podSelector\.matchLabels: "a": 1 is not a text; quote it/,
    ],
    [
      rule({
        from: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } }],
      }),
      /values: Exists takes none/,
    ],
    [
      rule({ from: [{ podSelector: { matchExpressions: [{ operator: 'Exists' }] } }] }),
      /key: .* is not the key of a label/,
    ],
    [
      rule({
        from: [
          {
            podSelector: {
              matchExpressions: Array.from({ length: 1001 }, () => ({ key: 'a', operator: 'Exists' })),
            },
          },
        ],
      }),
      /has 1001 requirements; keep at most 1000/,
    ],
  ];
  for (const [spec, text] of cases) {
    const { policy, problem } = parse(spec);
    assert.match(problem ?? '', text);
    assert.match(problem ?? '', /^spec.*until it is mended it allows nothing/);
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

test('what only looks odd is read: blocks of a family that the cluster has not, labels that nobody can have', () => {
  for (const peer of [
    { ipBlock: { cidr: 'fd00::/8', except: ['fd00:1::/32'] } },
    { ipBlock: { cidr: '10.1.2.3/8' } },
    { podSelector: { matchLabels: { app: 'x'.repeat(1_000_000) } } },
    { namespaceSelector: {}, podSelector: {} },
  ]) {
    const { policy, problem } = parse({ podSelector: {}, ingress: [{ from: [peer] }] });
    assert.equal(problem, undefined);
    assert.equal(policy.ingress?.[0]?.peers?.length, 1);
  }
});

test('whatever comes is a policy, with or without a problem', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const { policy } = parseNetworkPolicy('a', 'b', { spec: value });
      assert.equal(policy.name, 'b');
    }),
  );
});

test('a policy that is too large to be read by every node closes what it selects, and no more', () => {
  const blocks = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      ipBlock: { cidr: `10.${index >> 8}.${index & 255}.0/24` },
    }));
  const spec = (count: number) => ({
    podSelector: { matchLabels: { app: 'web' } },
    ingress: [{ from: blocks(count), ports: [{ port: 80 }] }],
  });
  const read = (count: number) => parseNetworkPolicy('shop', 'large', { spec: spec(count) });
  assert.equal(read(19_990).problem, undefined);
  assert.equal(read(19_990).policy.ingress?.[0]?.peers?.length, 19_990);
  const { policy, problem } = read(19_999);
  assert.match(problem ?? '', /^spec: has more than 20000 values/);
  assert.deepEqual([policy.ingress, policy.egress], [[], []]);
  assert.deepEqual(policy.pods, [{ key: 'app', operator: 'In', values: ['web'] }]);
});
