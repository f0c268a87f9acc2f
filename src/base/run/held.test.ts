import assert from 'node:assert/strict';
import { test } from 'node:test';
import { held } from './held.ts';

/** A question whose answers the test gives, by a clock that the test sets. */
function prepare(ms: number) {
  const asked: PromiseWithResolvers<number>[] = [];
  const clock = { now: 0 };
  const ask = () => {
    const one = Promise.withResolvers<number>();
    asked.push(one);
    return one.promise;
  };
  return { asked, clock, get: held(ms, ask, () => clock.now) };
}

test('all who ask while an answer is on its way get that one, and those of the next second too', async () => {
  const { asked, clock, get } = prepare(1000);
  const early = [get(), get()];
  clock.now = 5000;
  early.push(get());
  asked[0]!.resolve(1);
  assert.deepEqual(await Promise.all(early), [1, 1, 1]);
  clock.now = 5999;
  assert.equal(await get(), 1);
  assert.equal(asked.length, 1);
  clock.now = 6000;
  const late = get();
  asked[1]!.resolve(2);
  assert.equal(await late, 2);
});

test('a failure is told to all who waited, and not kept', async () => {
  const { asked, get } = prepare(1000);
  const [one, other] = [get(), get()];
  asked[0]!.reject(new Error('no'));
  await assert.rejects(one, /no/);
  await assert.rejects(other, /no/);
  const next = get();
  asked[1]!.resolve(1);
  assert.equal(await next, 1);
});
