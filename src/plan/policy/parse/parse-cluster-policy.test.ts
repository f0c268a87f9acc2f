import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseClusterPolicy } from './parse-cluster-policy.ts';

const SUBJECT = { namespaces: { matchLabels: { team: 'a' } } };

function spec(more: object): object {
  return { spec: { tier: 'Admin', priority: 10, subject: SUBJECT, ...more } };
}

test('all of it is read, and a name of a port stands for every protocol', () => {
  const { policy, problem } = parseClusterPolicy('guard', {
    metadata: { annotations: { 'fairlead.io/staged': 'true' } },
    spec: {
      tier: 'Baseline',
      priority: 1000,
      subject: { pods: { podSelector: { matchLabels: { app: 'web' } } } },
      ingress: [
        {
          name: 'monitoring',
          action: 'Accept',
          from: [{ namespaces: { matchLabels: { team: 'ops' } } }],
          protocols: [
            { tcp: { destinationPort: { number: 9090 } } },
            { udp: {} },
            { destinationNamedPort: 'web' },
          ],
        },
      ],
      egress: [
        { action: 'Pass', to: [{ nodes: {} }, { networks: ['10.1.2.3/8', 'fd00::/8'] }] },
        {
          action: 'Deny',
          to: [{ pods: { podSelector: {}, namespaceSelector: {} } }],
          protocols: [{ sctp: { destinationPort: { range: { start: 1, end: 9 } } } }],
        },
      ],
    },
  });
  assert.equal(problem, undefined);
  const ops = [{ key: 'team', operator: 'In', values: ['ops'] }];
  assert.deepEqual(policy, {
    name: 'guard',
    staged: true,
    tier: 'baseline',
    priority: 1000,
    subject: { namespaces: [], pods: [{ key: 'app', operator: 'In', values: ['web'] }] },
    ingress: [
      {
        action: 'accept',
        name: 'monitoring',
        peers: [{ kind: 'pods', namespaces: ops, pods: [] }],
        ports: [
          { protocol: 'TCP', port: 9090 },
          { protocol: 'UDP' },
          { protocol: 'TCP', port: 'web' },
          { protocol: 'UDP', port: 'web' },
          { protocol: 'SCTP', port: 'web' },
        ],
      },
    ],
    egress: [
      {
        action: 'pass',
        peers: [
          { kind: 'nodes', nodes: [] },
          { kind: 'block', cidr: '10.0.0.0/8', except: [] },
          { kind: 'block', cidr: 'fd00::/8', except: [] },
        ],
      },
      {
        action: 'deny',
        peers: [{ kind: 'pods', namespaces: [], pods: [] }],
        ports: [{ protocol: 'SCTP', port: 1, endPort: 9 }],
      },
    ],
  });
});

test('a rule with a mistake fails closed: it accepts nothing, or denies everything', () => {
  const broken = [{ domainNames: ['example.com'] }];
  for (const [action, wanted] of [
    ['Accept', { action: 'accept', peers: [] }],
    ['Pass', { action: 'deny' }],
    ['Deny', { action: 'deny' }],
    ['Allow', { action: 'deny' }],
  ] as const) {
    const { policy, problem } = parseClusterPolicy('x', spec({ egress: [{ action, to: broken }] }));
    assert.deepEqual(policy.egress, [wanted]);
    assert.match(problem ?? '', /^spec\.egress\[0\].*(domainNames|"Allow")/);
    assert.deepEqual(policy.subject.namespaces.length, 1, 'whom it is about is known');
  }
});

test('mistakes are named with field and cure', () => {
  const rule = (more: object) => spec({ ingress: [{ action: 'Deny', from: [{ namespaces: {} }], ...more }] });
  const cases: [object, RegExp][] = [
    [spec({ tier: 'Root' }), /spec\.tier: "Root" is unknown; write Admin or Baseline/],
    [spec({ priority: 1001 }), /spec\.priority: 1001 is none; write 0 to 1000/],
    [spec({ subject: {} }), /spec\.subject: \{\} is none; write namespaces or pods/],
    [rule({ from: [] }), /spec\.ingress\[0\]\.from: is empty/],
    [rule({ from: [{ networks: ['10.0.0.0/8'] }] }), /peers of kind "networks" are not known here/],
    [rule({ from: [{ namespaces: {}, pods: {} }] }), /exactly one kind of peer/],
    [
      rule({ protocols: [{ tcp: { destinationPort: { number: 0 } } }] }),
      /protocols\[0\]\.tcp\.destinationPort/,
    ],
    [rule({ protocols: [{ icmp: {} }] }), /"icmp" is unknown/],
    [rule({ protocols: [] }), /protocols: is empty/],
    [spec({ ingress: 'all' }), /spec\.ingress: "all" is not a list/],
  ];
  for (const [value, text] of cases) assert.match(parseClusterPolicy('x', value).problem ?? '', text);
});

test('whatever comes is a policy, with or without a problem', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.equal(parseClusterPolicy('x', { spec: value }).policy.name, 'x');
    }),
  );
});

test('a policy that is too large to be read by every node denies everything in its directions to its subject', () => {
  const networks = Array.from({ length: 20_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`);
  const { policy, problem } = parseClusterPolicy(
    'guard',
    spec({ egress: [{ action: 'Accept', to: [{ networks }] }] }),
  );
  assert.match(problem ?? '', /^spec: has more than 20000 values/);
  assert.deepEqual([policy.ingress, policy.egress], [[], [{ action: 'deny' }]]);
  assert.deepEqual(policy.subject.namespaces, [{ key: 'team', operator: 'In', values: ['a'] }]);
});
