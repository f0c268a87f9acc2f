/** Policies that say the same under two names: a change of one changes nothing. */
import { nameOf } from '../compile/clause.ts';
import type { NetworkPolicy } from '../parse/objects.ts';
import type { Finding, Surroundings } from './check.ts';

export function findTwins(policies: readonly NetworkPolicy[], { policies: all }: Surroundings): Finding[] {
  const checked = new Set(policies.map(nameOf));
  return [...Map.groupBy(all, contentOf).values()].flatMap((same): Finding[] => {
    const policy = same.find((one) => checked.has(nameOf(one)));
    if (policy === undefined || same.length === 1) return [];
    const others = same.filter((other) => other !== policy).map(nameOf);
    return [
      {
        policy: nameOf(policy),
        mistake: 'twins',
        text: `says the same as ${others.join(', ')}; keep one of them`,
      },
    ];
  });
}

/** Neither the order of rules nor that of peers, ports and labels means anything. */
function contentOf({ namespace, staged, pods, ingress, egress }: NetworkPolicy): string {
  return canonical([namespace, String(staged), pods, ingress ?? 'open', egress ?? 'open']);
}

function canonical(value: unknown, depth = 0): string {
  if (!Array.isArray(value)) {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'none';
    const fields = Object.entries(value).map(([name, one]) => `${name}:${canonical(one, depth + 1)}`);
    return `{${fields.toSorted().join()}}`;
  }
  const items = value.map((item) => canonical(item, depth + 1));
  return `[${(depth === 0 ? items : items.toSorted()).join()}]`;
}
