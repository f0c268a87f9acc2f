import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { FORWARDED, type Goal, isAnswered, judgeForwarding, type Surroundings } from './forwarding.ts';
import type { Answer } from './paths.ts';

const SURROUNDINGS: Surroundings = {
  traces: { known: true, packets: [] },
  legacy: [],
  routing: [],
  masquerades: true,
  ranges: [parseCidr('10.244.0.0/24')],
};

function goal(kind: Goal['kind'], answersNode = true): Goal {
  const name = { pod: 'a pod', peer: 'node-2', outside: 'the outside' }[kind];
  return { name, kind, source: parseIp('10.244.0.2'), address: parseIp('10.244.1.1'), answersNode };
}

/** @param lost what gets no answer. */
function judge(
  one: Goal,
  lost: readonly Answer['kind'][],
  surroundings: Partial<Surroundings> = {},
): string[] {
  const answers = FORWARDED.map((kind) => ({ kind, ok: !lost.includes(kind), micros: 0 }));
  return judgeForwarding([{ goal: one, answers }], { ...SURROUNDINGS, ...surroundings }).map(
    ({ verdict, seen, cure }) => `${verdict}: ${seen} → ${cure}`,
  );
}

test('what counts as an answer', () => {
  const answer = (error: string, offender?: string): Answer => ({
    kind: 'datagram',
    ok: false,
    micros: 0,
    error,
    ...(offender === undefined ? {} : { offender }),
  });
  const answers = [
    answer('connect: Connection refused'),
    answer('Connection refused', '10.244.1.1'),
    answer('No route to host', '10.244.1.1'),
    answer('No route to host', '10.244.0.1'),
    answer('Connection refused', '10.244.0.1'),
    answer('answer: no answer in time'),
  ];
  assert.deepEqual(
    answers.map((one) => isAnswered(one, goal('peer'))),
    [true, true, true, false, false, false],
  );
});

test('nothing is lost', () => {
  assert.deepEqual(judge(goal('pod'), []), ['fine: a pod reaches a pod → undefined']);
  assert.match(judgeForwarding([], SURROUNDINGS)[0]!.seen, /none were tried/);
});

test('a filter on ICMP is told from a lost path', () => {
  assert.match(
    judge(goal('peer'), ['echo'])[0]!,
    /^doubtful: ICMP to node-2 is filtered on the way; the path is not lost/,
  );
  assert.match(
    judge(goal('peer'), [...FORWARDED])[0]!,
    /^broken: nothing of what pods send to node-2 is answered, though it answers this node/,
  );
  assert.match(judge(goal('peer', false), [...FORWARDED])[0]!, /^fine/, 'the finding about the path says so');
  assert.match(judge(goal('peer'), ['datagram'])[0]!, /^fine/);
  assert.match(judge(goal('pod'), ['connect'])[0]!, /^broken: TCP of pods to a pod is lost within this node/);
});

test('the outside', () => {
  const all = [...FORWARDED];
  assert.match(
    judge(goal('outside', false), all)[0]!,
    /^doubtful: the outside answers neither pods nor this node/,
  );
  assert.match(judge(goal('outside'), all)[0]!, /^broken: the outside answers this node and no pod/);
  assert.match(
    judge(goal('outside'), all, { masquerades: false })[0]!,
    /masquerade\.enabled is false: give the routers routes to 10\.244\.0\.0\/24/,
  );
});

test('what nftables cannot trace', () => {
  const closed = {
    table: 'filter of legacy iptables',
    chain: 'FORWARD',
    by: 'policy DROP',
    refusesAll: true,
  };
  const untraced = { known: false, why: 'x' } as const;
  assert.match(
    judge(goal('pod'), [...FORWARDED], { traces: untraced, legacy: [closed] })[0]!,
    /is dropped by chain FORWARD of table filter of legacy iptables \(policy DROP\)/,
  );
  assert.match(judge(goal('pod'), [...FORWARDED], { traces: untraced })[0]!, /^broken/);
});
