import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rememberErrors } from './last-error.ts';
import { createLogger } from './logger.ts';

test('the last thing that went wrong is kept, with its reason; what is no fault is not', () => {
  const lines: string[] = [];
  const memory = rememberErrors(createLogger({ level: 'error', format: 'text' }, (line) => lines.push(line)));
  assert.deepEqual(memory.counts, { warn: 0, error: 0 });
  memory.log.info('all is well');
  assert.deepEqual(memory.counts, { warn: 0, error: 0 });
  memory.log.child({ pod: 'a' }).warn('a route is missing', { reason: new Error('ENODEV') });
  assert.deepEqual([memory.last?.level, memory.last?.text], ['warn', 'a route is missing: ENODEV']);
  memory.log.error('no more');
  memory.log.child({}).child({}).error('none at all');
  assert.equal(memory.last?.text, 'none at all');
  assert.deepEqual(memory.counts, { warn: 1, error: 2 });
  // The level of the log decides what is written, not what is kept.
  assert.equal(lines.length, 2);
});
