/** Watches rulesets of the namespace; legacy iptables, which sends no notifications, is looked at every second. */

import type { Clock } from '../../base/run/clock.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';

const LEGACY_NAT_MS = 1000;

export type TableWatchOptions = {
  /** @param tables whose names are changed; undefined: any may be. */
  onTables: (tables?: ReadonlySet<string>) => void;
  /** Whether legacy iptables translates addresses now. */
  legacyNat: () => boolean;
  onLegacyNat: () => void;
  onProblem: (problem: string) => void;
  clock: Clock;
};

export function watchTables(
  nftables: Nftables,
  { onTables, legacyNat, onLegacyNat, onProblem, clock }: TableWatchOptions,
): Disposable & { readonly problem: string | undefined } {
  const watch = nftables.watch(onTables, onProblem);
  let translates = legacyNat();
  const timer = clock.every(LEGACY_NAT_MS, () => {
    const before = translates;
    translates = legacyNat();
    if (before !== translates) onLegacyNat();
  });
  return {
    get problem() {
      return watch.problem;
    },
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      watch[Symbol.dispose]();
    },
  };
}
