/** Routes, tunnels, neighbors and rules as a part. `fairlead cleanup` takes them away by their marks. */

import { describeError } from '../../base/errors/errors.ts';
import { type Known, notKnown } from '../../base/known.ts';
import type { Clock } from '../../base/run/clock.ts';
import type { Part } from '../../base/run/part.ts';
import { isTunnelLink } from '../../edge/marks/marks.ts';
import type { Kernel, KernelEvent } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import type { AttachmentReader } from '../node/attachment-reader.ts';
import type { AttachmentTable } from '../node/attachments.ts';
import { unreachedPeers } from '../node/node-problems.ts';
import { refusalsOf } from '../node/peer-refusals.ts';
import { Resync, type ResyncInput, type ResyncResult } from './resync.ts';

export type NetworkState = Pick<ResyncInput, 'self' | 'peers' | 'settings'>;

export type Network = Part<NetworkState> & {
  /** What the latest `set` came to; empty before the first. */
  readonly result: Partial<ResyncResult>;
  /** Another changed something of the kernel's. @returns whether it may be ours, so that a resync is due. */
  notice(event: KernelEvent): boolean;
  /** All links of the namespace, where the latest `set` has read them. */
  readonly dumped: Known<{ links: readonly Link[] }>;
};

export type NetworkOptions = {
  kernel: Kernel;
  nextIndex: () => number;
  table: AttachmentTable;
  reader: AttachmentReader;
  clock: Clock;
};

export function createNetwork({ kernel, nextIndex, table, reader, clock }: NetworkOptions): Network {
  const resync = new Resync(kernel, nextIndex);
  let result: Partial<ResyncResult> = {};
  return {
    set: async (latest) => {
      const input: ResyncInput = {
        ...latest(),
        attachments: (links) => {
          if (links !== undefined) reader.read(links);
          return reader.attached;
        },
        isDeleting: (index) => table.now.known && table.now.doomed.has(index),
      };
      const run = await bringKernel(resync, input, result);
      result = run.result;
      const { reached, overlay, problem } = run.result;
      const refusals = refusalsOf(reached, overlay?.peers ?? []);
      // A peer's entry is tried again as soon as one of the node's own is.
      const refused = [...refusals.peers, ...refusals.own.map(({ error }) => error.message)];
      return {
        problems: [
          ...run.unread,
          ...(problem === undefined ? [] : [problem]),
          ...unreachedPeers(overlay?.peers ?? []),
          ...refused,
        ],
        retried: [...run.unread, ...refused],
      };
    },
    invalidate: () => resync.doubtAll(),
    notice: (event) => resync.notice(event, table.now.known ? table.now.live : new Map()),
    get result() {
      return result;
    },
    get dumped() {
      return result.isFresh === true && result.links !== undefined
        ? { known: true as const, links: result.links }
        : notKnown(clock.date(), 'nothing has changed');
    },
  };
}

/** Without a plan the tunnel stays as it is. */
export function hasTunnel({ overlay, links = [] }: Partial<ResyncResult>): boolean {
  return (overlay?.own.links ?? links.filter(isTunnelLink)).length > 0;
}

/** Where the kernel cannot be read, what the last resync reached counts: what does not hang on it goes on. */
async function bringKernel(
  resync: Resync,
  input: ResyncInput,
  former: Partial<ResyncResult>,
): Promise<{ result: ResyncResult; unread: string[] }> {
  try {
    return { result: await resync.run(input), unread: [] };
  } catch (error) {
    const unread = `the kernel could not be read or changed: ${describeError(error)}; it is tried again`;
    const { underlays = [], links = [], addresses = [], foreign = [], overlay, reached } = former;
    const unplanned = reached === undefined ? unread : former.problem;
    const result: ResyncResult = {
      underlays,
      links,
      addresses,
      foreign,
      loosened: [],
      isFresh: false,
      reached: { applied: 0, failures: [] },
      ...(overlay === undefined ? {} : { overlay }),
      ...(unplanned === undefined ? {} : { problem: unplanned }),
    };
    return { result, unread: [unread] };
  }
}
