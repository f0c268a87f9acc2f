/** Netlink messages (linux/netlink.h, struct nlmsghdr): header, payload, errors with the kernel's own words. */
import { Attributes, NetlinkDecodeError, type Writer } from './attribute.ts';
import { errnoName } from './errno.ts';

export const HEADER_LENGTH = 16;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;

export type Message = { type: number; flags: number; sequence: number; portId: number; payload: Buffer };

/** Appends one message; the addon fills in sequence number and port. */
export function writeMessage(
  writer: Writer,
  type: number,
  flags: number,
  write: (writer: Writer) => void,
): void {
  const start = writer.length;
  writer
    .u32(0)
    .u16(type)
    .u16(flags | NLM_F_REQUEST)
    .u32(0)
    .u32(0);
  write(writer);
  writer.patchU32(start, writer.length - start);
  writer.align();
}

/** @throws NetlinkDecodeError where a message reaches beyond the buffer. */
export function* readMessages(buffer: Buffer): Generator<Message> {
  for (let at = 0; at + HEADER_LENGTH <= buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    if (length < HEADER_LENGTH || at + length > buffer.length) {
      throw new NetlinkDecodeError(
        `the message at ${at} is ${length} bytes long in a buffer of ${buffer.length}`,
      );
    }
    yield {
      type: buffer.readUInt16LE(at + 4),
      flags: buffer.readUInt16LE(at + 6),
      sequence: buffer.readUInt32LE(at + 8),
      portId: buffer.readUInt32LE(at + 12),
      payload: buffer.subarray(at + HEADER_LENGTH, at + length),
    };
    at += (length + 3) & ~3;
  }
}

export type Refusal = { errno: string; extendedAck?: string };

/**
 * The kernel's answer to a request (NLMSG_ERROR), or the end of a dump (NLMSG_DONE).
 * @returns undefined for an acknowledgement.
 */
export function readError({ type, flags, payload }: Message): Refusal | undefined {
  if (payload.length < 4) throw new NetlinkDecodeError('an error message without a number');
  const number = -payload.readInt32LE(0);
  if (number === 0) return undefined;
  const errno = errnoName(number);
  const text = flags & NLM_F_ACK_TLVS ? extendedAck(type, flags, payload) : undefined;
  return text === undefined ? { errno } : { errno, extendedAck: text };
}

/** Behind the number: of NLMSG_ERROR the request (its header alone when capped), then the attributes. */
function extendedAck(type: number, flags: number, payload: Buffer): string | undefined {
  let at = 4;
  if (type === NLMSG_ERROR && payload.length >= 4 + HEADER_LENGTH) {
    at += flags & NLM_F_CAPPED ? HEADER_LENGTH : alignedLength(payload.readUInt32LE(4));
  }
  return new Attributes(payload, at).text(NLMSGERR_ATTR_MSG);
}

/** A length of any 32 bits, without wrapping around. */
function alignedLength(length: number): number {
  return Math.ceil(length / 4) * 4;
}
