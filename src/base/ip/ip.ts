/**
 * IP addresses as branded strings in canonical text form: dotted quad for IPv4, RFC 5952 for IPv6.
 * Two equal addresses are equal strings, so they serve as keys of maps and sets and print as themselves.
 */
import { FairleadError } from '../errors/errors.ts';

export type Ip = string & { readonly __brand: 'Ip' };
export type IpFamily = 4 | 6;

/** Parses an address of either family. Zone indexes (`%eth0`) and leading zeros are refused. */
export function parseIp(text: string, field = 'address'): Ip {
  const bytes = parseBytes(text);
  if (bytes === undefined) {
    throw new FairleadError(
      'FL_IP_SYNTAX',
      `${field}: ${JSON.stringify(text)} is not an IP address; write it like 10.244.0.2 or fd00::2`,
    );
  }
  return ipFromBytes(bytes);
}

export function isIp(text: string): boolean {
  return parseBytes(text) !== undefined;
}

export function ipFamily(ip: Ip): IpFamily {
  return ip.includes(':') ? 6 : 4;
}

/** The length of an address of this family in bits: 32 or 128. */
export function familyBits(family: IpFamily): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The address in network byte order: 4 or 16 bytes. */
export function ipToBytes(ip: Ip): Uint8Array {
  const bytes = parseBytes(ip);
  if (bytes === undefined) throw new TypeError(`not an Ip: ${ip}`);
  return bytes;
}

/** @param bytes 4 or 16 bytes in network byte order. */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` as Ip;
  if (bytes.length !== 16) throw new TypeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  return formatV6(bytes) as Ip;
}

export function ipToBigInt(ip: Ip): bigint {
  let value = 0n;
  for (const byte of ipToBytes(ip)) value = (value << 8n) | BigInt(byte);
  return value;
}

/** @param value 0 … 2^bits − 1 of the family. */
export function ipFromBigInt(value: bigint, family: IpFamily): Ip {
  const bytes = new Uint8Array(familyBits(family) / 8);
  let rest = value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (rest !== 0n) throw new RangeError(`${value} is not an IPv${family} address`);
  return ipFromBytes(bytes);
}

/** The address `count` places further on. */
export function addToIp(ip: Ip, count: number | bigint): Ip {
  return ipFromBigInt(ipToBigInt(ip) + BigInt(count), ipFamily(ip));
}

/** Orders IPv4 before IPv6, then by value. */
export function compareIps(a: Ip, b: Ip): number {
  const families = ipFamily(a) - ipFamily(b);
  if (families !== 0) return families;
  const difference = ipToBigInt(a) - ipToBigInt(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function parseBytes(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

/** By hand, since every netlink message goes through it: no regular expression, one pass. */
function parseV4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || part > 3) return undefined;
      bytes[part++] = value;
      digits = 0;
      value = 0;
    } else {
      // No leading zeros: some programs read them as octal.
      if (code < ZERO || code > ZERO + 9 || (digits > 0 && value === 0)) return undefined;
      value = value * 10 + code - ZERO;
      if (++digits > 3 || value > 255) return undefined;
    }
  }
  return part === 4 ? bytes : undefined;
}

const DOT = 0x2e;
const ZERO = 0x30;

function parseV6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const zeros = 16 - head.length - tail.length;
  if (halves.length === 2 ? zeros < 2 : zeros !== 0) return undefined;
  return Uint8Array.from([...head, ...Array<number>(Math.max(zeros, 0)).fill(0), ...tail]);
}

/** The bytes of `1:2:…`; the last group may be a dotted quad where `mayEndInV4`. */
function parseGroups(text: string, mayEndInV4: boolean): number[] | undefined {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (mayEndInV4 && index === groups.length - 1 && group.includes('.')) {
      const v4 = parseV4(group);
      if (v4 === undefined) return undefined;
      bytes.push(...v4);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      return undefined;
    }
  }
  return bytes;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
function formatV6(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2));
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (best.length < 2) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}
