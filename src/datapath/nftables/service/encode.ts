/**
 * Elements of services as one nfnetlink batch. Elements of a set are alike but for their bytes, so they are copies of one
 * pattern that are filled in: a quarter of a million of them take the general codec seconds.
 */
import { type Ip, ipToBytes } from '../../../base/ip/ip.ts';
import { type ElementChange, encodeElementChanges } from '../../../edge/nftables/elements.ts';
import type { Element, NftType, Verdict } from '../../../edge/nftables/objects.ts';
import type { ElementStage } from './objects.ts';

const HEADER = 20;
const NESTED = 0x8000;
const [REQUEST, ACK, CREATE] = [1, 4, 0x400];
const INET = 1;
const MESSAGES = { add: (10 << 8) | 12, delete: (10 << 8) | 14 } as const;
const LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const LIST_ELEM = 1;
const ELEM = { KEY: 1, DATA: 2 } as const;
const DATA = { VALUE: 1, VERDICT: 2 } as const;
const VERDICT = { CODE: 1, CHAIN: 2 } as const;
/** NF_ACCEPT, NF_DROP, NFT_RETURN, NFT_JUMP, NFT_GOTO. */
const CODES = { accept: 1, drop: 0, return: -5, jump: -3, goto: -4 } as const;
/** A netlink attribute holds 64 KiB. */
const MOST_BYTES = 60_000;
const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

export function encodeStage(table: string, stage: ElementStage): Buffer {
  const frame = encodeElementChanges({ family: 'inet', name: table }, []);
  const messages = stage.flatMap((change) =>
    change.set.interval === true
      ? // Few: by the codec that knows ranges, without its own frame.
        [
          encodeElementChanges({ family: 'inet', name: table }, [change]).subarray(
            frame.length / 2,
            -frame.length / 2,
          ),
        ]
      : encodeChange(table, change),
  );
  return Buffer.concat([frame.subarray(0, frame.length / 2), ...messages, frame.subarray(frame.length / 2)]);
}

function encodeChange(table: string, { change, set, elements }: ElementChange): Buffer[] {
  const encode = createEncoder(set.key, Array.isArray(set.value) ? set.value : undefined);
  const messages: Buffer[] = [];
  let [items, bytes]: [Buffer[], number] = [[], 0];
  const flush = () => {
    if (items.length > 0) messages.push(message(MESSAGES[change], change === 'add', table, set.name, items));
    [items, bytes] = [[], 0];
  };
  for (const element of elements) {
    const item = encode(element);
    if (bytes + item.length > MOST_BYTES) flush();
    items.push(item);
    bytes += item.length;
  }
  flush();
  return messages;
}

/** The pattern is copied and filled in; verdicts, which have names in them, are kept by their text. */
function createEncoder(
  key: readonly NftType[],
  value: readonly NftType[] | undefined,
): (element: Element) => Buffer {
  const plain = nested(LIST_ELEM, [nested(ELEM.KEY, [attribute(DATA.VALUE, Buffer.alloc(sizeOf(key)))])]);
  const keyAt = plain.length - sizeOf(key);
  const withValue =
    value === undefined
      ? plain
      : nested(LIST_ELEM, [
          plain.subarray(4),
          nested(ELEM.DATA, [attribute(DATA.VALUE, Buffer.alloc(sizeOf(value)))]),
        ]);
  const valueAt = withValue.length - (value === undefined ? 0 : sizeOf(value));
  const verdicts = new Map<string, Buffer>();
  const patternOf = (found: Element['value']): Buffer => {
    if (found === undefined) return plain;
    if (!('verdict' in found)) return withValue;
    const text = 'chain' in found ? `${found.verdict} ${found.chain}` : found.verdict;
    let pattern = verdicts.get(text);
    if (pattern === undefined) {
      pattern = nested(LIST_ELEM, [plain.subarray(4), encodeVerdict(found)]);
      verdicts.set(text, pattern);
    }
    return pattern;
  };
  return (element) => {
    const bytes = Buffer.from(patternOf(element.value));
    fill(bytes, keyAt, key, element.key);
    if (value !== undefined && element.value !== undefined && !('verdict' in element.value))
      fill(bytes, valueAt, value, element.value);
    return bytes;
  };
}

function encodeVerdict(verdict: Verdict): Buffer {
  const code = Buffer.alloc(4);
  code.writeInt32BE(CODES[verdict.verdict]);
  const chain = 'chain' in verdict ? [attribute(VERDICT.CHAIN, Buffer.from(`${verdict.chain}\0`))] : [];
  return nested(ELEM.DATA, [nested(DATA.VERDICT, [attribute(VERDICT.CODE, code), ...chain])]);
}

/** In a concatenation every part is padded to four bytes; alone, what these sets have takes as many. */
function sizeOf(types: readonly NftType[]): number {
  return types.reduce((size, type) => size + (type === 'ipv6_addr' ? 16 : 4), 0);
}

function fill(bytes: Buffer, start: number, types: readonly NftType[], parts: readonly string[]): void {
  let at = start;
  for (const [index, type] of types.entries()) {
    const part = parts[index]!;
    switch (type) {
      case 'ipv4_addr':
      case 'ipv6_addr':
        bytes.set(ipToBytes(part as Ip), at);
        at += type === 'ipv4_addr' ? 4 : 16;
        break;
      case 'inet_proto':
        bytes[at] = PROTOCOLS[part]!;
        at += 4;
        break;
      case 'inet_service':
        bytes.writeUInt16BE(Number(part), at);
        at += 4;
        break;
      case 'mark':
        bytes.writeUInt32LE(Number(part), at);
        at += 4;
        break;
      case 'ifname':
      case 'payload32':
      case 'payload128':
        throw new TypeError(`no set of services has a key of type ${type}`);
    }
  }
}

function message(
  type: number,
  creates: boolean,
  table: string,
  set: string,
  items: readonly Buffer[],
): Buffer {
  const head = Buffer.alloc(HEADER);
  const body = [
    attribute(LIST.TABLE, Buffer.from(`${table}\0`)),
    attribute(LIST.SET, Buffer.from(`${set}\0`)),
    nested(LIST.ELEMENTS, items),
  ];
  const whole = Buffer.concat([head, ...body]);
  whole.writeUInt32LE(whole.length, 0);
  whole.writeUInt16LE(type, 4);
  whole.writeUInt16LE(REQUEST | ACK | (creates ? CREATE : 0), 6);
  whole[16] = INET;
  return whole;
}

function nested(type: number, parts: readonly Buffer[]): Buffer {
  return attribute(type | NESTED, Buffer.concat(parts));
}

/** Padded to four bytes, which the length does not count. */
function attribute(type: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + ((payload.length + 3) & ~3));
  bytes.writeUInt16LE(4 + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(payload, 4);
  return bytes;
}
