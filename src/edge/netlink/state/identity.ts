/** By what the kernel tells two objects of one kind apart, and when two of them are equal. */

import { burstTicks, TICK_ROUND } from '../codec/qdisc.ts';
import {
  type Address,
  type FdbEntry,
  MAIN_TABLE,
  type Neighbor,
  type Qdisc,
  type Route,
  type Rule,
} from '../objects.ts';

export function addressKey({ linkIndex, ip, prefixLength }: Address): string {
  return `${linkIndex} ${ip}/${prefixLength}`;
}

/** Destination, table and metric: two routes that differ in one of them stand side by side. */
export function routeKey({ destination, table, metric }: Route): string {
  return `${destination} ${table ?? MAIN_TABLE} ${metric ?? 0}`;
}

export function neighborKey({ linkIndex, ip }: Neighbor): string {
  return `${linkIndex} ${ip}`;
}

/** One MAC address has one tunnel end. */
export function fdbKey({ linkIndex, mac }: FdbEntry): string {
  return `${linkIndex} ${mac}`;
}

export function ruleKey({ family, priority, table, from, to, inputLink, fwmark, fwmask }: Rule): string {
  return [family, priority, table, from, to, inputLink, fwmark, fwmask].join(' ');
}

/** Whether a queue is as desired, as far as the kernel tells of its burst. */
export function sameQdisc(desired: Qdisc, actual: Qdisc): boolean {
  const { tbf, ...fields } = desired;
  if (!sameFields(fields, actual)) return false;
  if (tbf === undefined || actual.tbf === undefined) return tbf === actual.tbf;
  if (tbf.rate !== actual.tbf.rate || tbf.limit !== actual.tbf.limit) return false;
  const ticks = burstTicks(tbf);
  const distance = Math.abs(ticks - burstTicks(actual.tbf)) % TICK_ROUND;
  // A byte by which the burst was rounded, and the kernel's own arithmetic of 31 bits.
  const tolerance = 2 + burstTicks({ ...tbf, burst: 1 }) + ticks / 2 ** 20;
  return Math.min(distance, TICK_ROUND - distance) <= tolerance;
}

/** Whether `actual` has every field of `desired`; what the kernel adds by itself does not count. */
export function sameFields(desired: object, actual: object): boolean {
  const [wanted, present] = [desired as Record<string, unknown>, actual as Record<string, unknown>];
  // Tens of thousands of these make a resync: no list of entries is made for each.
  for (const name in wanted) if (wanted[name] !== undefined && present[name] !== wanted[name]) return false;
  return true;
}
