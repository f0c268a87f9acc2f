/**
 * The two rules that nft 1.0.6 cannot write: it ends with a failed assertion at a statement that adds to a map whose key
 * is a concatenation of more than 16 bytes, as that of an IPv6 client and a list is. As expressions of
 * linux/netfilter/nf_tables.h, one rule in a chain of its own each. Numbers are in network order here.
 */
import { Writer } from '../../../edge/netlink/codec/attribute.ts';
import { NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, writeMessage } from '../../../edge/netlink/codec/message.ts';

/** Notes the endpoint (the packet's destination) for client and list for so long, or, without a time, forgets it. */
export type NoteRule = { chain: string; set: string; seconds?: number };

const SUBSYSTEM = 10;
const [BATCH_BEGIN, BATCH_END] = [16, 17];
const NEW_RULE = (SUBSYSTEM << 8) | 6;
const INET = 1;
const RULE = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4 } as const;
const LIST_ELEM = 1;
const EXPR = { NAME: 1, DATA: 2 } as const;
const CT = { DREG: 1, KEY: 2, DIRECTION: 3 } as const;
const CT_SRC_IP6 = 21;
const PAYLOAD = { DREG: 1, BASE: 2, OFFSET: 3, LEN: 4 } as const;
const NETWORK_HEADER = 1;
const IPV6 = { source: 8, destination: 24, length: 16 } as const;
const DYNSET = { SET: 1, OP: 3, SREG_KEY: 4, SREG_DATA: 5, TIMEOUT: 6 } as const;
const [OP_UPDATE, OP_DELETE] = [1, 2];
/** NFT_REG32_00, in registers of four bytes: the client, the list, the endpoint. */
const [CLIENT, LIST, ENDPOINT] = [8, 12, 16];

export function encodeNotes(table: string, rules: readonly NoteRule[]): Buffer {
  const writer = new Writer();
  const generic = (family: number, resource: number) =>
    writer
      .u8(family)
      .u8(0)
      .u8(resource >> 8)
      .u8(resource & 0xff);
  writeMessage(writer, BATCH_BEGIN, 0, () => generic(0, SUBSYSTEM));
  for (const rule of rules) {
    writeMessage(writer, NEW_RULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, () => {
      generic(INET, 0);
      writer.textAttribute(RULE.TABLE, table).textAttribute(RULE.CHAIN, rule.chain);
      writer.nested(RULE.EXPRESSIONS, () => writeRule(writer, rule));
    });
  }
  writeMessage(writer, BATCH_END, 0, () => generic(0, SUBSYSTEM));
  return writer.finish();
}

function writeRule(writer: Writer, { set, seconds }: NoteRule): void {
  expression(writer, 'ct', () => {
    number(writer, CT.DREG, CLIENT);
    number(writer, CT.KEY, CT_SRC_IP6);
    writer.u8Attribute(CT.DIRECTION, 0);
  });
  for (const [register, offset] of [
    [LIST, IPV6.source],
    [ENDPOINT, IPV6.destination],
  ] as const)
    expression(writer, 'payload', () => {
      number(writer, PAYLOAD.DREG, register);
      number(writer, PAYLOAD.BASE, NETWORK_HEADER);
      number(writer, PAYLOAD.OFFSET, offset);
      number(writer, PAYLOAD.LEN, IPV6.length);
    });
  expression(writer, 'dynset', () => {
    writer.textAttribute(DYNSET.SET, set);
    number(writer, DYNSET.OP, seconds === undefined ? OP_DELETE : OP_UPDATE);
    number(writer, DYNSET.SREG_KEY, CLIENT);
    number(writer, DYNSET.SREG_DATA, ENDPOINT);
    if (seconds === undefined) return;
    const milliseconds = Buffer.alloc(8);
    milliseconds.writeBigUInt64BE(BigInt(seconds) * 1000n);
    writer.attribute(DYNSET.TIMEOUT, milliseconds);
  });
}

function expression(writer: Writer, name: string, write: () => void): void {
  writer.nested(LIST_ELEM, () => {
    writer.textAttribute(EXPR.NAME, name);
    writer.nested(EXPR.DATA, write);
  });
}

function number(writer: Writer, type: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  writer.attribute(type, bytes);
}
