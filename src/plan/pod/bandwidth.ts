/**
 * The plan of a pod's limits. What it receives waits in a token bucket on the host's end of its veth. What it sends is
 * received there, where nothing can wait, and so goes through a device of its own first (ifb), whose token bucket
 * holds it up before the node sees it.
 */
import type { Bandwidth, Rate } from '../../edge/cni/capability/bandwidth.ts';
import type { Operation } from '../../edge/netlink/kernel.ts';
import { INGRESS_PARENT, type Qdisc, ROOT_PARENT, type TokenBucket } from '../../edge/netlink/objects.ts';
import type { NetworkState } from '../../edge/netlink/state/state.ts';
import { type Attachment, type AttachmentKey, hostLinkName, SHAPER_GROUP } from './attachment.ts';

/** The part of a node's state that limits pods. */
export type Shaping = Pick<NetworkState, 'links' | 'qdiscs' | 'redirects'>;

export type ShapingPlace = {
  /** The host's end of the veth. */
  linkIndex: number;
  /** The shaper's own; of no meaning where what the pod sends is not limited. */
  shaperIndex: number;
  /** Bytes, of both. */
  mtu: number;
};

/** The device through which an attachment's packets go when they are limited: `fb` with the digits of its veth. */
export function shaperName(key: AttachmentKey): string {
  return `fb${hostLinkName(key).slice(2)}`;
}

/**
 * A burst of less than one packet would let none of that size pass, ever.
 * @param mtu bytes.
 * @returns the limits as they can be served, and one sentence for each that is not as asked for.
 */
export function fitBandwidth(
  bandwidth: Bandwidth | undefined,
  mtu: number,
): { bandwidth?: Bandwidth; notices: string[] } {
  if (bandwidth === undefined) return { notices: [] };
  const least = (mtu + ETHERNET_BYTES) * BITS;
  const fitted: Bandwidth = {};
  const notices: string[] = [];
  for (const direction of ['ingress', 'egress'] as const) {
    const limit = bandwidth[direction];
    if (limit === undefined) continue;
    fitted[direction] = { ...limit, burst: Math.max(limit.burst, least) };
    if (limit.burst < least) {
      notices.push(
        `runtimeConfig.bandwidth.${direction}Burst: ${limit.burst} bits are less than one packet of ${mtu} bytes; ${least} it is`,
      );
    }
  }
  return { bandwidth: fitted, notices };
}

export function shapePod(attachment: Attachment, place: ShapingPlace): Shaping {
  const [received, sent] = [shapeReceived(attachment, place), shapeSent(attachment, place)];
  return {
    links: [...received.links, ...sent.links],
    qdiscs: [...received.qdiscs, ...sent.qdiscs],
    redirects: [...received.redirects, ...sent.redirects],
  };
}

export function shapeReceived({ bandwidth }: Attachment, { linkIndex }: ShapingPlace): Shaping {
  const limit = bandwidth?.ingress;
  return { ...NOTHING, qdiscs: limit === undefined ? [] : [bucketOn(linkIndex, limit)] };
}

export function shapeSent(attachment: Attachment, { linkIndex, shaperIndex, mtu }: ShapingPlace): Shaping {
  const limit = attachment.bandwidth?.egress;
  if (limit === undefined) return NOTHING;
  const name = shaperName(attachment);
  return {
    links: [{ index: shaperIndex, name, mtu, group: SHAPER_GROUP, up: true, kind: { type: 'ifb' } }],
    qdiscs: [bucketOn(shaperIndex, limit), { linkIndex, parent: INGRESS_PARENT, kind: 'clsact' }],
    redirects: [{ linkIndex, priority: REDIRECT_PRIORITY, to: shaperIndex }],
  };
}

/** In the order in which each finds what it needs. */
export function shapingOperations({ qdiscs, redirects }: Omit<Shaping, 'links'>): Operation[] {
  return [
    ...qdiscs.map((qdisc): Operation => ({ op: 'qdisc.replace', qdisc })),
    ...redirects.map((redirect): Operation => ({ op: 'redirect.replace', redirect })),
  ];
}

function bucketOn(linkIndex: number, limit: Rate): Qdisc {
  return { linkIndex, parent: ROOT_PARENT, kind: 'tbf', tbf: tokenBucket(limit) };
}

/**
 * What waits is what the rate carries in 50 ms: enough for TCP over paths of 100 ms to use all of the rate, and not
 * so much that those who wait notice. The burst is no part of it, unlike in tc(8): runtimes ask for bursts of half a
 * gigabyte, and a queue of that length would hold a packet for minutes. At low rates it is more than 50 ms: ten
 * packets, with which a TCP connection begins, and two of what one call may send, which is not cut below the burst.
 */
function tokenBucket(limit: Rate): TokenBucket {
  const rate = Math.ceil(limit.rate / BITS);
  const burst = Math.min(Math.ceil(limit.burst / BITS), MOST_U32);
  const waiting = Math.max(Math.ceil(rate * LATENCY_S), 2 * Math.min(burst, LARGEST_SENT), FIRST_WINDOW);
  return { rate, burst, limit: Math.min(waiting, MOST_U32) };
}

const NOTHING: Shaping = { links: [], qdiscs: [], redirects: [] };
const BITS = 8;
const ETHERNET_BYTES = 14;
const LATENCY_S = 0.05;
/** 64 KiB in packets of 1,448 bytes with the headers of each, as the bucket counts them. */
const LARGEST_SENT = 70_000;
const FIRST_WINDOW = 10 * 1514;
const MOST_U32 = 2 ** 32 - 1;
const REDIRECT_PRIORITY = 7010;
