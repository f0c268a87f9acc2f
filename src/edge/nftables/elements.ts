/**
 * Changes of single elements as one nfnetlink batch (linux/netfilter/nf_tables.h), which costs a hundredth of a run of
 * nft(8): all of them take effect, or none. Numbers are in network order here.
 */
import { cidrNetwork, cidrSize, parseCidr } from '../../base/ip/cidr.ts';
import {
  familyBits,
  type Ip,
  ipFamily,
  ipFromBigInt,
  ipToBigInt,
  ipToBytes,
  parseIp,
} from '../../base/ip/ip.ts';
import { Writer } from '../netlink/codec/attribute.ts';
import { NLM_F_ACK, NLM_F_CREATE, writeMessage } from '../netlink/codec/message.ts';
import type { Element, NftSet, NftType, Table, Verdict } from './objects.ts';

export type ElementChange = { change: 'add' | 'delete'; set: NftSet; elements: readonly Element[] };

export const SUBSYSTEM = 10;
const BATCH_BEGIN = 16;
const BATCH_END = 17;
const MESSAGES = { add: 12, delete: 14 } as const;
const GET_ELEMENT = (SUBSYSTEM << 8) | 13;
export const FAMILIES = { inet: 1, ip: 2, netdev: 5, ip6: 10 } as const;
const LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const LIST_ELEM = 1;
const ELEM = { KEY: 1, DATA: 2, FLAGS: 3, KEY_END: 10 } as const;
const DATA = { VALUE: 1, VERDICT: 2 } as const;
const VERDICT = { CODE: 1, CHAIN: 2 } as const;
const INTERVAL_END = 1;
/** NF_ACCEPT and NF_DROP of linux/netfilter.h, NFT_RETURN, NFT_JUMP and NFT_GOTO. */
const CODES = { accept: 1, drop: 0, return: -5, jump: -3, goto: -4 } as const;
/** A netlink attribute holds 64 KiB; an element takes up to about 100 bytes. */
const PER_MESSAGE = 500;

export const SIZES: Readonly<Record<NftType, number>> = {
  ipv4_addr: 4,
  ipv6_addr: 16,
  inet_proto: 1,
  inet_service: 2,
  mark: 4,
  ifname: 16,
  payload32: 4,
  payload128: 16,
};
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 };

/** The whole batch as messages for one send. */
export function encodeElementChanges(
  table: Pick<Table, 'family' | 'name'>,
  changes: readonly ElementChange[],
): Buffer {
  return encodeBatch(table, (batch) => {
    for (const change of changes) writeElements(batch, change);
  });
}

/** A transaction that is being written. */
export type Batch = {
  writer: Writer;
  /** Name of the table that it changes. */
  table: string;
  /** @param type NFT_MSG_*. @param flags besides the one that asks for an answer. */
  readonly message: (type: number, flags: number, write: () => void) => void;
};

/** A transaction, as messages for one send. @param write all that is between its beginning and its end. */
export function encodeBatch(
  { family, name }: Pick<Table, 'family' | 'name'>,
  write: (batch: Batch) => void,
): Buffer {
  const writer = new Writer();
  const generic = (resource: number) =>
    writer
      .u8(FAMILIES[family])
      .u8(0)
      .u8(resource >> 8)
      .u8(resource & 0xff);
  writeMessage(writer, BATCH_BEGIN, 0, () => generic(SUBSYSTEM));
  write({
    writer,
    table: name,
    message: (type, flags, body) =>
      writeMessage(writer, (SUBSYSTEM << 8) | type, NLM_F_ACK | flags, () => {
        generic(0);
        body();
      }),
  });
  writeMessage(writer, BATCH_END, 0, () => generic(SUBSYSTEM));
  return writer.finish();
}

export function writeElements(
  { writer, table, message }: Batch,
  { change, set, elements }: ElementChange,
): void {
  for (let start = 0; start < elements.length; start += PER_MESSAGE) {
    const part = elements.slice(start, start + PER_MESSAGE);
    message(MESSAGES[change], change === 'add' ? NLM_F_CREATE : 0, () => {
      writer.textAttribute(LIST.TABLE, table).textAttribute(LIST.SET, set.name);
      writer.nested(LIST.ELEMENTS, () => part.forEach((element) => writeElement(writer, set, element)));
    });
  }
}

/** Questions whether each element is there: ENOENT says that one is not. */
export function encodeElementQuestions(
  table: Pick<Table, 'family' | 'name'>,
  changes: readonly Omit<ElementChange, 'change'>[],
): Buffer {
  const writer = new Writer();
  for (const { set, elements } of changes) {
    for (const { key } of elements) {
      writeMessage(writer, GET_ELEMENT, NLM_F_ACK, () => {
        writer.u8(FAMILIES[table.family]).zeros(3);
        writer.textAttribute(LIST.TABLE, table.name).textAttribute(LIST.SET, set.name);
        writer.nested(LIST.ELEMENTS, () => writeElement(writer, set, { key }));
      });
    }
  }
  return writer.finish();
}

/**
 * A range is two elements: where it begins, and, marked so, the first value behind it. Of several parts it is one, with
 * its last value beside the first.
 */
