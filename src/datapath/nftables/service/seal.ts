/**
 * A digest of what the table holds, in the table itself: an agent that starts asks for that one element, and where it is
 * there nothing is written. It goes before the first change and comes after the last, so a table that an agent left half
 * changed has none.
 */
import { hash } from 'node:crypto';
import type { ElementChange } from '../../../edge/nftables/elements.ts';
import type { PlannedService, ServiceTable } from '../../../plan/service/table.ts';
import type { ServiceSet, ServiceTableOptions } from './objects.ts';
import type { ServiceLoad, ServiceUpdate } from './write.ts';

export const SEAL_SET: ServiceSet = { name: 'seal', key: ['ipv6_addr'], elements: [] };

/** To be another one whenever the same services are rendered otherwise than before. */
const RENDERING = 1;

/** As an address, which is what a set can hold. */
export type Seal = string;

/** @returns the seal of a table; a service that is the same object as before is not read again. */
export function createSealer(): (table: ServiceTable, options: ServiceTableOptions) => Seal {
  const known = new WeakMap<PlannedService, bigint>();
  const digestOf = (service: PlannedService) => {
    const before = known.get(service);
    if (before !== undefined) return before;
    const digest = numberOf(JSON.stringify(service));
    known.set(service, digest);
    return digest;
  };
  return ({ services, nodePortIps, serviceRanges }, options) => {
    let sum = numberOf(JSON.stringify([RENDERING, options, nodePortIps, serviceRanges]));
    // A sum, since services come in any order.
    for (const service of services) sum += digestOf(service);
    const text = (sum & MASK).toString(16).padStart(32, '0');
    return text
      .match(/.{4}/g)!
      .map((group) => group.replace(/^0{1,3}/, ''))
      .join(':');
  };
}

const MASK = (1n << 128n) - 1n;

function numberOf(text: string): bigint {
  return BigInt(`0x${hash('sha256', text, 'hex').slice(0, 32)}`);
}

export function sealed(seal: Seal): ElementChange {
  return { change: 'add', set: SEAL_SET, elements: [{ key: [seal] }] };
}

export function sealLoad(load: ServiceLoad, seal: Seal): ServiceLoad {
  return { ...load, seal: [[sealed(seal)]] };
}

export function sealUpdate(update: ServiceUpdate, before: Seal, after: Seal): ServiceUpdate {
  const broken: ElementChange = { ...sealed(before), change: 'delete' };
  const { stages } = update;
  // What is one transaction stays one.
  if (stages.length === 1 && update.text === undefined)
    return { ...update, stages: [[broken, ...stages[0]!, sealed(after)]] };
  return { ...update, breaking: [[broken]], sealing: [[sealed(after)]] };
}
