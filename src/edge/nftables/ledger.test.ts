import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TransactionLedger } from './ledger.ts';

function open(generation = 10) {
  const told: string[] = [];
  const ledger = new TransactionLedger(
    generation,
    (tables) => void told.push(tables === undefined ? 'unknown' : [...tables].join()),
  );
  const notify = (number: number, port: number, table: string) =>
    ledger.notified({ generation: number, port, tables: new Set([table]) });
  return { told, ledger, notify };
}

test('what a run of ours did is no news, whether its notification comes before its end or after', () => {
  for (const early of [true, false]) {
    const { told, ledger, notify } = open();
    const run = ledger.begin(10);
    run.port(77);
    if (early) notify(11, 77, 'ours');
    run.end(11);
    if (!early) notify(11, 77, 'ours');
    assert.deepEqual(told, []);
  }
});

test('a process of another container that has the number of ours is another all the same', () => {
  const { told, ledger, notify } = open();
  const run = ledger.begin(10);
  run.port(77);
  notify(11, 77, 'ours');
  run.end(11);
  notify(12, 77, 'theirs');
  assert.deepEqual(told, ['theirs']);
});

test('of what happened during a run of ours, its port tells what is its own', () => {
  const { told, ledger, notify } = open();
  const run = ledger.begin(10);
  run.port(77);
  notify(11, 5, 'theirs');
  notify(12, 77, 'ours');
  run.end(13);
  assert.deepEqual(told, [], 'the last one may be ours as well');
  notify(13, 6, 'others');
  assert.deepEqual(told, ['theirs', 'others']);
});

test('where the port does not tell, everything that happened meanwhile counts as of others, once', () => {
  const { told, ledger, notify } = open();
  const run = ledger.begin(10);
  run.port(77);
  notify(11, 77, 'one');
  notify(12, 77, 'two');
  run.end(12);
  assert.deepEqual(told, ['one', 'two']);
});

test('a run that others outlast keeps back only what happened while it ran', () => {
  const { told, ledger, notify } = open();
  const first = ledger.begin(10);
  first.port(77);
  notify(11, 5, 'theirs');
  const second = ledger.begin(11);
  second.port(78);
  notify(12, 77, 'ours');
  first.end(12);
  assert.deepEqual(told, ['theirs']);
  second.end();
  assert.deepEqual(told, ['theirs']);
});

test('where notifications were lost, it is counted: nothing but our own is no news', () => {
  const { told, ledger, notify } = open();
  const run = ledger.begin(10);
  run.port(77);
  ledger.lost(11);
  assert.deepEqual(told, []);
  run.end(11);
  assert.deepEqual(told, []);
  notify(12, 5, 'theirs');
  assert.deepEqual(told, ['theirs']);
  const next = ledger.begin(12);
  next.end(14);
  ledger.lost(14);
  assert.deepEqual(told, ['theirs', 'unknown']);
});

test('in whatever order runs, others and losses interleave, others are told of and our own never is', () => {
  const step = fc.record({
    what: fc.constantFrom('begin', 'commit', 'end', 'other', 'lose', 'deliver'),
    which: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { told, ledger, notify } = open(0);
      let generation = 0;
      let port = 100;
      let [foreign, expected] = [0, 0];
      const queue: { generation: number; port: number; table: string }[] = [];
      const runs: { port: number; committed: boolean; run: ReturnType<typeof ledger.begin> }[] = [];
      const lose = () => {
        queue.length = 0;
        ledger.lost(generation);
      };
      const deliver = () => {
        for (const one of queue.splice(0)) notify(one.generation, one.port, one.table);
      };
      let lossy = false;
      const end = (index: number) => {
        const [ended] = runs.splice(index, 1);
        if (ended !== undefined) ended.run.end(ended.committed ? generation : undefined);
      };
      for (const { what, which } of steps) {
        if (what === 'begin') {
          const run = ledger.begin(generation);
          run.port(++port);
          runs.push({ port, committed: false, run });
        }
        const chosen = runs[which];
        if (what === 'commit' && chosen?.committed === false) {
          chosen.committed = true;
          queue.push({ generation: ++generation, port: chosen.port, table: 'ours' });
        }
        if (what === 'end') end(which);
        if (what === 'other') {
          foreign++;
          expected++;
          queue.push({ generation: ++generation, port: 1, table: 'theirs' });
        }
        if (what === 'lose') {
          lossy = true;
          lose();
        }
        if (what === 'deliver') deliver();
      }
      while (runs.length > 0) end(0);
      deliver();
      assert.ok(!told.includes('ours'));
      if (foreign === 0) assert.deepEqual(told, []);
      if (!lossy) assert.equal(told.length, expected);
      if (foreign > 0) assert.ok(told.length > 0);
    }),
    { numRuns: 2000 },
  );
});
