/** Whether this node can take pods, and with what view of itself; the last good one is kept on disk. */

import type { Configuration } from '../../base/config/configuration.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Clock } from '../../base/run/clock.ts';
import type { RangeRefusal } from '../../cluster/ranges/refusals.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import type { ResyncResult } from '../kernel/resync.ts';
import type { NodeFacts, World } from '../world.ts';
import { type AttachmentTable, describeUnknown } from './attachments.ts';
import { openNodeRecord } from './node-record.ts';
import type { NodeView, Readiness } from './node-view.ts';

export type ReadinessInput = {
  refusals: readonly RangeRefusal[];
  self: ClusterNode | undefined;
  /** What a node says that waits for a range; absent where it claims its own. */
  awaitRange: string | undefined;
  reached: Partial<ResyncResult>;
};

export type ReadinessKeeper = {
  readonly now: Readiness;
  decide(input: ReadinessInput): void;
  /** While the view cannot be saved: one sentence. */
  readonly problem: string | undefined;
  [Symbol.dispose](): void;
};

export type ReadinessOptions = {
  world: World;
  table: AttachmentTable;
  configuration: () => Configuration;
  log: Logger;
  clock: Clock;
};

export function keepReadiness({
  world,
  table,
  configuration,
  log,
  clock,
}: ReadinessOptions): ReadinessKeeper {
  const record = openNodeRecord(configuration().paths.stateDirectory, log, clock);
  let refusal: string | undefined;
  let unplanned = 'the agent has just started';
  return {
    get now(): Readiness {
      if (!table.now.known) return { ready: false, reason: describeUnknown(table.now) };
      if (refusal !== undefined) return { ready: false, reason: refusal };
      const { view } = world.node;
      return view.known ? { ready: true, view: view.view } : { ready: false, reason: unplanned };
    },
    decide: (input) => {
      const { self, reached } = input;
      unplanned = reached.problem ?? 'the agent has just started';
      refusal = refusalOf(input, world.node, refusal);
      const { overlay, underlays = [] } = reached;
      if (self === undefined || overlay === undefined || self.podCidrs.length === 0) return;
      const { mtu } = configuration();
      const view: NodeView = {
        ranges: self.podCidrs,
        nodeIps: underlays.map(({ address }) => address),
        mtu: mtu === 'auto' ? overlay.mtu : mtu,
      };
      const before = world.node.view;
      if (!before.known || JSON.stringify(view) !== JSON.stringify(before.view))
        log.info('this node can take pods', { ...view });
      world.node = { ...world.node, view: { known: true, view } };
      record.keep({ node: { name: self.name, uid: self.uid }, ...view });
    },
    get problem() {
      return record.problem;
    },
    [Symbol.dispose]: () => record[Symbol.dispose](),
  };
}

/** @param former counts while there is no plan. */
function refusalOf(
  { refusals, self, awaitRange, reached }: ReadinessInput,
  { name }: NodeFacts,
  former: string | undefined,
): string | undefined {
  const own = refusals.filter(({ node }) => node === name);
  if (self !== undefined && self.podCidrs.length === 0)
    return own[0]?.reason ?? awaitRange ?? 'this node has no range yet';
  const conflict = own.find(({ cause }) => cause === 'route');
  if (conflict !== undefined) return conflict.reason;
  return reached.problem === undefined ? undefined : former;
}
