/**
 * Forgetting connections (linux/netfilter/nfnetlink_conntrack.h, IPCTNL_MSG_CT_DELETE with CTA_FILTER, Linux 5.8):
 * one request deletes what matches, so that a table of a million entries need not be read.
 */
import { type Ip, type IpFamily, ipFamily, ipToBytes } from '../../base/ip/ip.ts';
import { Writer } from '../netlink/codec/attribute.ts';
import { NLM_F_ACK, writeMessage } from '../netlink/codec/message.ts';

export type FlowProtocol = 'tcp' | 'udp' | 'sctp';

/** Of one direction of a connection; what is absent may be anything. */
export type FlowEnd = { source?: Ip; sourcePort?: number; destination?: Ip; destinationPort?: number };

export type FlowFilter = {
  family: IpFamily;
  protocol: FlowProtocol;
  /** As the first packet was before translation. */
  original?: FlowEnd;
  /** As the answers are before they are translated back: their source is who really answers. */
  reply?: FlowEnd;
};

const SUBSYSTEM_CTNETLINK = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, FILTER: 25 } as const;
const CTA_TUPLE = { IP: 1, PROTO: 2 } as const;
const CTA_PROTO = { NUM: 1, SRC_PORT: 2, DST_PORT: 3 } as const;
const CTA_FILTER = { ORIG_FLAGS: 1, REPLY_FLAGS: 2 } as const;
/** Which parts of a tuple count (net/netfilter/nf_internals.h). */
const MATCHES = { source: 1, destination: 2, protocol: 8, sourcePort: 16, destinationPort: 32 } as const;
const FAMILIES = { 4: 2, 6: 10 } as const;
const NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;
/** With version 0 the kernel would disregard the family. */
const NFNETLINK_VERSION = 1;

export function encodeFlush(filter: FlowFilter): Buffer {
  const writer = new Writer();
  const { family, protocol, original, reply } = filter;
  writeMessage(writer, (SUBSYSTEM_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, NLM_F_ACK, () => {
    writer.u8(FAMILIES[family]).u8(NFNETLINK_VERSION).zeros(2);
    const ends = [
      [CTA.TUPLE_ORIG, CTA_FILTER.ORIG_FLAGS, original],
      [CTA.TUPLE_REPLY, CTA_FILTER.REPLY_FLAGS, reply],
    ] as const;
    for (const [tuple, , end] of ends) {
      if (end !== undefined) writer.nested(tuple, () => writeEnd(writer, family, protocol, end));
    }
    writer.nested(CTA.FILTER, () => {
      for (const [, flags, end] of ends) writer.u32Attribute(flags, end === undefined ? 0 : matches(end));
    });
  });
  return writer.finish();
}

function writeEnd(writer: Writer, family: IpFamily, protocol: FlowProtocol, end: FlowEnd): void {
  const [source, destination] = family === 4 ? [1, 2] : [3, 4];
  const addresses = [
    [source, end.source],
    [destination, end.destination],
  ] as const;
  writer.nested(CTA_TUPLE.IP, () => {
    for (const [type, ip] of addresses) {
      if (ip === undefined) continue;
      if (ipFamily(ip) !== family) throw new TypeError(`${ip} is not of IPv${family}`);
      writer.attribute(type, ipToBytes(ip));
    }
  });
  writer.nested(CTA_TUPLE.PROTO, () => {
    writer.u8Attribute(CTA_PROTO.NUM, NUMBERS[protocol]);
    if (end.sourcePort !== undefined) writer.u16BeAttribute(CTA_PROTO.SRC_PORT, end.sourcePort);
    if (end.destinationPort !== undefined) writer.u16BeAttribute(CTA_PROTO.DST_PORT, end.destinationPort);
  });
}

function matches(end: FlowEnd): number {
  const parts = ['source', 'destination', 'sourcePort', 'destinationPort'] as const;
  return parts.reduce(
    (flags, part) => (end[part] === undefined ? flags : flags | MATCHES[part]),
    MATCHES.protocol as number,
  );
}
