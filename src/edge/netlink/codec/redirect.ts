/**
 * RTM_*TFILTER (linux/rtnetlink.h, struct tcmsg) for one purpose: everything that a link receives goes to another one.
 * The filter is a u32 without keys (linux/pkt_cls.h), its action a mirred (linux/tc_act/tc_mirred.h): both are in every
 * distribution's kernel, unlike the filter that matches all by name.
 */

import type { Redirect } from '../objects.ts';
import { Attributes, type Writer } from './attribute.ts';
import { TC_HEADER_BYTES, TCA, writeTcHeader } from './qdisc.ts';

export const RTM_NEWTFILTER = 44;
export const RTM_DELTFILTER = 45;
export const RTM_GETTFILTER = 46;

/** TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) of linux/pkt_sched.h: what comes in. */
const INGRESS_HOOK = 0xfffffff2;
/** ETH_P_ALL in network order. */
const ALL_PROTOCOLS = 0x0300;
/** The first key of the first hash table of a link: said outright, so that a replacement hits it. */
const FIRST_KEY = 0x80000800;
const TCA_U32 = { SEL: 5, ACT: 7 } as const;
/** struct tc_u32_sel without keys; its flags come first, the number of its keys third. */
const SELECTOR_BYTES = 16;
const TC_U32_TERMINAL = 1;
const FIRST_ACTION = 1;
const SECOND_ACTION = 2;
const TCA_ACT = { KIND: 1, OPTIONS: 2 } as const;
const TCA_MIRRED_PARMS = 2;
/** struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex. */
const MIRRED_BYTES = 28;
const TC_ACT_STOLEN = 4;
const TCA_EGRESS_REDIR = 1;

export function writeRedirect(writer: Writer, { linkIndex, priority, to }: Redirect): void {
  const info = priority * 2 ** 16 + ALL_PROTOCOLS;
  writeTcHeader(writer, linkIndex, { handle: FIRST_KEY, parent: INGRESS_HOOK, info });
  writer.textAttribute(TCA.KIND, 'u32');
  writer.nested(TCA.OPTIONS, () => {
    writer.attribute(TCA_U32.SEL, Buffer.alloc(SELECTOR_BYTES).fill(TC_U32_TERMINAL, 0, 1));
    writer.nested(TCA_U32.ACT, () =>
      writer.nested(FIRST_ACTION, () => {
        writer.textAttribute(TCA_ACT.KIND, 'mirred');
        writer.nested(TCA_ACT.OPTIONS, () => writer.attribute(TCA_MIRRED_PARMS, mirred(to)));
      }),
    );
  });
}

/** The filters of one link for what comes in. */
export function writeRedirectRequest(writer: Writer, linkIndex: number): void {
  writeTcHeader(writer, linkIndex, { parent: INGRESS_HOOK });
}

/** @returns undefined for filters that pick packets, or do something else with them. */
export function readRedirect(payload: Buffer): Redirect | undefined {
  const attributes = new Attributes(payload, TC_HEADER_BYTES);
  const info = payload.readUInt32LE(16);
  if (attributes.text(TCA.KIND) !== 'u32' || (info & 0xffff) !== ALL_PROTOCOLS) return undefined;
  const options = attributes.nested(TCA.OPTIONS);
  const selector = options?.bytes(TCA_U32.SEL);
  if (selector === undefined || selector.length !== SELECTOR_BYTES || selector[0] !== TC_U32_TERMINAL)
    return undefined;
  const actions = options?.nested(TCA_U32.ACT);
  const action = actions?.nested(FIRST_ACTION);
  if (action?.text(TCA_ACT.KIND) !== 'mirred' || actions?.bytes(SECOND_ACTION) !== undefined)
    return undefined;
  const parameters = action.nested(TCA_ACT.OPTIONS)?.bytes(TCA_MIRRED_PARMS);
  if (parameters === undefined || parameters.length < MIRRED_BYTES) return undefined;
  if (parameters.readInt32LE(20) !== TCA_EGRESS_REDIR) return undefined;
  return { linkIndex: payload.readUInt32LE(4), priority: info >>> 16, to: parameters.readUInt32LE(24) };
}

function mirred(to: number): Buffer {
  const parameters = Buffer.alloc(MIRRED_BYTES);
  parameters.writeInt32LE(TC_ACT_STOLEN, 8);
  parameters.writeInt32LE(TCA_EGRESS_REDIR, 20);
  parameters.writeUInt32LE(to, 24);
  return parameters;
}
