import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AGENT_KIND, type AgentRecord, leaseOfAgent, trimAgent } from './agent-record.ts';
import { type AgentReport, newsOf } from './agent-report.ts';
import { isInForce, isWell, membersOf } from './members.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const REPORT: AgentReport = {
  version: '1.2.3',
  ready: true,
  message: '',
  problems: [],
  policies: 'aaaa',
  ranges: ['10.244.0.0/24', 'fd00:10:244::/64'],
  mtu: 1450,
  pods: 7,
  paths: { direct: 3, vxlan: 1 },
  silent: { count: 1, peers: ['node-9'] },
  lastError: { at: '2026-01-01T11:00:00.000Z', text: 'something: no' },
};

function stored(report: AgentReport, seconds = 0, node = 'node-1'): unknown {
  const life = { namespace: 'fairlead', node, uid: 'u1', promisedSeconds: 30 };
  const lease = leaseOfAgent(life, report, new Date(NOW - seconds * 1000)) as { metadata: object };
  return { ...lease, metadata: { ...lease.metadata, uid: 'l1', resourceVersion: '5' } };
}

function read(value: unknown): AgentRecord {
  const trimmed = trimAgent(value);
  assert.ok('object' in trimmed, JSON.stringify(trimmed));
  return trimmed.object;
}

test('what is written is read again, and belongs to the node', () => {
  const { node, seenAt, promisedSeconds, report } = read(stored(REPORT));
  assert.deepEqual(
    { node, seenAt, promisedSeconds },
    { node: 'node-1', seenAt: '2026-01-01T12:00:00.000000Z', promisedSeconds: 30 },
  );
  assert.deepEqual(report, REPORT);
  const { metadata } = stored(REPORT) as { metadata: Record<string, unknown> };
  assert.deepEqual(metadata['ownerReferences'], [
    { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: 'u1' },
  ]);
  const [[label, value]] = Object.entries(metadata['labels'] as object) as [[string, string]];
  assert.equal(AGENT_KIND.query?.['labelSelector'], `${label}=${value}`);
});

test('a record stays small, whatever is wrong', () => {
  const long = 'x'.repeat(10_000);
  const text = JSON.stringify(
    stored({
      ...REPORT,
      message: long,
      problems: Array.from({ length: 1000 }, (_, index) => `${index} ${long}`),
      ranges: Array.from({ length: 1000 }, () => '10.0.0.0/24'),
      silent: { count: 1000, peers: Array.from({ length: 1000 }, (_, index) => `node-${index}`) },
      lastError: { at: '', text: long },
    }),
  );
  assert.ok(text.length < 4096, `${text.length} characters`);
  assert.match(text, /995 more problems/);
});

test('garbage is a sentence; what another version lacks or adds is none', () => {
  const wrong = (change: (object: Record<string, Record<string, unknown>>) => void) => {
    const object = structuredClone(stored(REPORT)) as Record<string, Record<string, unknown>>;
    change(object);
    return trimAgent(object);
  };
  for (const text of ['', '[]', 'null', '{', `"${'x'.repeat(40_000)}"`]) {
    const trimmed = wrong(({ metadata }) => (metadata!['annotations'] = { 'fairlead.io/report': text }));
    assert.ok(!('object' in trimmed), text);
  }
  assert.ok(!('object' in wrong(({ metadata }) => delete metadata!['annotations'])));
  assert.ok(!('object' in wrong(({ spec }) => (spec!['renewTime'] = 'yesterday'))));
  assert.ok(!('object' in wrong(({ spec }) => delete spec!['holderIdentity'])));
  const odd = wrong(
    ({ metadata }) =>
      (metadata!['annotations'] = {
        'fairlead.io/report':
          '{"ready":"yes","problems":[1,"two",null],"paths":{"direct":"x"},"more":1,"mtu":null}',
      }),
  );
  assert.ok('object' in odd);
  assert.deepEqual(odd.object.report, {
    version: '',
    ready: false,
    message: '',
    problems: ['two'],
    ranges: [],
    pods: 0,
    paths: {},
    silent: { count: 0, peers: [] },
  });
});

test('a pod that starts, a node that joins and a lost probe are no news; a policy is', () => {
  const changes: Partial<AgentReport>[] = [
    { pods: 8 },
    { paths: { direct: 4 } },
    { silent: { count: 0, peers: [] } },
    { lastError: { at: '', text: '' } },
  ];
  for (const change of changes) assert.equal(newsOf({ ...REPORT, ...change }), newsOf(REPORT));
  for (const change of [{ policies: 'bbbb' }, { ready: false }, { problems: ['x'] }, { mtu: 1400 }])
    assert.notEqual(newsOf({ ...REPORT, ...change }), newsOf(REPORT));
});

test('who is there, who lags, who is silent, who was never heard of', () => {
  const records = [
    read(stored(REPORT, 10, 'current')),
    read(stored({ ...REPORT, policies: 'bbbb' }, 10, 'lags')),
    read(stored(REPORT, 31, 'silent')),
    read(stored(REPORT, 500, 'moved')),
    read(stored({ ...REPORT, ready: false }, 1, 'moved')),
    read(stored(REPORT, 0, 'gone')),
  ];
  const { policies: _, ...blind } = REPORT;
  records.push(read(stored(blind, 0, 'blind')));
  const names = ['current', 'lags', 'silent', 'moved', 'unheard', 'blind'];
  const members = membersOf(names, records, 'aaaa', NOW);
  assert.deepEqual(
    members.map(({ node, agent, policies }) => [node, agent, policies]),
    [
      ['current', 'alive', 'current'],
      ['lags', 'alive', 'behind'],
      ['silent', 'silent', 'current'],
      ['moved', 'alive', 'current'],
      ['unheard', 'unheard', 'unknown'],
      ['blind', 'alive', 'unknown'],
    ],
  );
  assert.equal(members[3]!.report?.ready, false);
  assert.deepEqual(members.map(isInForce), [true, false, false, true, false, false]);
  assert.deepEqual(members.filter(isWell), []);
  const [well] = membersOf(
    ['a'],
    [read(stored({ ...REPORT, silent: { count: 0, peers: [] } }, 0, 'a'))],
    '',
    NOW,
  );
  assert.ok(isWell(well!));
});
