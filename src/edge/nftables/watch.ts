/** Notifications that a ruleset of this namespace changed, and by whom (NFNLGRP_NFTABLES, linux/netfilter/nf_tables.h). */
import { Attributes } from '../netlink/codec/attribute.ts';
import { readMessages } from '../netlink/codec/message.ts';
import type { NetworkNamespace } from '../netlink/namespace.ts';
import { NetlinkSocket } from '../netlink/socket.ts';

const NETLINK_NETFILTER = 12;
const NFNLGRP_NFTABLES = 7;
const NFNL_SUBSYS_NFTABLES = 10;
/** NFT_MSG_NEWGEN: one at the end of each transaction, behind a message for each object that it changed. */
const NEWGEN = (NFNL_SUBSYS_NFTABLES << 8) | 15;
const NFTA_GEN_PROC_PID = 2;
/** NFTA_TABLE_NAME, and of chains, rules, sets, elements and objects the table that they are in. */
const TABLE = 1;
const NFGENMSG_LENGTH = 4;

export type RulesetWatch = { [Symbol.dispose](): void };

/**
 * @param own process ids whose transactions are no news.
 * @param onChange called after a transaction of anybody else with the names of the tables that it changed, of whichever
 * family; without them when notifications were lost.
 * @param namespace the process' own where absent.
 */
export function watchRulesets(
  own: ReadonlySet<number>,
  onChange: (tables?: ReadonlySet<string>) => void,
  namespace?: NetworkNamespace,
): RulesetWatch {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, namespace, [NFNLGRP_NFTABLES]);
  let changed = new Set<string>();
  const stop = socket.watch((datagram) => {
    if (datagram === null) return onChange();
    for (const { type, payload } of readMessages(datagram)) {
      if (type >> 8 !== NFNL_SUBSYS_NFTABLES) continue;
      const attributes = new Attributes(payload, NFGENMSG_LENGTH);
      if (type !== NEWGEN) {
        changed.add(attributes.bytes(TABLE)?.toString('latin1').replace(/\0.*$/s, '') ?? '');
        continue;
      }
      const pid = attributes.bytes(NFTA_GEN_PROC_PID)?.readUInt32BE(0);
      if (pid === undefined || !own.has(pid)) onChange(changed);
      changed = new Set();
    }
  });
  return {
    [Symbol.dispose]: () => {
      stop();
      socket[Symbol.dispose]();
    },
  };
}
