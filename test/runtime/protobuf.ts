/** As much of the protocol buffers' wire format as the CRI needs (protobuf.dev, "Encoding"). */

/** Text and bytes have a length, numbers are varints, lists repeat the field, and a message is its fields by number. */
export type Value = string | number | Message | readonly (string | Message)[];
export type Message = { readonly [field: number]: Value | undefined };

const VARINT = 0;
const LENGTH = 2;

export function encode(message: Message): Buffer {
  const parts: Buffer[] = [];
  for (const [field, value] of Object.entries(message)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? (value as (string | Message)[]) : [value]) {
      if (typeof item === 'number') {
        parts.push(varint((Number(field) << 3) | VARINT), varint(item));
      } else {
        const bytes = typeof item === 'string' ? Buffer.from(item) : encode(item);
        parts.push(varint((Number(field) << 3) | LENGTH), varint(bytes.length), bytes);
      }
    }
  }
  return Buffer.concat(parts);
}

/** A received message: every field with all its values, in the order in which they came. */
export class Fields {
  readonly #values = new Map<number, (Buffer | number)[]>();

  constructor(bytes: Buffer) {
    let at = 0;
    const readVarint = () => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[at++];
        if (byte === undefined) throw new RangeError('the message ends within a number');
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    while (at < bytes.length) {
      const key = readVarint();
      const number = readVarint();
      const value = (key & 7) === VARINT ? number : bytes.subarray(at, at + number);
      if (typeof value !== 'number') at += number;
      const field = key >>> 3;
      this.#values.set(field, [...(this.#values.get(field) ?? []), value]);
    }
  }

  text(field: number): string {
    return this.bytes(field).toString();
  }

  number(field: number): number {
    const value = this.#values.get(field)?.at(-1) ?? 0;
    return typeof value === 'number' ? value : 0;
  }

  bytes(field: number): Buffer {
    const value = this.#values.get(field)?.at(-1);
    return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
  }

  message(field: number): Fields {
    return new Fields(this.bytes(field));
  }

  messages(field: number): Fields[] {
    return (this.#values.get(field) ?? []).map((value) => new Fields(value as Buffer));
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}
