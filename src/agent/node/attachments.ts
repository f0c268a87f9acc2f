/**
 * What is attached on this node, as the kernel's links say. The table in memory is only their latest reading:
 * it is read again at every resync, so whatever happened to a link behind our back is noticed there.
 */
import { type Ip, ipFamily } from '../../base/ip/ip.ts';
import { type Known, notKnown, type Unknown } from '../../base/known.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import { EMPTY_HISTORY, type History, release } from '../../plan/ipam/allocate.ts';
import {
  ATTACHMENT_GROUP,
  type Attachment,
  type AttachmentKey,
  attachmentId,
  DELETING_GROUP,
  readRecord,
  SHAPER_GROUP,
} from '../../plan/pod/attachment.ts';
import { shaperName } from '../../plan/pod/bandwidth.ts';
import { type CallQueue, createCallQueue } from '../attach/call-queue.ts';

/** An attachment and the host's end of its veth. */
export type LiveAttachment = Attachment & { linkIndex: number };

/** Until the links were read it is not known what is attached, which is not the same as that nothing is. */
export type Attachments = Known<{
  readonly live: Map<string, LiveAttachment>;
  /** Links that were given up and wait for their deletion, and the addresses that no pod gets before it. */
  readonly doomed: Map<number, readonly Ip[]>;
  history: History;
}>;

export type KnownAttachments = Extract<Attachments, { known: true }>;

export type AttachmentTable = {
  now: Attachments;
  /** Calls that change an attachment take turns. */
  readonly calls: CallQueue;
};

export type Reading = {
  /** Were attached before and are not any more, without a DEL: their namespaces have died. */
  vanished: LiveAttachment[];
  /** Links of ours without a record: an ADD or DEL that a crash cut short; and shapers whose pod is gone. */
  garbage: number[];
};

/** @param since when the agent began not to know. */
export function createAttachmentTable(since = new Date()): AttachmentTable {
  return {
    now: notKnown(since, 'the agent has just started'),
    calls: createCallQueue(),
  };
}

/** The links could not be read. What an earlier reading told goes on counting. */
export function noteUnread(table: AttachmentTable, why: string): void {
  if (!table.now.known) table.now = { ...table.now, why };
}

/** One sentence for those who need to know what is attached. */
export function describeUnknown({ since, why }: Unknown): string {
  return (
    `which pods are attached is not known since ${since}, because the links of this node ` +
    `could not be read (${why}); until they are read, which is tried again and again, no pod comes or goes`
  );
}

export function findAttachment(table: KnownAttachments, key: AttachmentKey): LiveAttachment | undefined {
  return table.live.get(attachmentId(key));
}

/** Addresses that no new pod may get. */
export function takenAddresses(table: KnownAttachments): Set<Ip> {
  return new Set([
    ...[...table.live.values()].flatMap(({ ips }) => ips),
    ...[...table.doomed.values()].flat(),
  ]);
}

/** Makes the table agree with the links, dumped just now. */
export function readLinks(holder: AttachmentTable, links: readonly Link[]): Reading {
  const table: KnownAttachments = holder.now.known
    ? holder.now
    : { known: true, live: new Map(), doomed: new Map(), history: EMPTY_HISTORY };
  holder.now = table;
  const garbage: number[] = [];
  const found = new Map<string, LiveAttachment>();
  for (const link of links) {
    if (link.group === DELETING_GROUP && !table.doomed.has(link.index)) garbage.push(link.index);
    if (link.group !== ATTACHMENT_GROUP) continue;
    const attachment = readRecord(link);
    if (attachment === undefined) garbage.push(link.index);
    else found.set(attachmentId(attachment), { ...attachment, linkIndex: link.index });
  }
  const shapers = new Set(
    [...found.values()].flatMap((pod) => (pod.bandwidth?.egress === undefined ? [] : [shaperName(pod)])),
  );
  for (const { group, name, index } of links) {
    if (group === SHAPER_GROUP && !shapers.has(name)) garbage.push(index);
  }
  const vanished = [...table.live].flatMap(([id, attachment]) => (found.has(id) ? [] : [attachment]));
  for (const attachment of vanished) forget(table, attachment);
  // The newest link is the last hand-out: after a restart the round goes on behind it.
  const isFirst = table.live.size === 0 && Object.keys(table.history.last).length === 0;
  for (const [id, attachment] of found) table.live.set(id, attachment);
  if (isFirst) table.history = { ...table.history, last: lastOf(found) };
  return { vanished, garbage };
}

/** Takes an attachment out of the table; its addresses are free. */
export function forget(table: KnownAttachments, attachment: LiveAttachment): void {
  table.live.delete(attachmentId(attachment));
  for (const ip of attachment.ips) table.history = release(ip, table.history);
}

/** Takes an attachment out of the table; its addresses stay taken until {@link buried} says that its link is gone. */
export function markDeleting(table: KnownAttachments, attachment: LiveAttachment): void {
  table.live.delete(attachmentId(attachment));
  table.doomed.set(attachment.linkIndex, attachment.ips);
}

export function buried(table: KnownAttachments, linkIndexes: readonly number[]): void {
  for (const index of linkIndexes) {
    for (const ip of table.doomed.get(index) ?? []) table.history = release(ip, table.history);
    table.doomed.delete(index);
  }
}

function lastOf(found: ReadonlyMap<string, LiveAttachment>): History['last'] {
  let newest: LiveAttachment | undefined;
  for (const attachment of found.values()) {
    if (newest === undefined || attachment.linkIndex > newest.linkIndex) newest = attachment;
  }
  return Object.fromEntries((newest?.ips ?? []).map((ip) => [ipFamily(ip), ip]));
}
