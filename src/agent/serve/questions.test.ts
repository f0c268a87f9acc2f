import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MACHINE_CLOCK } from '../../base/run/clock.ts';
import type { PolicyCount } from '../../datapath/datapath.ts';
import { answer } from './api-server.ts';
import { createQuestions, type Known } from './questions.ts';

function ask(path: string, { silentMs = 0, reason = '' }: { silentMs?: number; reason?: string }) {
  const readiness = reason === '' ? { ready: true } : { ready: false, reason };
  const known = { network: { readiness }, sinceResyncMs: () => silentMs, resyncSeconds: () => 60 };
  return answer(path, createQuestions(known as unknown as Known), false);
}

test('an agent that no longer compares is not healthy, and says since when', async () => {
  assert.equal((await ask('/healthz', { silentMs: 179_000 })).status, 200);
  const { status, body } = await ask('/healthz', { silentMs: 181_000 });
  assert.equal(status, 503);
  assert.equal(body, 'the last resync ended 181 seconds ago, and one is due every 60\n');
});

test('an agent that takes no pods is not ready, with the reason, and healthy all the same', async () => {
  assert.deepEqual(await ask('/readyz', { reason: 'no range' }), {
    status: 503,
    type: 'text/plain; charset=utf-8',
    body: 'no range\n',
  });
  assert.equal((await ask('/readyz', {})).status, 200);
  assert.equal((await ask('/healthz', { reason: 'no range' })).status, 200);
});

test('a hundred scrapes at once are one look at the counters, and name no policy unless that is wanted', async () => {
  const looks: PromiseWithResolvers<PolicyCount[]>[] = [];
  const enforcer = {
    counts: () => {
      looks.push(Promise.withResolvers());
      return looks.at(-1)!.promise;
    },
  };
  const named: boolean[] = [];
  const metrics = { all: (_: unknown, __: unknown, ___: unknown, names: boolean) => (named.push(names), []) };
  const known = {
    clock: MACHINE_CLOCK,
    describe: () => ({}),
    enforcer,
    metrics,
    errors: { counts: {} },
    prober: { metrics: () => [] },
    services: { metrics: () => [] },
    policyNames: () => false,
  };
  const questions = createQuestions(known as unknown as Known);
  const scrapes = Array.from({ length: 100 }, () => answer('/metrics', questions, false));
  const ofRoot = answer('/metrics', questions, true);
  assert.equal(looks.length, 1);
  looks[0]!.resolve([]);
  await Promise.all([...scrapes, ofRoot, answer('/metrics', questions, false)]);
  assert.equal(looks.length, 1);
  assert.deepEqual(new Set(named), new Set([true, false]));
  assert.equal(named.length, 2);
});
