/**
 * Transactions as one nfnetlink batch instead of a run of nft(8), which costs a process and lists the table first: for what
 * comes and goes with policies and pods. What is large, and what is of another shape, is nft's.
 */
import { NLM_F_APPEND, NLM_F_CREATE } from '../../netlink/codec/message.ts';
import { type Batch, bigEndian, encodeBatch, SIZES, writeElements } from '../elements.ts';
import type { NftSet, NftType, Table } from '../objects.ts';
import { identifier } from '../transaction.ts';
import { encodeRule } from './expressions.ts';
import type { Operation } from './operations.ts';

/** Elements of one transaction: encoding and the kernel's work are on the event loop, for some ten milliseconds at most. */
const MOST_ELEMENTS = 5000;

/** NFT_MSG_* of linux/netfilter/nf_tables.h. */
const NEW = { CHAIN: 3, RULE: 6, SET: 9, OBJECT: 18 } as const;
const DELETE = { CHAIN: 5, RULE: 8, SET: 11, ELEMENTS: 14, OBJECT: 20 } as const;
const TABLE = 1;
const CHAIN_NAME = 3;
const RULE = { CHAIN: 2, EXPRESSIONS: 4 } as const;
const SET = { NAME: 2, FLAGS: 3, KEY_TYPE: 4, KEY_LENGTH: 5, DATA_TYPE: 6, DESCRIPTION: 9, ID: 10 } as const;
const SET_FLAGS = { interval: 4, map: 8, concatenation: 0x80 } as const;
const DESCRIBED_PARTS = 2;
const PART_LENGTH = 1;
const LIST_ELEM = 1;
const VERDICTS = 0xffffff00;
const OBJECT = { NAME: 2, TYPE: 3, DATA: 4 } as const;
const COUNTER = 1;
const COUNTS = { BYTES: 1, PACKETS: 2 } as const;

/** Numbers of nft's types (its include/datatype.h), by which a listing knows them; six bits each in a key of several. */
const TYPE_NUMBERS: Partial<Record<NftType, number>> = {
  ipv4_addr: 7,
  ipv6_addr: 8,
  inet_proto: 12,
  inet_service: 13,
};
const TYPE_BITS = 6;

/** @returns undefined where it is nft's. */
export function encodeOperations(
  table: Pick<Table, 'family' | 'name'>,
  operations: readonly Operation[],
): Buffer | undefined {
  let elements = 0;
  for (const operation of operations) {
    if ('elements' in operation) elements += operation.elements.length;
    else if (operation.verb === 'add set') elements += operation.set.elements.length;
  }
  if (table.family !== 'inet' || elements > MOST_ELEMENTS) return undefined;
  let isComplete = true;
  const batch = encodeBatch(table, (written) => {
    isComplete = operations.every((operation, index) => write(written, operation, index + 1));
  });
  return isComplete ? batch : undefined;
}

/** @param id of a set, unique within the batch. @returns whether it can be written. */
function write(batch: Batch, operation: Operation, id: number): boolean {
  const { writer, table, message } = batch;
  const named = (
    type: number,
    flags: number,
    attribute: number,
    name: string,
    more: () => void = () => undefined,
  ) => {
    message(type, flags, () => {
      writer.textAttribute(TABLE, table).textAttribute(attribute, identifier(name));
      more();
    });
    return true;
  };
  switch (operation.verb) {
    case 'create table':
    case 'replace table':
      return false;
    case 'add counter':
      return named(NEW.OBJECT, NLM_F_CREATE, OBJECT.NAME, operation.counter, () => {
        writer.attribute(OBJECT.TYPE, bigEndian(COUNTER, 4));
        writer.nested(OBJECT.DATA, () =>
          writer.attribute(COUNTS.BYTES, Buffer.alloc(8)).attribute(COUNTS.PACKETS, Buffer.alloc(8)),
        );
      });
    case 'delete counter':
      return named(DELETE.OBJECT, 0, OBJECT.NAME, operation.counter, () =>
        writer.attribute(OBJECT.TYPE, bigEndian(COUNTER, 4)),
      );
    case 'add chain':
      if (operation.chain.hook !== undefined) return false;
      return named(NEW.CHAIN, NLM_F_CREATE, CHAIN_NAME, operation.chain.name);
    case 'flush chain':
      return named(DELETE.RULE, 0, RULE.CHAIN, operation.chain.name);
    case 'delete chain':
      return named(DELETE.CHAIN, 0, CHAIN_NAME, operation.chain.name);
    case 'add set':
      return addSet(batch, operation.set, id);
    case 'flush set':
      return named(DELETE.ELEMENTS, 0, SET.NAME, operation.set.name);
    case 'delete set':
      return named(DELETE.SET, 0, SET.NAME, operation.set.name);
    case 'add element':
    case 'delete element': {
      const { verb, set, elements } = operation;
      writeElements(batch, { change: verb === 'add element' ? 'add' : 'delete', set, elements });
      return true;
    }
    case 'add rule': {
      const expressions = encodeRule(operation.rule);
      if (expressions === undefined) return false;
      return named(NEW.RULE, NLM_F_CREATE | NLM_F_APPEND, RULE.CHAIN, operation.chain.name, () =>
        writer.nested(RULE.EXPRESSIONS, () => expressions(writer)),
      );
    }
  }
}

function addSet(batch: Batch, set: NftSet, id: number): boolean {
  const { writer, table, message } = batch;
  const types = set.key.map((type) => TYPE_NUMBERS[type]);
  if (set.typeOf !== undefined || types.includes(undefined) || Array.isArray(set.value)) return false;
  const isConcatenated = set.interval === true && set.key.length > 1;
  const flags =
    (set.interval === true ? SET_FLAGS.interval : 0) |
    (set.value === undefined ? 0 : SET_FLAGS.map) |
    (isConcatenated ? SET_FLAGS.concatenation : 0);
  const sizes = set.key.map((type) => SIZES[type]);
  const length = sizes.length === 1 ? sizes[0]! : sizes.reduce((sum, size) => sum + ((size + 3) & ~3), 0);
  message(NEW.SET, NLM_F_CREATE, () => {
    const number = (type: number, value: number) => writer.attribute(type, bigEndian(value, 4));
    writer.textAttribute(TABLE, table).textAttribute(SET.NAME, identifier(set.name));
    number(SET.FLAGS, flags);
    number(
      SET.KEY_TYPE,
      types.reduce<number>((all, type) => (all << TYPE_BITS) | type!, 0),
    );
    number(SET.KEY_LENGTH, length);
    if (set.value !== undefined) number(SET.DATA_TYPE, VERDICTS);
    number(SET.ID, id);
    if (!isConcatenated) return;
    writer.nested(SET.DESCRIPTION, () =>
      writer.nested(DESCRIBED_PARTS, () => {
        for (const size of sizes)
          writer.nested(LIST_ELEM, () => writer.attribute(PART_LENGTH, bigEndian(size, 4)));
      }),
    );
  });
  writeElements(batch, { change: 'add', set, elements: set.elements });
  return true;
}
