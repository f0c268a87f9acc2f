/**
 * Addresses of old objects: until Kubernetes 1.36 the API took leading zeros, spaces and IPv4 in IPv6's clothes
 * (KEP-4858), and what it took then stays. Read here as kube-proxy reads them, and normalised.
 */
import { type Cidr, makeCidr } from '../../base/ip/cidr.ts';
import { familyBits, type Ip, ipFamily, isIp, parseIp } from '../../base/ip/ip.ts';

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** @returns undefined for what is no address in any reading. */
export function parseLenientIp(value: unknown): Ip | undefined {
  if (typeof value !== 'string') return undefined;
  const trimmed = value.trim();
  const text = withoutZeros(MAPPED.exec(trimmed)?.[1] ?? trimmed);
  if (!isIp(text)) return undefined;
  const ip = parseIp(text);
  // `::ffff:a.b.c.d` in hexadecimal is the same address.
  const hex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(ip);
  if (hex === null) return ip;
  const [high, low] = [Number.parseInt(hex[1]!, 16), Number.parseInt(hex[2]!, 16)];
  return parseIp([high >> 8, high & 255, low >> 8, low & 255].join('.'));
}

/** Host bits count for nothing. @returns undefined for what is no range in any reading. */
export function parseLenientCidr(value: unknown): Cidr | undefined {
  if (typeof value !== 'string') return undefined;
  const [address = '', length = '', ...rest] = value.trim().split('/');
  const ip = parseLenientIp(address);
  if (ip === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length)) return undefined;
  return Number(length) > familyBits(ipFamily(ip)) ? undefined : makeCidr(ip, Number(length));
}

/** Decimal, as the API reads them, and not octal. */
function withoutZeros(text: string): string {
  return /^[\d.]+$/.test(text) ? text.replaceAll(/(^|\.)0+(?=\d)/g, '$1') : text;
}
