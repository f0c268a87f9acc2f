/** RTM_*RULE (linux/fib_rules.h, struct fib_rule_hdr). */
import { type Cidr, cidrNetwork, cidrPrefixLength } from '../../../base/ip/cidr.ts';
import { ipToBytes } from '../../../base/ip/ip.ts';
import type { Rule } from '../objects.ts';
import { Attributes, setPresent, type Writer } from './attribute.ts';
import { familyNumber, familyOf, readRange } from './family.ts';

export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;

const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  PRIORITY: 6,
  FWMARK: 10,
  TABLE: 15,
  FWMASK: 16,
  PROTOCOL: 21,
} as const;
const FR_ACT_TO_TBL = 1;

export function writeRule(writer: Writer, rule: Rule): void {
  const { family, from, to, table, priority, protocol, inputLink, fwmark, fwmask } = rule;
  writer.u8(familyNumber(family)).u8(lengthOf(to)).u8(lengthOf(from)).u8(0);
  writer
    .u8(table < 256 ? table : 0)
    .zeros(2)
    .u8(FR_ACT_TO_TBL)
    .u32(0);
  if (to !== undefined) writer.attribute(FRA.DST, ipToBytes(cidrNetwork(to)));
  if (from !== undefined) writer.attribute(FRA.SRC, ipToBytes(cidrNetwork(from)));
  if (inputLink !== undefined) writer.textAttribute(FRA.IIFNAME, inputLink);
  writer
    .u32Attribute(FRA.PRIORITY, priority)
    .u32Attribute(FRA.TABLE, table)
    .u8Attribute(FRA.PROTOCOL, protocol);
  if (fwmark !== undefined) writer.u32Attribute(FRA.FWMARK, fwmark);
  if (fwmask !== undefined) writer.u32Attribute(FRA.FWMASK, fwmask);
}

export function writeRuleRequest(writer: Writer): void {
  writer.zeros(12);
}

/** @returns undefined for a rule of another family, or one that does something else than look up a table. */
export function readRule(payload: Buffer): Rule | undefined {
  const attributes = new Attributes(payload, 12);
  const family = familyOf(payload.readUInt8(0));
  if (family === undefined || payload.readUInt8(7) !== FR_ACT_TO_TBL) return undefined;
  const range = (type: number, length: number) => {
    const bytes = attributes.bytes(type);
    return bytes === undefined ? undefined : readRange(bytes, length, family);
  };
  const rule: Rule = {
    family,
    priority: attributes.u32(FRA.PRIORITY) ?? 0,
    table: attributes.u32(FRA.TABLE) ?? payload.readUInt8(4),
    protocol: attributes.u8(FRA.PROTOCOL) ?? 0,
  };
  setPresent(rule, 'from', range(FRA.SRC, payload.readUInt8(2)));
  setPresent(rule, 'to', range(FRA.DST, payload.readUInt8(1)));
  setPresent(rule, 'inputLink', attributes.text(FRA.IIFNAME));
  setPresent(rule, 'fwmark', attributes.u32(FRA.FWMARK));
  setPresent(rule, 'fwmask', attributes.u32(FRA.FWMASK));
  return rule;
}

function lengthOf(range: Cidr | undefined): number {
  return range === undefined ? 0 : cidrPrefixLength(range);
}
