/** RTM_*QDISC (linux/rtnetlink.h, struct tcmsg; linux/pkt_sched.h): queues of links, and what a token bucket is set to. */

import type { Qdisc, TokenBucket } from '../objects.ts';
import { Attributes, setPresent, type Writer } from './attribute.ts';

export const RTM_NEWQDISC = 36;
export const RTM_DELQDISC = 37;
export const RTM_GETQDISC = 38;

/** Of queues and filters alike. */
export const TCA = { KIND: 1, OPTIONS: 2 } as const;
export const TC_HEADER_BYTES = 20;
const TCA_TBF = { PARMS: 1, RATE64: 4, BURST: 6 } as const;
/** struct tc_tbf_qopt: two struct tc_ratespec, then limit, buffer and mtu. */
const RATESPEC_BYTES = 12;
const TBF_OPTION_BYTES = 2 * RATESPEC_BYTES + 12;
/** The kernel computes times by itself where it knows the link layer; else it would want tables of them. */
const TC_LINKLAYER_ETHERNET = 1;
const MOST_U32 = 2 ** 32 - 1;
/** PSCHED_SHIFT of net/pkt_sched.h: ticks of 64 ns, of which 32 bits are told. */
const TICKS_PER_SECOND = 1e9 / 64;
export const TICK_ROUND = 2 ** 32;

/** How long a burst lasts at the bucket's rate, in the kernel's ticks of 64 ns. */
export function burstTicks({ rate, burst }: Pick<TokenBucket, 'rate' | 'burst'>): number {
  return Math.floor((burst / rate) * TICKS_PER_SECOND);
}

export function writeTcHeader(
  writer: Writer,
  linkIndex: number,
  { handle = 0, parent = 0, info = 0 }: { handle?: number; parent?: number; info?: number } = {},
): void {
  writer.zeros(4).u32(linkIndex).u32(handle).u32(parent).u32(info);
}

/** Whose a notification about queues or filters is. */
export function readTcLink(payload: Buffer): number {
  return payload.length < TC_HEADER_BYTES ? 0 : payload.readUInt32LE(4);
}

export function writeQdisc(writer: Writer, { linkIndex, parent, kind, tbf }: Qdisc): void {
  writeTcHeader(writer, linkIndex, { parent });
  writer.textAttribute(TCA.KIND, kind);
  if (tbf !== undefined) writer.nested(TCA.OPTIONS, () => writeTokenBucket(writer, tbf));
}

export function writeQdiscRequest(writer: Writer): void {
  writeTcHeader(writer, 0);
}

export function readQdisc(payload: Buffer): Qdisc {
  const attributes = new Attributes(payload, TC_HEADER_BYTES);
  const kind = attributes.text(TCA.KIND) ?? '';
  const qdisc: Qdisc = { linkIndex: payload.readUInt32LE(4), parent: payload.readUInt32LE(12), kind };
  const options = kind === 'tbf' ? attributes.nested(TCA.OPTIONS) : undefined;
  setPresent(qdisc, 'tbf', options === undefined ? undefined : readTokenBucket(options));
  return qdisc;
}

function writeTokenBucket(writer: Writer, bucket: TokenBucket): void {
  const { rate, burst, limit } = bucket;
  const options = Buffer.alloc(TBF_OPTION_BYTES);
  options.writeUInt8(TC_LINKLAYER_ETHERNET, 1);
  options.writeUInt32LE(Math.min(rate, MOST_U32), RATESPEC_BYTES - 4);
  options.writeUInt32LE(limit, 2 * RATESPEC_BYTES);
  options.writeUInt32LE(Math.min(burstTicks(bucket), MOST_U32), 2 * RATESPEC_BYTES + 4);
  writer.attribute(TCA_TBF.PARMS, options);
  if (rate > MOST_U32) writer.u64Attribute(TCA_TBF.RATE64, rate);
  writer.u32Attribute(TCA_TBF.BURST, burst);
}

function readTokenBucket(attributes: Attributes): TokenBucket | undefined {
  const options = attributes.bytes(TCA_TBF.PARMS);
  if (options === undefined || options.length < TBF_OPTION_BYTES) return undefined;
  const rate = attributes.u64(TCA_TBF.RATE64) ?? options.readUInt32LE(RATESPEC_BYTES - 4);
  const ticks = options.readUInt32LE(2 * RATESPEC_BYTES + 4);
  return {
    rate,
    burst: attributes.u32(TCA_TBF.BURST) ?? Math.round((ticks / TICKS_PER_SECOND) * rate),
    limit: options.readUInt32LE(2 * RATESPEC_BYTES),
  };
}
