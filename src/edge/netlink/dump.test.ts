import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Writer } from './codec/attribute.ts';
import { NLMSG_DONE, NLMSG_ERROR, writeMessage } from './codec/message.ts';
import { dump, get, type Question, type Requester } from './dump.ts';
import { NetlinkError } from './kernel.ts';

const ANSWER = 16;
const question: Question<number> = {
  what: 'things',
  type: 18,
  answer: ANSWER,
  write: (writer) => writer.u32(0),
  read: (payload) => payload.readUInt32LE(0),
};

void test('a list that changed while it was made is made again', () => {
  const socket = answering(
    { objects: [1, 2], interrupted: true },
    { objects: [1], interrupted: true },
    { objects: [1, 2, 3], interrupted: false },
  );
  assert.deepEqual(dump(socket, question), [1, 2, 3]);
});

void test('a list that never holds still is an error, and no list', () => {
  let asked = 0;
  const restless: Requester = {
    transact: () => {
      asked++;
      return reply({ objects: [asked], interrupted: true });
    },
  };
  assert.throws(() => dump(restless, question), { errno: 'EAGAIN', message: /list things, which changed/ });
  assert.equal(asked, 20);
});

void test('a refused list is an error, whether it is refused at its beginning or at its end', () => {
  for (const type of [NLMSG_ERROR, NLMSG_DONE]) {
    const socket = answering({ objects: [1], interrupted: false, end: { type, errno: 95 } });
    assert.throws(() => dump(socket, question), { errno: 'EOPNOTSUPP', message: 'list things: EOPNOTSUPP' });
  }
});

void test('of one thing the answer is that thing, nothing, or an error', () => {
  assert.equal(get(ending(0, [7]), question), 7);
  assert.equal(get(ending(19), question), undefined);
  assert.throws(() => get(ending(1), question), NetlinkError);
});

function ending(errno: number, objects: number[] = []): Requester {
  return answering({ objects, interrupted: false, end: { type: NLMSG_ERROR, errno } });
}

type Scripted = { objects: number[]; interrupted: boolean; end?: { type: number; errno: number } };

function answering(...replies: Scripted[]): Requester {
  return { transact: () => reply(replies.shift()!) };
}

function reply({ objects, interrupted, end = { type: NLMSG_DONE, errno: 0 } }: Scripted) {
  const writer = new Writer();
  for (const object of objects) writeMessage(writer, ANSWER, 0, (to) => to.u32(object));
  writeMessage(writer, end.type, 0, (to) => to.u32(-end.errno >>> 0).zeros(16));
  return { replies: writer.finish(), interrupted, firstSequence: 1 };
}
