/** Directions that are closed without anybody having meant it: everything out, name lookups among it. */
import type { NetworkPolicy, PolicyRule } from '../objects.ts';
import { meets } from '../selector.ts';
import type { Finding, Surroundings } from './check.ts';

const DNS_PORT = 53;

export function findDirectionMistakes(
  policy: NetworkPolicy,
  around: Surroundings,
): Omit<Finding, 'policy'>[] {
  const found: Omit<Finding, 'policy'>[] = [];
  const { ingress, egress } = policy;
  if (ingress !== undefined && ingress.length > 0 && egress?.length === 0)
    found.push({
      mistake: 'closed-direction',
      text: 'allows some ingress and no egress at all, since policyTypes names Egress and there are no rules for it; write egress rules, or leave Egress out of policyTypes',
    });
  if (egress !== undefined && egress.length > 0 && ingress?.length === 0)
    found.push({
      mistake: 'closed-direction',
      text: 'allows some egress and no ingress at all: ingress is isolated by default; write ingress rules, or policyTypes: [Egress]',
    });
  if (egress !== undefined && egress.length > 0 && !othersAllowDns(policy, around) && !egress.some(allowsDns))
    found.push({
      mistake: 'no-dns',
      text: 'isolates egress and allows no DNS (UDP 53): names are not resolved; allow UDP and TCP 53 to the pods of the name server',
    });
  for (const [direction, rules] of [
    ['ingress', ingress],
    ['egress', egress],
  ] as const) {
    const open = rules?.findIndex(({ peers, ports }) => peers === undefined && ports === undefined) ?? -1;
    if (open >= 0 && rules!.length > 1)
      found.push({
        mistake: 'open-rule',
        text: `${direction}[${open}] is an empty rule, which allows everything: the other ${direction} rules add nothing; remove it, or them`,
      });
  }
  return found;
}

function allowsDns({ ports }: PolicyRule): boolean {
  return (
    ports === undefined ||
    ports.some(
      ({ protocol, port, endPort }) =>
        protocol === 'UDP' &&
        (port === undefined ||
          typeof port === 'string' ||
          (port <= DNS_PORT && (endPort ?? port) >= DNS_PORT)),
    )
  );
}

/** Policies add up: one for all pods of the namespace may do it. */
function othersAllowDns(policy: NetworkPolicy, { policies, pods }: Surroundings): boolean {
  const own = pods.filter(
    ({ namespace, labels }) => namespace === policy.namespace && meets(labels, policy.pods),
  );
  return policies.some(
    (other) =>
      other.namespace === policy.namespace &&
      other.name !== policy.name &&
      (other.egress ?? []).some(allowsDns) &&
      (other.pods.length === 0 || (own.length > 0 && own.every(({ labels }) => meets(labels, other.pods)))),
  );
}
