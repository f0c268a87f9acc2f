/** Named counters of a table, by netlink: nft(8) reads every element of every table before it lists them, 0.2 s at 55,000. */
import { Attributes } from '../../netlink/codec/attribute.ts';
import { dump, type Requester } from '../../netlink/dump.ts';
import { bigEndian, FAMILIES, SUBSYSTEM } from '../elements.ts';
import type { Table } from '../objects.ts';

export type Count = { packets: number; bytes: number };

/** NFT_MSG_NEWOBJ and NFT_MSG_GETOBJ of linux/netfilter/nf_tables.h. */
const NEW_OBJECT = (SUBSYSTEM << 8) | 18;
const GET_OBJECT = (SUBSYSTEM << 8) | 19;
const HEADER_LENGTH = 4;
const OBJECT = { TABLE: 1, NAME: 2, TYPE: 3, DATA: 4 } as const;
const COUNTER = 1;
const COUNTS = { BYTES: 1, PACKETS: 2 } as const;

/** By name; none where there is no such table. @param socket on which nothing else is under way. */
export function listCounters(
  socket: Requester,
  { family, name }: Pick<Table, 'family' | 'name'>,
): Map<string, Count> {
  const counters = dump(socket, {
    what: `counters of table ${name}`,
    type: GET_OBJECT,
    answer: NEW_OBJECT,
    write: (writer) => {
      writer
        .u8(FAMILIES[family])
        .zeros(HEADER_LENGTH - 1)
        .textAttribute(OBJECT.TABLE, name);
      writer.attribute(OBJECT.TYPE, bigEndian(COUNTER, 4));
    },
    read: readCounter,
  });
  return new Map(counters);
}

function readCounter(payload: Buffer): [string, Count] | undefined {
  const attributes = new Attributes(payload, HEADER_LENGTH);
  const [name, counts] = [attributes.text(OBJECT.NAME), attributes.nested(OBJECT.DATA)];
  if (name === undefined || counts === undefined) return undefined;
  const number = (type: number) => Number(counts.bytes(type)?.readBigUInt64BE(0) ?? 0n);
  return [name, { packets: number(COUNTS.PACKETS), bytes: number(COUNTS.BYTES) }];
}
