import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetlinkDecodeError, Writer } from './attribute.ts';
import { type Message, NLM_F_ACK, NLMSG_ERROR, readError, readMessages, writeMessage } from './message.ts';

void test('messages stand one behind the other, each padded to four bytes', () => {
  const writer = new Writer();
  writeMessage(writer, 18, NLM_F_ACK, (to) => to.u8(7));
  writeMessage(writer, 26, 0, (to) => to.u32(9));
  const bytes = writer.finish();
  assert.equal(
    bytes.toString('hex'),
    hex('11000000 1200 0500 00000000 00000000 07000000 14000000 1a00 0100 00000000 00000000 09000000'),
  );
  assert.deepEqual(
    [...readMessages(bytes)].map(({ type, flags, payload }) => [type, flags, payload.toString('hex')]),
    [
      [18, 5, '07'],
      [26, 1, '09000000'],
    ],
  );
});

void test('a message that reaches beyond the buffer is an error', () => {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(17, 0);
  assert.throws(() => [...readMessages(bytes)], NetlinkDecodeError);
  bytes.writeUInt32LE(15, 0);
  assert.throws(() => [...readMessages(bytes)], NetlinkDecodeError);
});

void test('an acknowledgement is no error', () => {
  assert.equal(readError(answer(0, Buffer.alloc(20))), undefined);
});

void test("an error has its errno's name, or its number", () => {
  assert.deepEqual(readError(answer(0, errorPayload(17, Buffer.alloc(16)))), { errno: 'EEXIST' });
  assert.deepEqual(readError(answer(0, errorPayload(530, Buffer.alloc(16)))), { errno: 'errno 530' });
  assert.throws(() => readError(answer(0, Buffer.alloc(3))), NetlinkDecodeError);
});

void test("the kernel's words stand behind the request, whether that is cut to its header or whole", () => {
  const words = new Writer().textAttribute(1, 'Nexthop has invalid gateway').finish();
  const request = Buffer.alloc(22);
  request.writeUInt32LE(22, 0);
  const whole = Buffer.concat([request, Buffer.alloc(2), words]);
  const cut = Buffer.concat([request.subarray(0, 16), words]);
  const expected = { errno: 'ENETUNREACH', extendedAck: 'Nexthop has invalid gateway' };
  assert.deepEqual(readError(answer(0x200, errorPayload(101, whole))), expected);
  assert.deepEqual(readError(answer(0x300, errorPayload(101, cut))), expected);
});

function answer(flags: number, payload: Buffer): Message {
  return { type: NLMSG_ERROR, flags, sequence: 1, portId: 1, payload };
}

function errorPayload(errno: number, rest: Buffer): Buffer {
  const number = Buffer.alloc(4);
  number.writeInt32LE(-errno);
  return Buffer.concat([number, rest]);
}

/** Hexadecimal digits, spaced for the reader. */
function hex(text: string): string {
  return text.replaceAll(' ', '');
}
