import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Runner } from './runner.ts';

test('triggers that come together are one run, with all their reasons', async () => {
  const runs: (readonly string[])[] = [];
  const runner = new Runner({ task: (reasons) => void runs.push(reasons), onError: assert.fail, delayMs: 1 });
  for (const reason of ['a', 'b', 'a']) runner.trigger(reason);
  await sleep(30);
  assert.deepEqual(runs, [['a', 'b']]);
  await runner.stop();
});

test('a trigger during a run is a second run behind it, never beside it', async () => {
  let running = 0;
  let runs = 0;
  const runner = new Runner({
    delayMs: 1,
    onError: assert.fail,
    task: async () => {
      assert.equal(running++, 0);
      runs++;
      await sleep(10);
      running--;
    },
  });
  runner.trigger('first');
  await sleep(5);
  runner.trigger('second');
  runner.trigger('third');
  await sleep(60);
  assert.equal(runs, 2);
  await runner.stop();
});

test('what a run itself triggers, even at its very beginning, is a run behind it', async () => {
  let running = 0;
  let runs = 0;
  const runner: Runner = new Runner({
    delayMs: 1,
    onError: assert.fail,
    task: async () => {
      assert.equal(running++, 0);
      if (++runs === 1) runner.trigger('by itself');
      await sleep(10);
      running--;
    },
  });
  await runner.runNow('start');
  await sleep(40);
  assert.equal(runs, 2);
  await runner.stop();
});

test('a failed run is reported and tried again by itself', async () => {
  let runs = 0;
  const errors: unknown[] = [];
  const runner = new Runner({
    delayMs: 1,
    onError: (error) => void errors.push(error),
    task: () => {
      if (++runs === 1) throw new Error('the kernel is busy');
    },
  });
  runner.trigger('start');
  await sleep(200);
  assert.equal(runs, 2);
  assert.equal(errors.length, 1);
  await runner.stop();
});

test('runNow rejects with what the task threw, and nothing runs after stop', async () => {
  const runner = new Runner({
    delayMs: 1,
    onError: () => undefined,
    task: () => Promise.reject(new Error('no cluster')),
  });
  await assert.rejects(runner.runNow('start'), /no cluster/);
  await runner.stop();
  runner.trigger('late');
  await sleep(20);
});
