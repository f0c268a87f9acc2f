import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CniError } from './errors.ts';
import { decodeObject, defined, integerAt, listAt, objectAt, own, textAt } from './json.ts';

function nested(levels: number): string {
  return `${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`;
}

void test('A8: what is no JSON object is refused', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '"x"',
    '1',
    '{"a":1}}',
    '{a:1}',
    "{'a':1}",
    '\ufeff{}',
    '{"a":NaN}',
  ])
    assert.throws(() => decodeObject(text), { code: 6, message: /standard input is not/ }, text);
});

void test('A8: nesting has a limit, and brackets in texts do not count', () => {
  assert.doesNotThrow(() => decodeObject(nested(64)));
  assert.throws(() => decodeObject(nested(65)), { code: 6, message: /more than 64 levels/ });
  assert.throws(() => decodeObject(`{"a":${'['.repeat(400_000)}${']'.repeat(400_000)}}`), { code: 6 });
  assert.doesNotThrow(() => decodeObject(JSON.stringify({ a: '['.repeat(1000), b: '\\"['.repeat(100) })));
});

void test('what an object inherits is not there', () => {
  const input = decodeObject('{"__proto__":{"polluted":"yes"}}');
  assert.equal(own(input, 'constructor'), undefined);
  assert.equal(own(input, 'polluted'), undefined);
  assert.equal(Object.getPrototypeOf(input), Object.prototype);
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
});

void test('a value of another type is refused with field, value and cure', () => {
  const input = decodeObject('{"a":[1],"b":"x","n":null}');
  assert.throws(() => textAt(input, 'a', 'x.a'), { code: 7, message: 'x.a: [1] does not fit; write a text' });
  assert.throws(() => objectAt(input, 'a'), { code: 7 });
  assert.throws(() => listAt(input, 'b'), { code: 7 });
  for (const value of ['1', 1.5, -1, 10, true, {}, [], 1e300])
    assert.throws(() => integerAt({ value }, 'value', [0, 9]), { code: 7 });
  assert.deepEqual(
    [textAt(input, 'n'), objectAt(input, 'n'), listAt(input, 'n'), integerAt(input, 'n', [0, 1])],
    [undefined, {}, [], undefined],
  );
});

void test('lists have a limit', () => {
  assert.equal(listAt({ a: Array(10_000).fill(0) }, 'a').length, 10_000);
  assert.throws(() => listAt({ a: Array(10_001).fill(0) }, 'a'), { code: 7, message: /10001 items/ });
});

void test('what is undefined is left out, and nothing else', () => {
  assert.deepEqual(Object.keys(defined({ a: undefined, b: null, c: 0, d: '' })), ['b', 'c', 'd']);
});

void test('any text decodes or is a CNI error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => {
      try {
        decodeObject(text);
      } catch (error) {
        assert.ok(error instanceof CniError && error.code === 6);
      }
    }),
  );
});
