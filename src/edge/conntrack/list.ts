/** Connections as the kernel tracks them, and cutting single ones (linux/netfilter/nfnetlink_conntrack.h). */
import { type Ip, ipFromBytes } from '../../base/ip/ip.ts';
import type { Steps } from '../../base/run/slices.ts';
import { Attributes, Writer } from '../netlink/codec/attribute.ts';
import { NLM_F_ACK, NLM_F_DUMP, readMessages, writeMessage } from '../netlink/codec/message.ts';
import type { FlowProtocol } from './flush.ts';

/** `source` began it; `target` is who really answers, behind any translation. Ports of protocols without them are 0. */
export type Connection = {
  protocol: FlowProtocol | 'other';
  source: Ip;
  sourcePort: number;
  destination: Ip;
  destinationPort: number;
  target: Ip;
  targetPort: number;
  /** What tells it from all others, in the kernel's words: CTA_TUPLE_ORIG, and its zone where it has one. */
  key: { family: number; original: Buffer; zone?: Buffer };
};

const CT_GET = (1 << 8) | 1;
const CT_NEW = 1 << 8;
const CT_DELETE = (1 << 8) | 2;
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, ZONE: 18 } as const;
const NESTED = 0x8000;
const HEADER_BYTES = 4;
const PROTOCOLS: Readonly<Record<number, FlowProtocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

/** The question for all of them, in one dump. */
export function encodeList(): Buffer {
  const writer = new Writer();
  writeMessage(writer, CT_GET, NLM_F_DUMP, () => writer.zeros(HEADER_BYTES));
  return writer.finish();
}

export function* readList(replies: Buffer): Steps<Connection[]> {
  const connections: Connection[] = [];
  for (const { type, payload } of readMessages(replies)) {
    const connection = type === CT_NEW ? readConnection(payload) : undefined;
    if (connection !== undefined) connections.push(connection);
    yield;
  }
  return connections;
}

/** One request for each: found by its key, without a look at the others. */
export function encodeCuts(connections: readonly Pick<Connection, 'key'>[]): Buffer {
  const writer = new Writer();
  for (const { key } of connections) {
    writeMessage(writer, CT_DELETE, NLM_F_ACK, () => {
      writer.u8(key.family).zeros(HEADER_BYTES - 1);
      writer.attribute(CTA.TUPLE_ORIG | NESTED, key.original);
      if (key.zone !== undefined) writer.attribute(CTA.ZONE, key.zone);
    });
  }
  return writer.finish();
}

/** @returns undefined where it has no addresses. */
function readConnection(payload: Buffer): Connection | undefined {
  const attributes = new Attributes(payload, HEADER_BYTES);
  const [original, reply] = [
    readTuple(attributes.nested(CTA.TUPLE_ORIG)),
    readTuple(attributes.nested(CTA.TUPLE_REPLY)),
  ];
  const bytes = attributes.bytes(CTA.TUPLE_ORIG);
  if (original === undefined || reply === undefined || bytes === undefined) return undefined;
  const { protocol, source, sourcePort, destination, destinationPort } = original;
  const zone = attributes.bytes(CTA.ZONE);
  return {
    protocol,
    source,
    sourcePort,
    destination,
    destinationPort,
    target: reply.source,
    targetPort: reply.sourcePort,
    key: { family: payload[0]!, original: bytes, ...(zone === undefined ? {} : { zone }) },
  };
}

type Tuple = Pick<Connection, 'protocol' | 'source' | 'sourcePort' | 'destination' | 'destinationPort'>;

function readTuple(tuple: Attributes | undefined): Tuple | undefined {
  const [ip, proto] = [tuple?.nested(1), tuple?.nested(2)];
  const protocol = PROTOCOLS[proto?.u8(1) ?? 0] ?? 'other';
  const source = ip?.bytes(1) ?? ip?.bytes(3);
  const destination = ip?.bytes(2) ?? ip?.bytes(4);
  if (source === undefined || destination === undefined) return undefined;
  return {
    protocol,
    source: ipFromBytes(source),
    sourcePort: proto?.u16Be(2) ?? 0,
    destination: ipFromBytes(destination),
    destinationPort: proto?.u16Be(3) ?? 0,
  };
}
