import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock, type FakeClock } from './fake-clock.ts';
import { Runner } from './runner.ts';

/** Work that takes so long. */
const take = (clock: FakeClock, ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));

test('triggers that come together are one run, with all their reasons', async () => {
  const clock = createFakeClock();
  const runs: (readonly string[])[] = [];
  const task = (reasons: readonly string[]) => void runs.push(reasons);
  const runner = new Runner({ clock, task, onError: assert.fail, delayMs: 10 });
  for (const reason of ['a', 'b', 'a']) runner.trigger(reason);
  await clock.turn(9);
  assert.deepEqual(runs, []);
  await clock.turn(1);
  assert.deepEqual(runs, [['a', 'b']]);
  await runner.stop();
});

test('a trigger during a run is a second run behind it, never beside it', async () => {
  const clock = createFakeClock();
  let running = 0;
  let runs = 0;
  const runner = new Runner({
    clock,
    delayMs: 1,
    onError: assert.fail,
    task: async () => {
      assert.equal(running++, 0);
      runs++;
      await take(clock, 10);
      running--;
    },
  });
  runner.trigger('first');
  await clock.turn(5);
  runner.trigger('second');
  runner.trigger('third');
  await clock.turn(5);
  assert.equal(runs, 1);
  await clock.turn(100);
  assert.equal(runs, 2);
  await runner.stop();
});

test('what a run itself triggers, even at its very beginning, is a run behind it', async () => {
  const clock = createFakeClock();
  let running = 0;
  let runs = 0;
  const runner: Runner = new Runner({
    clock,
    delayMs: 1,
    onError: assert.fail,
    task: async () => {
      assert.equal(running++, 0);
      if (++runs === 1) runner.trigger('by itself');
      await take(clock, 10);
      running--;
    },
  });
  const first = runner.runNow('start');
  await clock.turn(10);
  await first;
  await clock.turn(40);
  assert.equal(runs, 2);
  await runner.stop();
});

test('a failed run is reported and tried again by itself, later each time, and by its period once it succeeds', async () => {
  const clock = createFakeClock();
  const runs: number[] = [];
  const retries: number[] = [];
  const runner = new Runner({
    clock,
    delayMs: 0,
    periodMs: 1000,
    onError: (_, retryAfterMs) => void retries.push(retryAfterMs),
    task: () => {
      runs.push(clock.now());
      if (runs.length < 4) throw new Error('the kernel is busy');
    },
  });
  runner.trigger('start');
  await clock.turn(1700);
  const [start = 0] = runs;
  assert.deepEqual(
    runs.map((at) => at - start),
    [0, 100, 300, 700, 1700],
  );
  assert.deepEqual(retries, [100, 200, 400]);
  await runner.stop();
});

test('runNow rejects with what the task threw, and nothing runs after stop', async () => {
  const clock = createFakeClock();
  let runs = 0;
  const runner = new Runner({
    clock,
    delayMs: 1,
    periodMs: 10,
    onError: () => undefined,
    task: () => {
      runs++;
      throw new Error('no cluster');
    },
  });
  await assert.rejects(runner.runNow('start'), /no cluster/);
  runner.trigger('early');
  await runner.stop();
  runner.trigger('late');
  await clock.turn(60_000);
  assert.equal(runs, 1);
});

test('a run that is under way when it is stopped ends, and none follows it', async () => {
  const clock = createFakeClock();
  let runs = 0;
  const runner = new Runner({
    clock,
    delayMs: 0,
    onError: assert.fail,
    task: async () => {
      runs++;
      await take(clock, 10);
    },
  });
  runner.trigger('first');
  await clock.turn(1);
  runner.trigger('second');
  let isStopped = false;
  const stopped = runner.stop().then(() => {
    isStopped = true;
  });
  await clock.turn(5);
  assert.equal(isStopped, false);
  await clock.turn(60_000);
  await stopped;
  assert.equal(runs, 1);
});
