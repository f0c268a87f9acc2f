/**
 * Numbers for endpoints, lists and items of lists, written as addresses (the rules keep them where a packet has its own). A number is
 * the hash of its name, so that one that is given back is not soon another endpoint's, for which a client's note could be
 * taken; of the few names that fall on one number the later one takes the next.
 */
import { type IpFamily, ipToBigInt, parseIp } from '../../../base/ip/ip.ts';

export type Numbers = {
  of(name: string, family: IpFamily): string;
  /** By the address that it was written as. */
  release(number: string): void;
  releaseName(name: string): void;
};

/** 240.0.0.0/4, and as many of 100::/64. */
const BITS = 28;
const MASK = 2 ** BITS - 1;

export function createNumbers(): Numbers {
  const numbers = new Map<string, number>();
  const owners = new Map<number, string>();
  const number = (name: string) => {
    const known = numbers.get(name);
    if (known !== undefined) return known;
    let free = hash(name) & MASK;
    while (owners.has(free)) free = (free + 1) & MASK;
    numbers.set(name, free);
    owners.set(free, name);
    return free;
  };
  const release = (free: number | undefined) => {
    const name = free === undefined ? undefined : owners.get(free);
    if (free === undefined || name === undefined) return;
    numbers.delete(name);
    owners.delete(free);
  };
  return {
    of: (name, family) => asAddress(number(name), family),
    release: (address) => release(Number(ipToBigInt(parseIp(address)) & BigInt(MASK))),
    releaseName: (name) => release(numbers.get(name)),
  };
}

/** FNV-1a, mixed once more, since names differ at their ends. */
function hash(name: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < name.length; index++)
    value = Math.imul(value ^ name.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return value ^ (value >>> 13);
}

function asAddress(number: number, family: IpFamily): string {
  const [high, low] = [(number >> 16) & 0xffff, number & 0xffff];
  if (family === 6) return `100::${high.toString(16)}:${low.toString(16)}`;
  return [240 + (high >> 8), high & 255, low >> 8, low & 255].join('.');
}
