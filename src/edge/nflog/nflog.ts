/** Packets that rules of nftables report (linux/netfilter/nfnetlink_log.h). Numbers are in network order here. */
import { Attributes, Writer } from '../netlink/codec/attribute.ts';
import { type Message, NLM_F_ACK, writeMessage } from '../netlink/codec/message.ts';

/** NFNL_SUBSYS_ULOG << 8, with NFULNL_MSG_PACKET and NFULNL_MSG_CONFIG. */
const PACKET = 4 << 8;
const CONFIG = (4 << 8) | 1;
const CFG = { CMD: 1, MODE: 2, TIMEOUT: 4, FLAGS: 6 } as const;
const BIND = 1;
const COPY_PACKET = 2;
const FLAG_SEQUENCE = 1;
const NFULA = { PAYLOAD: 9, PREFIX: 10, SEQUENCE: 12 } as const;
/** struct nfgenmsg. */
const GENERIC_LENGTH = 4;
/** Hundredths of a second in which packets are gathered. */
const GATHER = 10;

export type Report = {
  /** What the rule says. */
  prefix: string;
  /** From the IP header on, as far as the rule lets see. */
  packet: Buffer;
  /** Counts on by one for each report of the group: a gap is what was lost on the way. */
  sequence: number | undefined;
};

/** Makes the socket the one that reports of the group go to; EBUSY where there is another one. */
export function encodeBind(group: number, snapLength: number): Buffer {
  const writer = new Writer();
  const configure = (write: () => void) =>
    writeMessage(writer, CONFIG, NLM_F_ACK, () => {
      writer.u8(0).u8(0).bytes(bigEndian(group, 2));
      write();
    });
  configure(() => writer.attribute(CFG.CMD, Buffer.of(BIND)));
  configure(() => {
    writer.attribute(CFG.MODE, Buffer.concat([bigEndian(snapLength, 4), Buffer.of(COPY_PACKET, 0)]));
    writer.attribute(CFG.TIMEOUT, bigEndian(GATHER, 4));
    writer.attribute(CFG.FLAGS, bigEndian(FLAG_SEQUENCE, 2));
  });
  return writer.finish();
}

/** @returns undefined for another kind of message. */
export function readReport({ type, payload }: Message): Report | undefined {
  if (type !== PACKET || payload.length < GENERIC_LENGTH) return undefined;
  const attributes = new Attributes(payload.subarray(GENERIC_LENGTH));
  return {
    prefix: attributes.text(NFULA.PREFIX) ?? '',
    packet: attributes.bytes(NFULA.PAYLOAD) ?? Buffer.alloc(0),
    sequence: attributes.bytes(NFULA.SEQUENCE)?.readUInt32BE(0),
  };
}

function bigEndian(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
}
