/** Asking the kernel for objects: all of a kind, or one. */

import { runSliced } from '../../base/run/sliced.ts';
import { runToEnd, type Slices } from '../../base/run/slices.ts';
import { Writer } from './codec/attribute.ts';
import {
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLMSG_DONE,
  NLMSG_ERROR,
  readError,
  readMessages,
  writeMessage,
} from './codec/message.ts';
import { NetlinkError } from './kernel.ts';
import type { Transaction } from './native.ts';

/** What a request goes through: a netlink socket. */
export type Requester = { transact: (messages: Buffer) => Transaction };
export type PatientRequester = { transactAsync: (messages: Buffer) => Promise<Transaction> };

export type Question<T> = {
  /** What is asked for, in words: `routes`. */
  what: string;
  /** The type of the question (RTM_GET…) and that of each answer (RTM_NEW…). */
  type: number;
  answer: number;
  write: (writer: Writer) => void;
  /** Undefined for what is of no interest. */
  read: (payload: Buffer) => T | undefined;
};

/** Messages that are one step. */
const AT_A_TIME = 64;
/** Each attempt takes about as long as the change that spoiled it. */
const MOST_ATTEMPTS = 20;

/**
 * All objects. What changed while the kernel listed it is asked for again, because such a list can lack objects
 * that are there.
 * @throws NetlinkError when the kernel refuses, or the objects change all the time.
 */
export function dump<T>(socket: Requester, question: Question<T>): T[] {
  const request = writeDump(question);
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    const { replies, interrupted } = socket.transact(request);
    if (!interrupted) return runToEnd(readAnswers(replies, question));
  }
  throw restless(question);
}

/** The same off the event loop, for thousands of objects: others have their turns. */
export async function dumpSliced<T>(socket: PatientRequester, question: Question<T>): Promise<T[]> {
  const request = writeDump(question);
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    const { replies, interrupted } = await socket.transactAsync(request);
    if (!interrupted) return runSliced(readAnswers(replies, question));
  }
  throw restless(question);
}

function writeDump<T>({ type, write }: Question<T>): Buffer {
  const writer = new Writer();
  writeMessage(writer, type, NLM_F_DUMP, write);
  return writer.finish();
}

function restless<T>({ what }: Question<T>): NetlinkError {
  return new NetlinkError(`list ${what}, which changed during each of ${MOST_ATTEMPTS} attempts`, 'EAGAIN');
}

/** @returns undefined when there is none. */
export function get<T>(socket: Requester, question: Question<T>): T | undefined {
  const writer = new Writer();
  writeMessage(writer, question.type, NLM_F_ACK, question.write);
  const { replies } = socket.transact(writer.finish());
  // Absence is an everyday answer: no error is made of it, with its stack, just to be caught here.
  if ([...readMessages(replies)].some(saysAbsent)) return undefined;
  return runToEnd(readAnswers(replies, question))[0];
}

function saysAbsent(message: Message): boolean {
  return message.type === NLMSG_ERROR && readError(message)?.errno === 'ENODEV';
}

function* readAnswers<T>(replies: Buffer, { what, answer, read }: Question<T>): Slices<T[]> {
  const objects: T[] = [];
  let count = 0;
  for (const message of readMessages(replies)) {
    if (++count % AT_A_TIME === 0) yield;
    if (message.type === answer) {
      const object = read(message.payload);
      if (object !== undefined) objects.push(object);
    } else {
      throwRefusal(message, what);
    }
  }
  return objects;
}

function throwRefusal(message: Message, what: string): void {
  const ends = message.type === NLMSG_ERROR || message.type === NLMSG_DONE;
  const refusal = ends && message.payload.length >= 4 ? readError(message) : undefined;
  if (refusal !== undefined) throw new NetlinkError(`list ${what}`, refusal.errno, refusal.extendedAck);
}
