/**
 * Rules as the kernel's expressions (linux/netfilter/nf_tables.h), for the few shapes that are written while pods wait: what
 * nft(8) makes of the same words in a table of family inet, so that a listing shows the same. All else is nft's.
 */
import type { Writer } from '../../netlink/codec/attribute.ts';
import { bigEndian, writeVerdict } from '../elements.ts';
import type { Rule, Verdict } from '../objects.ts';

const LIST_ELEM = 1;
const EXPRESSION = { NAME: 1, DATA: 2 } as const;
const META = { DREG: 1, KEY: 2 } as const;
const META_KEY = { NFPROTO: 15, L4PROTO: 16 } as const;
const CMP = { SREG: 1, OP: 2, DATA: 3 } as const;
const CMP_EQ = 0;
const PAYLOAD = { DREG: 1, BASE: 2, OFFSET: 3, LEN: 4 } as const;
const BASE = { NETWORK: 1, TRANSPORT: 2 } as const;
const LOOKUP = { SET: 1, SREG: 2, DREG: 3 } as const;
const IMMEDIATE = { DREG: 1, DATA: 2 } as const;
const OBJREF = { TYPE: 1, NAME: 2 } as const;
const COUNTER = 1;
const LIMIT = { RATE: 1, UNIT: 2, BURST: 3, TYPE: 4, FLAGS: 5 } as const;
const LOG = { GROUP: 1, PREFIX: 2, SNAPLEN: 3, QTHRESHOLD: 4 } as const;
const DATA_VALUE = 1;
/** NFT_REG_VERDICT, NFT_REG_1, NFT_REG_2, and NFT_REG32_01, four bytes behind the beginning of NFT_REG_1. */
const REGISTER = { VERDICT: 0, FIRST: 1, SECOND: 2, FIRST_NEXT: 9 } as const;

/** Where addresses lie in their header. */
const ADDRESSES = {
  ip: { protocol: 2, size: 4, saddr: 12, daddr: 16 },
  ip6: { protocol: 10, size: 16, saddr: 8, daddr: 24 },
} as const;
type Ip = keyof typeof ADDRESSES;
type End = 'saddr' | 'daddr';
type Write = (writer: Writer) => void;

/** A shape of rules: from what the words say to what the kernel does. */
type Shape = [RegExp, (...words: string[]) => Write[]];

const SHAPES: readonly Shape[] = [
  [
    /^(ip6?) ([sd]addr) vmap @(\S+)$/,
    (ip, end, set) => [
      ...ofFamily(ip as Ip),
      address(ip as Ip, end as End, REGISTER.FIRST),
      lookup(set, REGISTER.VERDICT),
    ],
  ],
  [
    /^(ip6?) ([sd]addr) @(\S+) (?:(goto) (\S+)|(return))$/,
    (ip, end, set, goto, chain, verdict) => [
      ...ofFamily(ip as Ip),
      address(ip as Ip, end as End, REGISTER.FIRST),
      lookup(set),
      immediate(goto === undefined ? { verdict: verdict as 'return' } : { verdict: 'goto', chain }),
    ],
  ],
  [
    /^meta l4proto \. th dport vmap @(\S+)$/,
    (set) => [
      meta(META_KEY.L4PROTO),
      payload(BASE.TRANSPORT, 2, 2, REGISTER.FIRST_NEXT),
      lookup(set, REGISTER.VERDICT),
    ],
  ],
  [
    /^(ip6?) saddr \. \1 daddr @(\S+) accept$/,
    (ip, set) => [
      ...ofFamily(ip as Ip),
      address(ip as Ip, 'saddr', REGISTER.FIRST),
      address(ip as Ip, 'daddr', ip === 'ip' ? REGISTER.FIRST_NEXT : REGISTER.SECOND),
      lookup(set),
      immediate({ verdict: 'accept' }),
    ],
  ],
  [
    /^limit rate (\d+)\/second burst (\d+) packets log prefix "([^"]*)" group (\d+) snaplen (\d+)$/,
    (rate, burst, prefix, group, length) => [
      limit(Number(rate), Number(burst)),
      log(prefix, Number(group), Number(length)),
    ],
  ],
  [
    /^counter name "([^"]*)" (accept|drop|return)$/,
    (name, verdict) => [count(name), immediate({ verdict: verdict as 'accept' })],
  ],
  [/^(accept|drop|return)$/, (verdict) => [immediate({ verdict: verdict as 'accept' })]],
  [/^(goto|jump) (\S+)$/, (verdict, chain) => [immediate({ verdict: verdict as 'goto', chain: chain })]],
];

