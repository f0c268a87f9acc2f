import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter } from './lines.ts';
import { ListReader } from './list-reader.ts';

/** @param cuts where the bytes are cut into chunks. */
function read(text: string, cuts: readonly number[] = []): { items: unknown[]; envelope: unknown } {
  const bytes = Buffer.from(text);
  const items: unknown[] = [];
  const reader = new ListReader((item) => items.push(item));
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  for (const [index, from] of places.slice(0, -1).entries())
    reader.push(bytes.subarray(from, places[index + 1]));
  return { items, envelope: reader.end() };
}

test('whatever the objects are and wherever the chunks end, the items are those of the list', () => {
  const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue());
  const list = fc.record({ before: object, items: fc.array(object), after: object, indent: fc.nat(2) });
  fc.assert(
    fc.property(list, fc.array(fc.nat(2000)), ({ before, items, after, indent }, cuts) => {
      const whole = { metadata: before, kind: 'PodList', items, trailer: after };
      const expected = { ...whole, items: [] };
      const { items: found, envelope } = read(JSON.stringify(whole, null, indent), cuts);
      assert.equal(JSON.stringify(found), JSON.stringify(items));
      assert.equal(JSON.stringify(envelope), JSON.stringify(expected));
    }),
  );
});

test('a field named items elsewhere, or a text that looks like it, is not the list', () => {
  const whole = {
    metadata: { items: [{ a: 1 }] },
    other: [{ b: 2 }],
    text: ',"items":[{"c":3}]',
    ',"items":': [{ d: 4 }],
    items: [{ e: '}]{["\\' }],
  };
  const { items, envelope } = read(JSON.stringify(whole));
  assert.deepEqual(items, [{ e: '}]{["\\' }]);
  assert.deepEqual(envelope, { ...whole, items: [] });
  assert.deepEqual(read('{"items":null}').envelope, { items: null });
  assert.deepEqual(read(' {"items" : [ ] } \n').envelope, { items: [] });
});

test('what is no list, or breaks off anywhere, is refused', () => {
  const text = JSON.stringify({ kind: 'NodeList', items: [{ a: [1, { b: 'ü' }] }, { c: null }], more: {} });
  for (let end = 0; end < Buffer.byteLength(text); end++) {
    assert.throws(
      () => read(Buffer.from(text).subarray(0, end).toString('latin1')),
      Error,
      text.slice(0, end),
    );
  }
  for (const wrong of [
    '',
    '7',
    'null',
    '"x"',
    '}',
    '{]',
    '{"items":["a"]}',
    '{"items":[[]]}',
    '{"items":[{}',
    `${text}{`,
  ]) {
    assert.throws(() => read(wrong), Error, wrong);
  }
  fc.assert(
    fc.property(fc.string(), (noise) => {
      try {
        read(noise);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }),
  );
});

test('sizes are bounded', () => {
  assert.throws(
    () => read(`{"items":[{"a":"${'x'.repeat(9 * 1024 * 1024)}"}]}`),
    /an object is larger than 8 MiB/,
  );
  assert.throws(() => read(`{"a":"${'x'.repeat(2 * 1024 * 1024)}","items":[]}`), /more than 1 MiB around/);
  const lines = new LineSplitter(2048);
  assert.throws(() => lines.push(Buffer.alloc(3000, 'x')), /longer than 2 KiB/);
});

test('lines are the same wherever the chunks end', () => {
  const text = fc.array(fc.string({ unit: 'binary' }).map((line) => line.replaceAll(/[\n\r]/g, '').trim()));
  fc.assert(
    fc.property(text, fc.array(fc.nat(500)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const splitter = new LineSplitter(1024 * 1024);
      const places = [
        0,
        ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b),
        bytes.length,
      ];
      const found = places
        .slice(0, -1)
        .flatMap((from, index) => splitter.push(bytes.subarray(from, places[index + 1])));
      const expected = lines
        .map((line) => Buffer.from(line).toString('utf8').trim())
        .filter((line) => line !== '');
      assert.deepEqual(found, expected);
    }),
  );
});
