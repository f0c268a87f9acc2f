/** Connections as the kernel tracks them (linux/netfilter/nfnetlink_conntrack.h, IPCTNL_MSG_CT_GET). */
import { type Ip, ipFromBytes } from '../ip/ip.ts';
import { Attributes, Writer } from '../netlink/attribute.ts';
import { NLM_F_DUMP, readMessages, writeMessage } from '../netlink/message.ts';
import type { FlowProtocol } from './flush.ts';

/** `source` began it; `target` is who really answers, behind any translation. */
export type Connection = {
  protocol: FlowProtocol;
  source: Ip;
  sourcePort: number;
  destination: Ip;
  destinationPort: number;
  target: Ip;
  targetPort: number;
};

const CT_GET = (1 << 8) | 1;
const CT_NEW = 1 << 8;
const HEADER_BYTES = 4;
const PROTOCOLS: Readonly<Record<number, FlowProtocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

/** The question for all of them, in one dump. */
export function encodeList(): Buffer {
  const writer = new Writer();
  writeMessage(writer, CT_GET, NLM_F_DUMP, () => writer.zeros(HEADER_BYTES));
  return writer.finish();
}

/** Those of TCP, UDP and SCTP. */
export function readList(replies: Buffer): Connection[] {
  return [...readMessages(replies)].flatMap(({ type, payload }) =>
    type === CT_NEW ? (readConnection(payload) ?? []) : [],
  );
}

/** @returns undefined for another protocol. */
function readConnection(payload: Buffer): Connection | undefined {
  const attributes = new Attributes(payload, HEADER_BYTES);
  const [original, reply] = [readTuple(attributes.nested(1)), readTuple(attributes.nested(2))];
  if (original === undefined || reply === undefined) return undefined;
  const { protocol, source, sourcePort, destination, destinationPort } = original;
  return {
    protocol,
    source,
    sourcePort,
    destination,
    destinationPort,
    target: reply.source,
    targetPort: reply.sourcePort,
  };
}

type Tuple = Pick<Connection, 'protocol' | 'source' | 'sourcePort' | 'destination' | 'destinationPort'>;

function readTuple(tuple: Attributes | undefined): Tuple | undefined {
  const [ip, proto] = [tuple?.nested(1), tuple?.nested(2)];
  const protocol = PROTOCOLS[proto?.u8(1) ?? 0];
  const source = ip?.bytes(1) ?? ip?.bytes(3);
  const destination = ip?.bytes(2) ?? ip?.bytes(4);
  if (protocol === undefined || source === undefined || destination === undefined) return undefined;
  return {
    protocol,
    source: ipFromBytes(source),
    sourcePort: proto?.u16Be(2) ?? 0,
    destination: ipFromBytes(destination),
    destinationPort: proto?.u16Be(3) ?? 0,
  };
}
