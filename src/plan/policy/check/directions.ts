/** Directions that are closed or open by mistake: policyTypes, empty rules, name lookups. */
import { type Fields, fieldAt, fieldsAt, listAt } from '../../../base/fields/fields.ts';
import { DIRECTIONS, type NetworkPolicy, type PolicyRule } from '../parse/objects.ts';
import type { Mistake, Surroundings } from './check.ts';
import { findMissingDns } from './dns.ts';

export function findDirectionMistakes(
  policy: NetworkPolicy,
  written: Fields,
  around: Surroundings,
): Mistake[] {
  const spec = fieldsAt(written, 'spec');
  return [
    ...findTypeMistakes(policy, spec),
    ...findMissingDns(policy, around),
    ...DIRECTIONS.flatMap((direction) => findOpenRules(policy[direction] ?? [], direction)),
  ];
}

function findTypeMistakes({ ingress, egress }: NetworkPolicy, spec: Fields): Mistake[] {
  const found: Mistake[] = [];
  for (const [direction, type] of [
    ['ingress', 'Ingress'],
    ['egress', 'Egress'],
  ] as const) {
    if (listAt(spec, direction).length > 0 && (direction === 'ingress' ? ingress : egress) === undefined)
      found.push({
        mistake: 'ignored-rules',
        text: `has ${direction} rules, and policyTypes without ${type}: they are ignored; add ${type} to policyTypes, or remove them`,
      });
  }
  // An empty list is meant as it is written.
  const isUnsaid = (direction: string) => fieldAt(spec, direction) === undefined;
  if ((ingress ?? []).length > 0 && egress?.length === 0 && isUnsaid('egress'))
    found.push({
      mistake: 'closed-direction',
      text: 'allows some ingress and no egress at all, since policyTypes has Egress and there are no rules for it; write egress rules, leave Egress out of policyTypes, or say egress: [] if it is meant',
    });
  if (
    (egress ?? []).length > 0 &&
    ingress?.length === 0 &&
    listAt(spec, 'policyTypes').length === 0 &&
    isUnsaid('ingress')
  )
    found.push({
      mistake: 'closed-direction',
      text: 'allows some egress and no ingress at all: without policyTypes ingress is isolated too; write policyTypes: [Egress], or [Ingress, Egress] if it is meant',
    });
  return found;
}

/** An empty rule allows everything: alone it is meant, beside others it is a slip of indentation. */
function findOpenRules(rules: readonly PolicyRule[], direction: string): Mistake[] {
  const open = rules.findIndex(({ peers, ports }) => peers === undefined && ports === undefined);
  if (open < 0 || rules.length === 1) return [];
  return [
    {
      mistake: 'open-rule',
      text: `${direction}[${open}] is an empty rule, which allows everything: the other ${direction} rules add nothing; remove it, or them`,
    },
  ];
}
