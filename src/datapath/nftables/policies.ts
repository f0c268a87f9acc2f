/** What is said about the pods of this node, as a table of its own; none where nothing is said. */

import type { Logger } from '../../base/log/logger.ts';
import type { Clock } from '../../base/run/clock.ts';
import { runSliced } from '../../base/run/sliced.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import { TableReconciler } from '../../edge/nftables/table-reconciler.ts';
import type { Compiled } from '../../plan/policy/compile/compile.ts';
import type { Outcome } from '../../plan/policy/compile/outcome.ts';
import { openTabulator } from '../../plan/policy/compile/table.ts';
import type { PolicyCount } from '../datapath.ts';
import { openRenderer, POLICY_TABLE } from './policy/render.ts';

export type Policies = {
  readonly isTrusted: boolean;
  invalidate(): void;
  /** @throws what kept it from being reached. */
  ensure(effective: Compiled): Promise<void>;
  counts(): Promise<PolicyCount[]>;
  /** @param name of its counter, by which denials are reported too. */
  outcome(name: string): Outcome | undefined;
};

export function openPolicies(nftables: Nftables, log: Logger, clock: Clock): Policies {
  const keeper = new TableReconciler(nftables, POLICY_TABLE, log, clock);
  const tabulator = openTabulator();
  const renderer = openRenderer();
  let outcomes: ReadonlyMap<string, Outcome> = new Map();
  return {
    get isTrusted() {
      return keeper.isTrusted;
    },
    invalidate: () => keeper.distrust(),
    ensure: (effective) =>
      keeper.ensure(async () => {
        const policies = await runSliced(tabulator.tabulate(effective));
        const { table, outcomes: rendered } = await runSliced(renderer.render(policies));
        outcomes = rendered;
        return effective.pods.length === 0 ? undefined : table;
      }),
    counts: async () => {
      const counts = await nftables.counts(POLICY_TABLE);
      return [...counts].flatMap(([name, { packets }]) => {
        const outcome = outcomes.get(name);
        return outcome === undefined ? [] : [{ outcome, packets }];
      });
    },
    outcome: (name) => outcomes.get(name),
  };
}
