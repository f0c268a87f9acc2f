import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../base/ip/ip.ts';
import { problemsOfSilence } from './problems.ts';
import { createRounds, PROBES_PER_SECOND, type Probe, type Rounds } from './rounds.ts';
import type { Target } from './target.ts';

const TICK_MS = 250;

function targets(count: number): Target[] {
  return Array.from({ length: count }, (_, index) => ({
    peer: `node-${index + 1}`,
    family: 4,
    address: parseIp(`10.${(index >> 8) & 255}.${index & 255}.0`),
    path: { mode: 'direct', gateway: parseIp('192.168.1.3') },
  }));
}

/** @param answers whether the target's kernel does. */
function run(
  rounds: Rounds,
  ms: [from: number, to: number],
  roundMs: number,
  answers: (peer: string) => boolean,
) {
  const sent: (Probe & { atMs: number })[] = [];
  for (let now = ms[0]; now < ms[1]; now += TICK_MS) {
    for (const { token, target, atMs } of sent)
      if (atMs === now - TICK_MS && answers(target.peer)) rounds.answered(token, 0.001, now);
    rounds.expire(now);
    sent.push(...rounds.due(now, roundMs).map((probe) => ({ ...probe, atMs: now })));
  }
  return sent;
}

test('every peer once in a round, evenly', () => {
  const rounds = createRounds(0);
  rounds.aim(targets(40));
  const sent = run(rounds, [0, 40_000], 10_000, () => true);
  assert.ok(Math.abs(sent.length - 160) <= 2, `${sent.length} in four rounds of 40`);
  const perSecond = Map.groupBy(sent, ({ atMs }) => Math.floor(atMs / 1000));
  assert.ok([...perSecond.values()].every(({ length }) => length <= 5));
  for (const { sent: times, lost } of rounds.reaches) {
    assert.ok(times >= 3 && times <= 5);
    assert.equal(lost, 0);
  }
});

test('five thousand peers cost what is allowed a second, also where none answers, and each has its turn', () => {
  for (const answers of [true, false]) {
    const rounds = createRounds(0);
    rounds.aim(targets(5000));
    const sent = run(rounds, [0, 400_000], 10_000, () => answers);
    const perSecond = Map.groupBy(sent, ({ atMs }) => Math.floor(atMs / 1000));
    assert.ok([...perSecond.values()].every(({ length }) => length <= PROBES_PER_SECOND + 2));
    assert.ok(rounds.reaches.every(({ sent: times }) => times >= 1));
  }
});

test('a peer that stops answering is known at once, and until it answers again', () => {
  const rounds = createRounds(0);
  rounds.aim(targets(3));
  run(rounds, [0, 30_000], 10_000, () => true);
  assert.equal(rounds.silent.length, 0);
  run(rounds, [30_000, 45_000], 10_000, (peer) => peer !== 'node-2');
  const [silent] = rounds.silent;
  assert.equal(silent?.target.peer, 'node-2');
  assert.ok(silent.silentSince! >= 30_000 && silent.silentSince! <= 40_250);
  assert.match(
    problemsOfSilence(rounds.silent, 3)[0]!,
    /^node node-2 \(IPv4, direct\) does not answer through the route via 192\.168\.1\.3 since 1970-01-01T00:00:3\dZ; look whether/,
  );
  run(rounds, [45_000, 60_000], 10_000, () => true);
  assert.deepEqual(rounds.silent, []);
  assert.equal(rounds.reaches.find(({ target }) => target.peer === 'node-2')?.silentSince, undefined);
});

test('one lost probe is an accident; a node that joins has a minute', () => {
  const rounds = createRounds(0);
  rounds.aim(targets(1));
  const [{ token }] = rounds.due(0, 1000) as [Probe];
  rounds.answered(token, 0.001, 10);
  run(rounds, [1000, 2000], 1000, () => false);
  rounds.expire(2000);
  assert.equal(rounds.reaches[0]!.lost, 1);
  assert.equal(rounds.silent.length, 0);
  run(rounds, [2000, 10_000], 1000, () => true);
  assert.equal(rounds.reaches[0]!.lost, 1);
  assert.deepEqual(rounds.silent, []);

  const joining = createRounds(0);
  joining.aim(targets(1));
  run(joining, [0, 59_000], 1000, () => false);
  assert.deepEqual(joining.silent, []);
  run(joining, [59_000, 65_000], 1000, () => false);
  assert.equal(joining.silent.length, 1);
});

test('peers that go are forgotten, those that stay are known', () => {
  const rounds = createRounds(0);
  rounds.aim(targets(3));
  run(rounds, [0, 30_000], 3000, () => true);
  run(rounds, [30_000, 60_000], 3000, (peer) => peer === 'node-1');
  assert.equal(rounds.silent.length, 2);
  const sent = rounds.reaches[0]!.sent;
  rounds.aim(targets(2));
  assert.deepEqual(
    rounds.silent.map(({ target }) => target.peer),
    ['node-2'],
  );
  assert.equal(rounds.reaches[0]!.sent, sent);
  rounds.aim([]);
  assert.deepEqual(rounds.silent, []);
  assert.deepEqual(rounds.due(70_000, 3000), []);
});

test('where nobody answers the node itself is named, once', () => {
  const rounds = createRounds(0);
  rounds.aim(targets(30));
  run(rounds, [0, 10_000], 3000, () => true);
  run(rounds, [10_000, 30_000], 3000, () => false);
  assert.equal(rounds.silent.length, 30);
  assert.equal(problemsOfSilence(rounds.silent, 30).length, 1);
  assert.equal(problemsOfSilence(rounds.silent, 31).length, 11);
});