/** @returns what appends the rule's list of expressions; undefined where it is of no shape that is known here. */
export function encodeRule({ match, comment }: Rule): Write | undefined {
  if (comment !== undefined) return undefined;
  for (const [shape, expressionsOf] of SHAPES) {
    const [, ...words] = shape.exec(match) ?? [];
    if (words.length === 0) continue;
    const expressions = expressionsOf(...words);
    return (writer) => expressions.forEach((write) => write(writer));
  }
  return undefined;
}

function expression(name: string, data: Write): Write {
  return (writer) =>
    writer.nested(LIST_ELEM, () =>
      writer.textAttribute(EXPRESSION.NAME, name).nested(EXPRESSION.DATA, () => data(writer)),
    );
}

function number(writer: Writer, type: number, value: number): void {
  writer.attribute(type, bigEndian(value, 4));
}

function meta(key: number): Write {
  return expression('meta', (writer) => {
    number(writer, META.KEY, key);
    number(writer, META.DREG, REGISTER.FIRST);
  });
}

function ofFamily(ip: Ip): Write[] {
  const compare = expression('cmp', (writer) => {
    number(writer, CMP.SREG, REGISTER.FIRST);
    number(writer, CMP.OP, CMP_EQ);
    writer.nested(CMP.DATA, () => writer.attribute(DATA_VALUE, Buffer.of(ADDRESSES[ip].protocol)));
  });
  return [meta(META_KEY.NFPROTO), compare];
}

function address(ip: Ip, end: End, register: number): Write {
  return payload(BASE.NETWORK, ADDRESSES[ip][end], ADDRESSES[ip].size, register);
}

function payload(base: number, offset: number, length: number, register: number): Write {
  return expression('payload', (writer) => {
    number(writer, PAYLOAD.DREG, register);
    number(writer, PAYLOAD.BASE, base);
    number(writer, PAYLOAD.OFFSET, offset);
    number(writer, PAYLOAD.LEN, length);
  });
}

/** @param result absent for a set. */
function lookup(set: string, result?: number): Write {
  return expression('lookup', (writer) => {
    number(writer, LOOKUP.SREG, REGISTER.FIRST);
    if (result !== undefined) number(writer, LOOKUP.DREG, result);
    writer.textAttribute(LOOKUP.SET, set);
  });
}

function immediate(verdict: Verdict): Write {
  return expression('immediate', (writer) => {
    number(writer, IMMEDIATE.DREG, REGISTER.VERDICT);
    writer.nested(IMMEDIATE.DATA, () => writeVerdict(writer, verdict));
  });
}

function count(name: string): Write {
  return expression('objref', (writer) => {
    number(writer, OBJREF.TYPE, COUNTER);
    writer.textAttribute(OBJREF.NAME, name);
  });
}

function limit(perSecond: number, burst: number): Write {
  const long = (value: number) => Buffer.concat([Buffer.alloc(4), bigEndian(value, 4)]);
  return expression('limit', (writer) => {
    writer.attribute(LIMIT.RATE, long(perSecond)).attribute(LIMIT.UNIT, long(1));
    number(writer, LIMIT.BURST, burst);
    number(writer, LIMIT.TYPE, 0);
    number(writer, LIMIT.FLAGS, 0);
  });
}

function log(prefix: string, group: number, length: number): Write {
  return expression('log', (writer) => {
    writer.textAttribute(LOG.PREFIX, prefix).u16BeAttribute(LOG.GROUP, group);
    number(writer, LOG.SNAPLEN, length);
    writer.u16BeAttribute(LOG.QTHRESHOLD, 0);
  });
}
