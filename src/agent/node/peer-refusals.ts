/** Whose fault it is that the kernel refused something: that of one peer's record, or of this node. */

import type { Reached } from '../../edge/netlink/state/apply.ts';
import type { PeerPlan } from '../../plan/overlay/plan.ts';
import { entryOf } from '../kernel/node-state.ts';

export type Refusals = {
  /** Of what the node has for itself and for its pods. */
  own: Reached['failures'];
  /** Peers of whose path something was refused, one sentence each. */
  peers: readonly string[];
};

/** @param peers what was planned: the refused operations carry the same objects. */
export function refusalsOf({ failures }: Pick<Reached, 'failures'>, peers: readonly PeerPlan[]): Refusals {
  if (failures.length === 0) return { own: [], peers: [] };
  const owners = new Map<object, string>();
  for (const { peer, entries } of peers)
    for (const entry of [...entries.routes, ...entries.neighbors, ...entries.fdb])
      owners.set(entry, peer.name);
  const own: Reached['failures'] = [];
  const sentences = new Map<string, string>();
  for (const failure of failures) {
    const entry = entryOf(failure.operation);
    const owner = entry === undefined ? undefined : owners.get(entry);
    if (owner === undefined) own.push(failure);
    else if (!sentences.has(owner))
      sentences.set(
        owner,
        `pods of node ${owner} are not reached: ${failure.error.message}; correct the addresses and ranges of the node, or delete it if its machine is gone`,
      );
  }
  return { own, peers: [...sentences.values()] };
}
