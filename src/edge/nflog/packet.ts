/** Who talks to whom, read from the first bytes of a packet (RFC 791, RFC 8200). */
import { type Ip, ipFromBytes } from '../../base/ip/ip.ts';

export type PacketFlow = {
  source: Ip;
  destination: Ip;
  /** `TCP`, `UDP`, `SCTP`, `ICMP` of either family, or its number. */
  protocol: string;
  sourcePort?: number;
  port?: number;
};

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMP',
  132: 'SCTP',
};
const WITH_PORTS: ReadonlySet<string> = new Set(['TCP', 'UDP', 'SCTP']);
/** Hop-by-hop, routing, fragment and destination options of IPv6, before what the packet carries. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 44, 60]);
const FRAGMENT = 44;

/** @returns undefined where it is too short, or no IP. */
export function readFlow(packet: Buffer): PacketFlow | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4 && packet.length >= 20) {
    return {
      source: ipFromBytes(packet.subarray(12, 16)),
      destination: ipFromBytes(packet.subarray(16, 20)),
      ...readTransport(packet, packet[9]!, (packet[0]! & 0x0f) * 4),
    };
  }
  if (version !== 6 || packet.length < 40) return undefined;
  let [next, at] = [packet[6]!, 40];
  while (EXTENSIONS.has(next) && at + 8 <= packet.length) {
    const length = next === FRAGMENT ? 8 : (packet[at + 1]! + 1) * 8;
    next = packet[at]!;
    at += length;
  }
  return {
    source: ipFromBytes(packet.subarray(8, 24)),
    destination: ipFromBytes(packet.subarray(24, 40)),
    ...readTransport(packet, next, at),
  };
}

function readTransport(packet: Buffer, number: number, at: number) {
  const protocol = PROTOCOLS[number] ?? String(number);
  if (!WITH_PORTS.has(protocol) || packet.length < at + 4) return { protocol };
  return { protocol, sourcePort: packet.readUInt16BE(at), port: packet.readUInt16BE(at + 2) };
}
