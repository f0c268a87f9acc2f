/** Notifications of the transactions that change a ruleset (NFNLGRP_NFTABLES, linux/netfilter/nf_tables.h), and its generation. */
import { Attributes, Writer } from '../netlink/codec/attribute.ts';
import { NLM_F_ACK, readMessages, writeMessage } from '../netlink/codec/message.ts';
import { type KeptWatch, keepWatching } from '../netlink/kept-watch.ts';
import type { NetworkNamespace } from '../netlink/namespace.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/socket.ts';
import { TransactionLedger } from './ledger.ts';

const NFNLGRP_NFTABLES = 7;
const NFNL_SUBSYS_NFTABLES = 10;
/** NFT_MSG_NEWGEN: one at the end of each transaction, behind a message for each object that it changed. */
const NEWGEN = (NFNL_SUBSYS_NFTABLES << 8) | 15;
const GETGEN = (NFNL_SUBSYS_NFTABLES << 8) | 16;
const NFTA_GEN_ID = 1;
/** NFTA_TABLE_NAME, and of chains, rules, sets, elements and objects the table that they are in. */
const TABLE = 1;
const NFGENMSG_LENGTH = 4;
const TYPE_OFFSET = 4;
const PORT_OFFSET = 12;

export type RulesetWatch = KeptWatch & { readonly ledger: TransactionLedger };

/**
 * @param generation asks for the one that is in force.
 * @param onChange called after a transaction of others with the names of the tables that it changed, of whichever family;
 * without them when those are not known.
 * @param namespace the process' own where absent.
 * @param onProblem called when nothing is heard for a while.
 */
export function watchRulesets(
  generation: () => number,
  onChange: (tables?: ReadonlySet<string>) => void,
  namespace?: NetworkNamespace,
  onProblem?: (problem: string) => void,
): RulesetWatch {
  const ledger = new TransactionLedger(generation(), onChange);
  let changed: Set<string> | undefined = new Set();
  const onDatagram = (datagram: Buffer | null) => {
    if (datagram === null) {
      changed = undefined;
      return ledger.lost(generation());
    }
    // Our own table by the ten thousand elements: what is in it need not be read.
    if (datagram.readUInt16LE(TYPE_OFFSET) !== NEWGEN && ledger.isOurs(datagram.readUInt32LE(PORT_OFFSET))) {
      changed = undefined;
      return;
    }
    for (const { type, portId, payload } of readMessages(datagram)) {
      if (type >> 8 !== NFNL_SUBSYS_NFTABLES) continue;
      const attributes = new Attributes(payload, NFGENMSG_LENGTH);
      if (type !== NEWGEN) {
        changed?.add(attributes.bytes(TABLE)?.toString('latin1').replace(/\0.*$/s, '') ?? '');
        continue;
      }
      const number = attributes.bytes(NFTA_GEN_ID)?.readUInt32BE(0) ?? generation();
      ledger.notified({
        generation: number,
        port: portId,
        ...(changed === undefined ? {} : { tables: changed }),
      });
      changed = new Set();
    }
  };
  const kept = keepWatching({
    open: () => new NetlinkSocket(NETLINK_NETFILTER, namespace, [NFNLGRP_NFTABLES]),
    what: 'nftables',
    onProblem,
    onDatagram,
  });
  return {
    ledger,
    get problem() {
      return kept.problem;
    },
    [Symbol.dispose]: () => kept[Symbol.dispose](),
  };
}

/** @param socket on which nothing else is under way. */
export function askGeneration(socket: NetlinkSocket): number {
  const writer = new Writer();
  writeMessage(writer, GETGEN, NLM_F_ACK, () => writer.zeros(NFGENMSG_LENGTH));
  for (const { type, payload } of readMessages(socket.transact(writer.finish()).replies)) {
    const id = type === NEWGEN ? new Attributes(payload, NFGENMSG_LENGTH).bytes(NFTA_GEN_ID) : undefined;
    if (id !== undefined) return id.readUInt32BE(0);
  }
  throw new TypeError('the kernel tells no generation of its nftables rulesets');
}
