/**
 * Netlink attributes (linux/netlink.h, struct nlattr): length, type, payload, padded to four bytes.
 * Numbers are in host order unless the name says `Be`; all machines that Fairlead runs on are little-endian.
 */

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const HEADER_LENGTH = 4;

/** Bytes that are not what they should be: a kernel that speaks otherwise, or a fault of a codec. */
export class NetlinkDecodeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NetlinkDecodeError';
  }
}

/** Writes a message front to back into a buffer that grows. */
export class Writer {
  #bytes = Buffer.allocUnsafe(1024);
  #length = 0;

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#bytes.writeUInt8(value, at);
    return this;
  }
  u16(value: number): this {
    const at = this.#reserve(2);
    this.#bytes.writeUInt16LE(value, at);
    return this;
  }
  u32(value: number): this {
    const at = this.#reserve(4);
    this.#bytes.writeUInt32LE(value, at);
    return this;
  }
  zeros(count: number): this {
    const at = this.#reserve(count);
    this.#bytes.fill(0, at, at + count);
    return this;
  }
  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  attribute(type: number, payload: Uint8Array): this {
    const start = this.#begin(type);
    this.bytes(payload);
    return this.#end(start);
  }
  u8Attribute(type: number, value: number): this {
    const start = this.#begin(type);
    this.u8(value);
    return this.#end(start);
  }
  u32Attribute(type: number, value: number): this {
    const start = this.#begin(type);
    this.u32(value);
    return this.#end(start);
  }
  /** @param value a whole number up to 2^53 − 1. */
  u64Attribute(type: number, value: number): this {
    const start = this.#begin(type);
    this.u32(value % 2 ** 32).u32(Math.floor(value / 2 ** 32));
    return this.#end(start);
  }
  u16BeAttribute(type: number, value: number): this {
    const start = this.#begin(type);
    this.u8(value >> 8).u8(value & 0xff);
    return this.#end(start);
  }
  /** With the terminating zero that the kernel's NLA_NUL_STRING wants. */
  textAttribute(type: number, value: string): this {
    const start = this.#begin(type);
    this.bytes(Buffer.from(value)).u8(0);
    return this.#end(start);
  }
  /** @param flagged whether the type carries NLA_F_NESTED; a few old attributes are nested without it. */
  nested(type: number, write: (writer: this) => void, flagged = true): this {
    const start = this.#begin(flagged ? type | NESTED : type);
    write(this);
    return this.#end(start);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
  /** Overwrites four bytes that were written before. */
  patchU32(offset: number, value: number): void {
    this.#bytes.writeUInt32LE(value, offset);
  }
  /** Zeros up to the next multiple of four. */
  align(): this {
    return this.zeros(-this.#length & 3);
  }

  #begin(type: number): number {
    const start = this.#length;
    this.u16(0).u16(type);
    return start;
  }
  #end(start: number): this {
    this.#bytes.writeUInt16LE(this.#length - start, start);
    return this.align();
  }

  #reserve(count: number): number {
    const at = this.#length;
    const end = at + count;
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
    }
    this.#length = end;
    return at;
  }
}

/** The attributes of a message or of a nested attribute; of several of one type the last counts, as in the kernel. */
export class Attributes {
  readonly #bytes: Buffer;
  /** Where each attribute starts. */
  readonly #starts: number[] = [];

  /**
   * @param offset bytes in front of the attributes: the family's own header.
   * @throws NetlinkDecodeError where that is missing, or an attribute reaches beyond the end.
   */
  constructor(bytes: Buffer, offset = 0) {
    this.#bytes = bytes;
    if (bytes.length < offset) {
      throw new NetlinkDecodeError(`a message of ${bytes.length} bytes has no header of ${offset}`);
    }
    for (let at = offset; at + HEADER_LENGTH <= bytes.length; ) {
      const length = bytes.readUInt16LE(at);
      if (length < HEADER_LENGTH || at + length > bytes.length) {
        throw new NetlinkDecodeError(
          `the attribute at ${at} is ${length} bytes long in ${bytes.length} bytes`,
        );
      }
      this.#starts.push(at);
      at += (length + 3) & ~3;
    }
  }

  bytes(type: number): Buffer | undefined {
    const start = this.#find(type);
    return start < 0 ? undefined : this.#payload(start);
  }
  u8(type: number): number | undefined {
    const start = this.#find(type, 1);
    return start < 0 ? undefined : this.#bytes.readUInt8(start + HEADER_LENGTH);
  }
  u16Be(type: number): number | undefined {
    const start = this.#find(type, 2);
    return start < 0 ? undefined : this.#bytes.readUInt16BE(start + HEADER_LENGTH);
  }
  u32(type: number): number | undefined {
    const start = this.#find(type, 4);
    return start < 0 ? undefined : this.#bytes.readUInt32LE(start + HEADER_LENGTH);
  }
  /** Rounded beyond 2^53. */
  u64(type: number): number | undefined {
    const start = this.#find(type, 8);
    return start < 0 ? undefined : Number(this.#bytes.readBigUInt64LE(start + HEADER_LENGTH));
  }
  i32(type: number): number | undefined {
    const start = this.#find(type, 4);
    return start < 0 ? undefined : this.#bytes.readInt32LE(start + HEADER_LENGTH);
  }
  text(type: number): string | undefined {
    const value = this.bytes(type);
    return value === undefined ? undefined : decodeText(value);
  }
  nested(type: number): Attributes | undefined {
    const value = this.bytes(type);
    return value === undefined ? undefined : new Attributes(value);
  }
  /** All texts of one type, in their order. */
  texts(type: number): string[] {
    return this.#starts
      .filter((start) => this.#typeAt(start) === type)
      .map((start) => decodeText(this.#payload(start)));
  }

  /** Where the attribute starts; −1 where there is none. */
  #find(type: number, size = 0): number {
    for (let i = this.#starts.length - 1; i >= 0; i--) {
      const start = this.#starts[i]!;
      if (this.#typeAt(start) !== type) continue;
      const length = this.#bytes.readUInt16LE(start) - HEADER_LENGTH;
      if (length < size) throw new NetlinkDecodeError(`attribute ${type} has ${length} bytes, not ${size}`);
      return start;
    }
    return -1;
  }
  #typeAt(start: number): number {
    return this.#bytes.readUInt16LE(start + 2) & TYPE_MASK;
  }
  #payload(start: number): Buffer {
    return this.#bytes.subarray(start + HEADER_LENGTH, start + this.#bytes.readUInt16LE(start));
  }
}

/** Up to the first zero, or all of it. */
function decodeText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** Sets a field that may be absent: absent fields are absent, not undefined. */
export function setPresent<T extends object, K extends keyof T>(
  object: T,
  field: K,
  value: T[K] | undefined,
): void {
  if (value !== undefined) object[field] = value;
}
