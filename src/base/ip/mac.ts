/** MAC (EUI-48) addresses as branded strings: six lower-case hexadecimal pairs joined by colons. */
import { hash } from 'node:crypto';
import { FairleadError } from '../errors/errors.ts';
import { type Ip, parseIp } from './ip.ts';

export type Mac = string & { readonly __brand: 'Mac' };

const SYNTAX = /^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/;

export function isMac(text: string): boolean {
  return SYNTAX.test(text);
}

export function parseMac(text: string, field = 'mac'): Mac {
  if (!isMac(text)) {
    throw new FairleadError(
      'FL_MAC_SYNTAX',
      `${field}: ${JSON.stringify(text)} is not a MAC address; write it like 02:42:0a:f4:00:02`,
    );
  }
  return text.toLowerCase().replaceAll('-', ':') as Mac;
}

/** @param bytes six bytes. */
export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== 6) throw new TypeError(`a MAC address has 6 bytes, not ${bytes.length}`);
  const hex = Buffer.from(bytes).toString('hex');
  return hex.replaceAll(/(..)(?=.)/g, '$1:') as Mac;
}

export function macToBytes(mac: Mac): Uint8Array {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

/** Whether a network interface may have this address: not a group address, not all zeros. */
export function isUnicastMac(mac: Mac): boolean {
  const bytes = macToBytes(mac);
  return (bytes[0]! & 1) === 0 && bytes.some((byte) => byte !== 0);
}

/**
 * The same seed always gives the same address, on every machine: locally administered, unicast
 * (IEEE 802-2014 §8.4), 46 bits of SHA-256 of the seed.
 */
export function macFromSeed(seed: string): Mac {
  const bytes = hash('sha256', seed, 'buffer').subarray(0, 6);
  bytes[0] = (bytes[0]! & 0xfc) | 0x02;
  return macFromBytes(bytes);
}

/** The IPv6 link-local address that a MAC address makes (modified EUI-64, RFC 4291 appendix A). */
export function linkLocalOf(mac: Mac): Ip {
  const [a, b, c, d, e, f] = macToBytes(mac) as unknown as [number, number, number, number, number, number];
  const groups = [(a ^ 2) * 256 + b, c * 256 + 0xff, 0xfe00 + d, e * 256 + f];
  return parseIp(`fe80::${groups.map((group) => group.toString(16)).join(':')}`);
}
