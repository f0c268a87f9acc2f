import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CniError } from '../errors.ts';
import { CNI_VERSIONS } from '../version.ts';
import { errorReply } from './reply.ts';

function answer(error: unknown, stdin: string): { code: number } {
  const { exitCode, stdout } = errorReply(error, stdin);
  assert.equal(exitCode, 1);
  return JSON.parse(stdout);
}

void test('A14: a CNI error keeps its code; any other is 999', () => {
  assert.deepEqual(answer(new CniError('TRY_AGAIN', 'wait', 'more'), '{"cniVersion":"1.0.0"}'), {
    cniVersion: '1.0.0',
    code: 11,
    msg: 'wait',
    details: 'more',
  });
  assert.deepEqual(answer(new Error('broken', { cause: new Error('why') }), '{}'), {
    cniVersion: '1.1.0',
    code: 999,
    msg: 'broken: why',
  });
  assert.equal(answer('text', '').code, 999);
});

void test('A15: the answer is in the configuration’s version where that is supported, else in the newest', () => {
  const error = new CniError('IO_FAILURE', 'x');
  for (const version of CNI_VERSIONS)
    assert.deepEqual(answer(error, JSON.stringify({ cniVersion: version })), {
      cniVersion: version,
      code: 5,
      msg: 'x',
    });
  for (const stdin of [
    '',
    '{',
    'null',
    '[]',
    '1',
    '{"cniVersion":"0.1.0"}',
    '{"cniVersion":{}}',
    '{"__proto__":{"cniVersion":"0.4.0"}}',
  ])
    assert.deepEqual(answer(error, stdin), { cniVersion: '1.1.0', code: 5, msg: 'x' }, stdin);
});