function writeElement(writer: Writer, set: NftSet, { key, value }: Element): void {
  if (set.interval === true && set.key.length > 1) return writeRangeOfParts(writer, set, { key, value });
  const bounds =
    set.interval === true ? boundsOf(set, key) : { start: encodeKey(set.key, key), end: undefined };
  writer.nested(LIST_ELEM, () => {
    writer.nested(ELEM.KEY, () => writer.attribute(DATA.VALUE, bounds.start));
    if (value !== undefined) writer.nested(ELEM.DATA, () => writeValue(writer, set, value));
  });
  if (bounds.end === undefined) return;
  const { end } = bounds;
  writer.nested(LIST_ELEM, () => {
    writer.nested(ELEM.KEY, () => writer.attribute(DATA.VALUE, end));
    writer.attribute(ELEM.FLAGS, bigEndian(INTERVAL_END, 4));
  });
}

function writeRangeOfParts(
  writer: Writer,
  set: NftSet,
  { key, value }: Pick<Element, 'key'> & { value: Element['value'] | undefined },
): void {
  const limits = set.key.map((type, index) => {
    const part = key[index] ?? '';
    if (type !== 'inet_service') return [part, part] as const;
    const [first = '', last = first] = part.split('-');
    return [first, last] as const;
  });
  const [first, last] = [limits.map(([one]) => one), limits.map(([, one]) => one)];
  writer.nested(LIST_ELEM, () => {
    writer.nested(ELEM.KEY, () => writer.attribute(DATA.VALUE, encodeKey(set.key, first)));
    writer.nested(ELEM.KEY_END, () => writer.attribute(DATA.VALUE, encodeKey(set.key, last)));
    if (value !== undefined) writer.nested(ELEM.DATA, () => writeValue(writer, set, value));
  });
}

function boundsOf(set: NftSet, key: readonly string[]): { start: Uint8Array; end: Uint8Array | undefined } {
  const [text = ''] = key;
  if (set.key.length !== 1 || (set.key[0] !== 'ipv4_addr' && set.key[0] !== 'ipv6_addr')) {
    throw new TypeError(`ranges of ${set.key.join(' . ')} are not supported: set ${set.name}`);
  }
  const [first, behind] = limitsOf(text);
  const family = ipFamily(first);
  const last = behind >> BigInt(familyBits(family)) > 0n;
  return { start: ipToBytes(first), end: last ? undefined : ipToBytes(ipFromBigInt(behind, family)) };
}

/** Of `10.0.0.0/8`, `10.0.0.1-10.0.0.9` or one address: the first one, and the first value behind the last. */
function limitsOf(text: string): [Ip, bigint] {
  if (text.includes('/')) {
    const range = parseCidr(text);
    return [cidrNetwork(range), ipToBigInt(cidrNetwork(range)) + cidrSize(range)];
  }
  const [first = '', last = first] = text.split('-');
  return [parseIp(first), ipToBigInt(parseIp(last)) + 1n];
}

/** As the data of an element, or of an expression. */
export function writeVerdict(writer: Writer, verdict: Verdict): void {
  writer.nested(DATA.VERDICT, () => {
    writer.attribute(VERDICT.CODE, bigEndian(CODES[verdict.verdict], 4));
    if ('chain' in verdict) writer.textAttribute(VERDICT.CHAIN, verdict.chain);
  });
}

function writeValue(writer: Writer, set: NftSet, value: readonly string[] | Verdict): void {
  if ('verdict' in value) {
    writeVerdict(writer, value);
  } else if (Array.isArray(set.value)) {
    writer.attribute(DATA.VALUE, encodeKey(set.value as readonly NftType[], value));
  } else {
    throw new TypeError(`set ${set.name} has no values of this kind`);
  }
}

/** In a concatenation every part is padded to four bytes. */
function encodeKey(types: readonly NftType[], parts: readonly string[]): Uint8Array {
  if (types.length !== parts.length) throw new TypeError(`${parts.join(' . ')} is not ${types.join(' . ')}`);
  const encoded = types.map((type, index) => encodePart(type, parts[index]!));
  if (encoded.length === 1) return encoded[0]!;
  return Buffer.concat(encoded.flatMap((bytes) => [bytes, Buffer.alloc((4 - (bytes.length & 3)) & 3)]));
}

function encodePart(type: NftType, text: string): Uint8Array {
  switch (type) {
    case 'ipv4_addr':
    case 'ipv6_addr': {
      const bytes = ipToBytes(parseIp(text));
      if (bytes.length !== SIZES[type]) throw new TypeError(`${text} is not an ${type}`);
      return bytes;
    }
    case 'inet_proto':
      return bigEndian(PROTOCOLS[text] ?? number(text, type), SIZES[type]);
    case 'inet_service':
      return bigEndian(number(text, type), SIZES[type]);
    case 'mark': {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(number(text, type));
      return bytes;
    }
    case 'payload32':
    case 'payload128': {
      const digits = /^0x([0-9a-f]+)$/i.exec(text)?.[1]?.padStart(2 * SIZES[type], '0');
      if (digits?.length !== 2 * SIZES[type]) throw new TypeError(`${text} is not a ${type}`);
      return Buffer.from(digits, 'hex');
    }
    case 'ifname': {
      const bytes = Buffer.alloc(SIZES.ifname);
      if (bytes.write(text) >= SIZES.ifname) throw new TypeError(`${text} is too long for an interface name`);
      return bytes;
    }
  }
}

function number(text: string, type: NftType): number {
  const value = Number(text);
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(text) || value >= 2 ** (8 * SIZES[type]))
    throw new TypeError(`${text} is not an ${type}`);
  return value;
}

export function bigEndian(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes.subarray(4 - size);
}
