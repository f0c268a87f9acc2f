/** Reads what is attached from the kernel's links, and takes away what belongs to no pod. */

import { describeError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { FlowFilter } from '../../edge/conntrack/flush.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import { udpFlowsOf } from '../../plan/hostport/plan.ts';
import { DELETING_GROUP, describeAttachment } from '../../plan/pod/attachment.ts';
import { type AttachmentTable, type LiveAttachment, noteUnread, readLinks } from './attachments.ts';
import type { LinkRemoval } from './link-removal.ts';

export type AttachmentReaderOptions = {
  kernel: Kernel;
  table: AttachmentTable;
  removal: LinkRemoval;
  forgetFlows: (flows: readonly FlowFilter[]) => Promise<void>;
  log: Logger;
};

export type AttachmentReader = {
  /**
   * What is attached is read before all else, and whatever else fails: an address that a pod has must not be given
   * to another, and what its policies and ports are hangs on it.
   * @throws what kept the links from being read.
   */
  ensureRead(): void;
  /** @param links dumped just now. */
  read(links: readonly Link[]): void;
  /** Nothing while it is not known; see {@link AttachmentTable.now} for whether it is. */
  readonly attached: LiveAttachment[];
};

export function createAttachmentReader(options: AttachmentReaderOptions): AttachmentReader {
  const { kernel, table, removal, forgetFlows, log } = options;
  const read = (links: readonly Link[]) => {
    const { vanished, garbage } = readLinks(table, links);
    for (const attachment of vanished) {
      log.info('a pod is gone with its namespace', {
        what: describeAttachment(attachment),
        ips: attachment.ips,
      });
    }
    forgetFlows(vanished.flatMap(udpFlowsOf)).catch((error: unknown) =>
      log.warn('connections stay', { reason: describeError(error) }),
    );
    for (const index of garbage) {
      log.info('removes an interface that belongs to no pod', { index });
      kernel.apply([{ op: 'link.change', change: { index, group: DELETING_GROUP, alias: '' } }]);
      if (table.now.known) table.now.doomed.set(index, []);
      removal.add(index);
    }
  };
  return {
    ensureRead: () => {
      if (table.now.known) return;
      try {
        read(kernel.links());
      } catch (error) {
        noteUnread(table, describeError(error));
        throw error;
      }
    },
    read,
    get attached() {
      return table.now.known ? [...table.now.live.values()] : [];
    },
  };
}
