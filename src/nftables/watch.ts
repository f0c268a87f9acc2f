/** Notifications that a ruleset of this namespace changed, and by whom (NFNLGRP_NFTABLES, linux/netfilter/nf_tables.h). */
import { Attributes } from '../netlink/attribute.ts';
import { readMessages } from '../netlink/message.ts';
import { NetlinkSocket } from '../netlink/socket.ts';

const NETLINK_NETFILTER = 12;
const NFNLGRP_NFTABLES = 7;
/** NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN: one at the end of each transaction. */
const NEWGEN = (10 << 8) | 15;
const NFTA_GEN_PROC_PID = 2;
const NFGENMSG_LENGTH = 4;

export type RulesetWatch = { [Symbol.dispose](): void };

/**
 * @param own process ids whose transactions are no news.
 * @param onChange called after a transaction of anybody else, and when notifications were lost.
 */
export function watchRulesets(own: ReadonlySet<number>, onChange: () => void): RulesetWatch {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, undefined, [NFNLGRP_NFTABLES]);
  const stop = socket.watch((datagram) => {
    if (datagram === null || [...readMessages(datagram)].some((message) => isForeign(message, own)))
      onChange();
  });
  return {
    [Symbol.dispose]: () => {
      stop();
      socket[Symbol.dispose]();
    },
  };
}

function isForeign({ type, payload }: { type: number; payload: Buffer }, own: ReadonlySet<number>): boolean {
  if (type !== NEWGEN) return false;
  const pid = new Attributes(payload.subarray(NFGENMSG_LENGTH)).bytes(NFTA_GEN_PROC_PID)?.readUInt32BE(0);
  return pid === undefined || !own.has(pid);
}
