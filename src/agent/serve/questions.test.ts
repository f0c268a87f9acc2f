import assert from 'node:assert/strict';
import { test } from 'node:test';
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
