/** CNI DEL on the kernel: the pod is off the network when this returns; its link is deleted with others, later. */
import type { Kernel, Operation } from '../../edge/netlink/kernel.ts';
import { applyOperations, type Reached } from '../../edge/netlink/state/apply.ts';
import { DOOMED_GROUP } from '../../plan/pod/attachment.ts';
import { hostRoutes } from '../../plan/pod/plan.ts';
import { findShaper } from '../kernel/shapers.ts';
import { type AttachmentTable, doom, type LiveAttachment } from '../node/attachments.ts';
import type { LinkRemoval } from '../node/link-removal.ts';

export type DetachContext = { table: AttachmentTable; host: Kernel; removal: LinkRemoval };

/**
 * Takes the routes, the record and the address away. Without its record the link is garbage, so a crash right
 * after this leaves nothing that the next start does not remove.
 */
export function detach(attachment: LiveAttachment, { table, host, removal }: DetachContext): Reached {
  const { linkIndex } = attachment;
  const shaper = findShaper(attachment, host)?.index;
  const reached = applyOperations(host, [
    ...hostRoutes(attachment, linkIndex, []).map((route): Operation => ({ op: 'route.delete', route })),
    doomLink(linkIndex),
    ...(shaper === undefined ? [] : [doomLink(shaper)]),
  ]);
  doom(table, attachment);
  removal.add(linkIndex);
  if (shaper !== undefined) {
    table.doomed.set(shaper, []);
    removal.add(shaper);
  }
  return reached;
}

function doomLink(index: number): Operation {
  return { op: 'link.change', change: { index, group: DOOMED_GROUP, alias: '' } };
}
