/** Policies that say the same under two names: whoever changes one wonders why nothing changes. */
import { nameOf } from '../clause.ts';
import type { NetworkPolicy } from '../objects.ts';
import type { Finding, Surroundings } from './check.ts';

export function findTwins(policies: readonly NetworkPolicy[], around: Surroundings): Finding[] {
  const bySpec = Map.groupBy(unique([...policies, ...around.policies]), contentOf);
  const checked = new Set(policies.map(nameOf));
  return [...bySpec.values()].flatMap((same) =>
    same
      .filter((policy) => same.length > 1 && checked.has(nameOf(policy)))
      .slice(0, 1)
      .map((policy) => ({
        policy: nameOf(policy),
        mistake: 'twins',
        text: `says the same as ${same
          .filter((other) => other !== policy)
          .map(nameOf)
          .join(', ')}; keep one of them`,
      })),
  );
}

/** What is checked replaces what is in force under the same name. */
function unique(policies: readonly NetworkPolicy[]): NetworkPolicy[] {
  const byName = new Map<string, NetworkPolicy>();
  for (const policy of policies) if (!byName.has(nameOf(policy))) byName.set(nameOf(policy), policy);
  return [...byName.values()];
}

function contentOf({ namespace, staged, pods, ingress, egress }: NetworkPolicy): string {
  return JSON.stringify([namespace, staged, pods, ingress ?? null, egress ?? null]);
}
