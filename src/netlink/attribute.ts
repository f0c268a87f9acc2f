/**
 * Netlink attributes (linux/netlink.h, struct nlattr): length, type, payload, padded to four bytes.
 * Numbers are in host order unless the name says `Be`; all machines that Fairlead runs on are little-endian.
 */

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

export class NetlinkDecodeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NetlinkDecodeError';
  }
}

/** Writes a message front to back into a buffer that grows. */
export class Writer {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  u8(value: number): this {
    return this.#write(1, (bytes, at) => bytes.writeUInt8(value, at));
  }
  u16(value: number): this {
    return this.#write(2, (bytes, at) => bytes.writeUInt16LE(value, at));
  }
  u32(value: number): this {
    return this.#write(4, (bytes, at) => bytes.writeUInt32LE(value >>> 0, at));
  }
  zeros(count: number): this {
    return this.#write(count, () => undefined);
  }
  bytes(value: Uint8Array): this {
    return this.#write(value.length, (bytes, at) => bytes.set(value, at));
  }

  attribute(type: number, payload: Uint8Array): this {
    return this.#framed(type, () => this.bytes(payload));
  }
  u8Attribute(type: number, value: number): this {
    return this.#framed(type, () => this.u8(value));
  }
  u32Attribute(type: number, value: number): this {
    return this.#framed(type, () => this.u32(value));
  }
  u16BeAttribute(type: number, value: number): this {
    return this.#framed(type, () => this.u8(value >> 8).u8(value & 0xff));
  }
  /** With the terminating zero that the kernel's NLA_NUL_STRING wants. */
  textAttribute(type: number, value: string): this {
    return this.#framed(type, () => this.bytes(Buffer.from(value)).u8(0));
  }
  /** @param flagged whether the type carries NLA_F_NESTED; a few old attributes are nested without it. */
  nested(type: number, write: (writer: this) => void, flagged = true): this {
    return this.#framed(flagged ? type | NESTED : type, () => write(this));
  }

  /** Bytes written so far; the caller may patch them until the next write. */
  get length(): number {
    return this.#length;
  }
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
  patchU32(offset: number, value: number): void {
    this.#bytes.writeUInt32LE(value, offset);
  }

  #framed(type: number, write: () => void): this {
    const start = this.#length;
    this.u16(0).u16(type);
    write();
    this.#bytes.writeUInt16LE(this.#length - start, start);
    return this.zeros((4 - (this.#length & 3)) & 3);
  }

  #write(count: number, put: (bytes: Buffer, at: number) => void): this {
    const end = this.#length + count;
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.fill(0, this.#length, end);
    put(this.#bytes, this.#length);
    this.#length = end;
    return this;
  }
}

/** The attributes of a payload by type; of several of one type the last counts, as in the kernel. */
export class Attributes {
  readonly #values: Map<number, Buffer>;

  /** @throws NetlinkDecodeError where an attribute reaches beyond the payload. */
  constructor(payload: Buffer) {
    this.#values = new Map(listAttributes(payload));
  }

  bytes(type: number): Buffer | undefined {
    return this.#values.get(type);
  }
  u8(type: number): number | undefined {
    return this.#sized(type, 1)?.readUInt8(0);
  }
  u16Be(type: number): number | undefined {
    return this.#sized(type, 2)?.readUInt16BE(0);
  }
  u32(type: number): number | undefined {
    return this.#sized(type, 4)?.readUInt32LE(0);
  }
  i32(type: number): number | undefined {
    return this.#sized(type, 4)?.readInt32LE(0);
  }
  text(type: number): string | undefined {
    const value = this.#values.get(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return value.toString('utf8', 0, end < 0 ? value.length : end);
  }
  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type);
    return value === undefined ? undefined : new Attributes(value);
  }

  #sized(type: number, size: number): Buffer | undefined {
    const value = this.#values.get(type);
    if (value !== undefined && value.length < size) {
      throw new NetlinkDecodeError(`attribute ${type} has ${value.length} bytes, not ${size}`);
    }
    return value;
  }
}

/** All attributes of a payload in their order. */
export function* listAttributes(payload: Buffer): Generator<[type: number, value: Buffer]> {
  for (let at = 0; at + 4 <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) {
      throw new NetlinkDecodeError(
        `attribute at ${at} is ${length} bytes long in a payload of ${payload.length}`,
      );
    }
    yield [payload.readUInt16LE(at + 2) & TYPE_MASK, payload.subarray(at + 4, at + length)];
    at += (length + 3) & ~3;
  }
}

/** An object with this field, or without it: absent fields are absent, not undefined. */
export function optional<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { [P in K]: V });
}
