/**
 * Which address of the node's range the next pod gets, given what is taken. There is no lease file: the kernel's
 * attachments say what is taken, and this history only says in which order free addresses are handed out.
 */
import { type Cidr, cidrContains, cidrFamily, cidrNetwork, cidrSize, nthIp } from '../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipToBigInt } from '../../base/ip/ip.ts';

/** The order of hand-outs so far. Values are replaced, never changed. */
export type History = {
  /** The addresses handed out last, by family; the search goes on behind them. */
  readonly last: Readonly<Partial<Record<IpFamily, Ip>>>;
  /** Addresses that were given back and not used since, the longest free first. */
  readonly released: ReadonlySet<Ip>;
};

export const EMPTY_HISTORY: History = { last: {}, released: new Set() };

export type Allocation =
  | { outcome: 'allocated'; ip: Ip; history: History }
  | { outcome: 'exhausted'; used: number; capacity: number };

/** How much of the range can be searched address by address; larger IPv6 ranges are searched this far. */
const SEARCH_LIMIT = 1n << 16n;

/** The node's own address in the range, which is its pods' gateway: the first after the network address. */
export function gatewayOf(range: Cidr): Ip {
  return nthIp(range, 1);
}

/** How many pods the range can hold: all addresses but network, gateway and (IPv4) broadcast. */
export function capacityOf(range: Cidr): number {
  const reserved = cidrFamily(range) === 4 ? 3n : 2n;
  const size = cidrSize(range) < SEARCH_LIMIT ? cidrSize(range) : SEARCH_LIMIT;
  return size > reserved ? Number(size - reserved) : 0;
}

/** Whether a pod may have this address: in the range, and neither network, gateway nor broadcast address. */
export function isPodAddress(range: Cidr, ip: Ip): boolean {
  if (!cidrContains(range, ip)) return false;
  const index = indexOf(range, ip);
  return index >= 2n && index < 2n + BigInt(capacityOf(range));
}

/**
 * Round robin behind the address handed out last. An address that was given back is used after all that never
 * were, the longest free first: peers that still know its former owner have the most time to forget it.
 * @param taken addresses of attachments, of links that still wait for their deletion, and of running requests.
 */
export function allocate(range: Cidr, taken: ReadonlySet<Ip>, history: History): Allocation {
  const ip = firstNeverUsed(range, taken, history) ?? longestFree(range, taken, history);
  if (ip === undefined)
    return { outcome: 'exhausted', used: usedIn(range, taken), capacity: capacityOf(range) };
  const released = new Set(history.released);
  released.delete(ip);
  return {
    outcome: 'allocated',
    ip,
    history: { last: { ...history.last, [cidrFamily(range)]: ip }, released },
  };
}

function firstNeverUsed(range: Cidr, taken: ReadonlySet<Ip>, history: History): Ip | undefined {
  const capacity = capacityOf(range);
  const last = history.last[cidrFamily(range)];
  const start = last !== undefined && isPodAddress(range, last) ? Number(indexOf(range, last)) - 1 : 0;
  for (let step = 0; step < capacity; step++) {
    const ip = nthIp(range, 2 + ((start + step) % capacity));
    if (!taken.has(ip) && !history.released.has(ip)) return ip;
  }
  return undefined;
}

function longestFree(range: Cidr, taken: ReadonlySet<Ip>, history: History): Ip | undefined {
  for (const ip of history.released) if (!taken.has(ip) && isPodAddress(range, ip)) return ip;
  return undefined;
}

/** Notes that an address was given back. */
export function release(ip: Ip, history: History): History {
  const released = new Set(history.released);
  released.delete(ip);
  return { ...history, released: released.add(ip) };
}

export function usedIn(range: Cidr, taken: ReadonlySet<Ip>): number {
  let used = 0;
  for (const ip of taken) if (isPodAddress(range, ip)) used++;
  return used;
}

function indexOf(range: Cidr, ip: Ip): bigint {
  return ipToBigInt(ip) - ipToBigInt(cidrNetwork(range));
}
