/** CNI DEL on the kernel: the pod is off the network when this returns; its link is deleted with others, later. */
import { isAbsent } from '../../edge/netlink/codec/errno.ts';
import type { Kernel, Operation } from '../../edge/netlink/kernel.ts';
import { applyOperations, type Reached } from '../../edge/netlink/state/apply.ts';
import { DELETING_GROUP } from '../../plan/pod/attachment.ts';
import { hostRoutes } from '../../plan/pod/plan.ts';
import { findShaper } from '../kernel/shapers.ts';
import { type KnownAttachments, type LiveAttachment, markDeleting } from '../node/attachments.ts';
import type { LinkRemoval } from '../node/link-removal.ts';

export type DetachContext = { table: KnownAttachments; host: Kernel; removal: LinkRemoval };

/**
 * Takes the routes, the record and the address away. Without its record the link is garbage, so a crash right
 * after this leaves nothing that the next start does not remove. Where the kernel does not take the record away, the pod
 * stays attached: the next start would read it back, and its address is not free.
 */
export function detach(attachment: LiveAttachment, { table, host, removal }: DetachContext): Reached {
  const { linkIndex } = attachment;
  const shaper = findShaper(attachment, host)?.index;
  const reached = applyOperations(host, [
    ...hostRoutes(attachment, linkIndex, []).map((route): Operation => ({ op: 'route.delete', route })),
    deletingLink(linkIndex),
    ...(shaper === undefined ? [] : [deletingLink(shaper)]),
  ]);
  const isKept = ({ operation, error }: Reached['failures'][number]) =>
    operation.op === 'link.change' && operation.change.index === linkIndex && !isAbsent(error);
  if (reached.failures.some(isKept)) return reached;
  markDeleting(table, attachment);
  removal.add(linkIndex);
  if (shaper !== undefined) {
    table.doomed.set(shaper, []);
    removal.add(shaper);
  }
  return reached;
}

function deletingLink(index: number): Operation {
  return { op: 'link.change', change: { index, group: DELETING_GROUP, alias: '' } };
}
