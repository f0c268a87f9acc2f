/** What the readers of both kinds of policies share. */

import { type Fields, fieldAt, fieldsAt, isFields, show } from '../../../base/fields/fields.ts';
import { type Cidr, makeCidr } from '../../../base/ip/cidr.ts';
import { familyBits, ipFamily, isIp, parseIp } from '../../../base/ip/ip.ts';

/** Items of one list. */
const MOST_ITEMS = 20_000;
/** Values of one policy: addresses, ports, labels and the like. Every node reads each of them. */
const MOST_VALUES = 20_000;
/** On a policy: it is evaluated, counted and reported, and not enforced. */
export const STAGED_ANNOTATION = 'fairlead.io/staged';

export function listOf(fields: Fields, name: string, field: string): readonly unknown[] {
  const list = fieldAt(fields, name) ?? [];
  if (!Array.isArray(list)) throw new Error(`${field}: ${show(list)} is not a list`);
  if (list.length > MOST_ITEMS)
    throw new Error(`${field}: has ${list.length} items; keep at most ${MOST_ITEMS}`);
  return list;
}

/** @throws Error where the whole has more values than are read; that it has is found without reading all of them. */
export function refuseLarge(value: unknown, field: string): void {
  let left = MOST_VALUES;
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const item = waiting.pop();
    const inner = typeof item === 'object' && item !== null ? Object.values(item) : [];
    // What holds nothing is a value as well: an empty selector.
    if (inner.length === 0) left--;
    else if (inner.length <= MOST_VALUES) for (const one of inner) waiting.push(one);
    if (left < 0 || waiting.length > MOST_VALUES || inner.length > MOST_VALUES)
      throw new Error(
        `${field}: has more than ${MOST_VALUES} values; split it into several policies, or join its ranges`,
      );
  }
}

/** A number from 1 to 65535. */
type Port = number & { readonly __brand?: 'Port' };

export function isPort(value: unknown): value is Port {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;
}

/** IANA service name (RFC 6335). */
export function isPortName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9-]{1,15}$/.test(value) && /[a-z]/.test(value);
}

/** Host bits count for nothing, as Kubernetes has it. */
export function parseBlockCidr(value: unknown, field: string): Cidr {
  const [address = '', length = '', ...rest] = typeof value === 'string' ? value.split('/') : [];
  const bits = /^(0|[1-9]\d{0,2})$/.test(length) ? Number(length) : Number.POSITIVE_INFINITY;
  const ip = isIp(address) ? parseIp(address) : undefined;
  if (rest.length > 0 || ip === undefined || bits > familyBits(ipFamily(ip)))
    throw new Error(`${field}: ${show(value)} is not an IP range; write it like 10.0.0.0/8 or fd00::/8`);
  return makeCidr(ip, bits);
}

/** Anything but `false` stages it: its author does not want it in force yet. */
export function isStaged(value: unknown): boolean {
  const annotations = isFields(value) ? fieldsAt(fieldsAt(value, 'metadata'), 'annotations') : {};
  const staged = fieldAt(annotations, STAGED_ANNOTATION);
  return staged !== undefined && staged !== 'false';
}
