import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Attributes, NetlinkDecodeError, setPresent, Writer } from './attribute.ts';

void test('an attribute is length, type and payload, padded to four bytes', () => {
  const bytes = new Writer().u8Attribute(1, 0xab).textAttribute(2, 'lo').u16BeAttribute(3, 4789).finish();
  assert.equal(bytes.toString('hex'), hex('0500 0100 ab000000 0700 0200 6c6f0000 0600 0300 12b50000'));
});

void test('a nested attribute holds its own, and carries the flag where it should', () => {
  for (const [flagged, expected] of [
    [true, '0c001280 08000100 04030201'],
    [false, '0c001200 08000100 04030201'],
  ] as const) {
    const bytes = new Writer().nested(18, (writer) => writer.u32Attribute(1, 0x01020304), flagged).finish();
    assert.equal(bytes.toString('hex'), hex(expected));
    assert.equal(new Attributes(bytes).nested(18)?.u32(1), 0x01020304);
  }
});

void test('what was written is read again, whatever its size', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 3000 })), {
        maxLength: 12,
      }),
      (attributes) => {
        const writer = new Writer();
        for (const [type, payload] of attributes) writer.attribute(type, payload);
        const read = new Attributes(writer.finish());
        for (const [type, payload] of new Map(attributes))
          assert.deepEqual(new Uint8Array(read.bytes(type)!), payload);
      },
    ),
  );
});

void test('of several attributes of one type the last counts; all of their texts can be had', () => {
  const bytes = new Writer().textAttribute(53, 'one').u32Attribute(4, 7).textAttribute(53, 'two').finish();
  assert.equal(new Attributes(bytes).text(53), 'two');
  assert.deepEqual(new Attributes(bytes).texts(53), ['one', 'two']);
  assert.equal(new Attributes(bytes).bytes(99), undefined);
});

void test('attributes that reach too far or are too short are errors', () => {
  const beyond = Buffer.from('0900010061626300', 'hex');
  assert.throws(() => new Attributes(beyond), NetlinkDecodeError);
  assert.throws(() => new Attributes(Buffer.from('03000100', 'hex')), NetlinkDecodeError);
  assert.throws(() => new Attributes(Buffer.alloc(8), 12), NetlinkDecodeError);
  assert.throws(
    () => new Attributes(new Writer().u8Attribute(1, 1).finish()).u32(1),
    /attribute 1 has 1 bytes, not 4/,
  );
});

void test('a number that does not fit its field is refused, not cut', () => {
  assert.throws(() => new Writer().u8Attribute(1, 256), RangeError);
  assert.throws(() => new Writer().u32Attribute(1, -1), RangeError);
  assert.throws(() => new Writer().attribute(1, Buffer.alloc(70_000)), RangeError);
});

void test('an absent field is absent', () => {
  const object: { a?: number; b?: number } = {};
  setPresent(object, 'a', 1);
  setPresent(object, 'b', undefined);
  assert.deepEqual(Object.keys(object), ['a']);
});

/** Hexadecimal digits, spaced for the reader. */
function hex(text: string): string {
  return text.replaceAll(' ', '');
}
