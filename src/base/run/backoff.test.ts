import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_BACKOFF, retryDelay } from './backoff.ts';

test('each failure doubles the wait up to the last, half of it by chance, and what the server asks is granted', () => {
  const least = [0, 1, 2, 7, 8, 1000].map((failures) => retryDelay(API_BACKOFF, failures, 0, 0));
  assert.deepEqual(least, [100, 200, 400, 12_800, 15_000, 15_000]);
  assert.equal(retryDelay(API_BACKOFF, 1000, 0, 1), 30_000);
  assert.equal(retryDelay(API_BACKOFF, 0, 7000, 0.5), 7050);
  assert.equal(retryDelay(API_BACKOFF, 0, 1e12, 0), 300_000);
});
