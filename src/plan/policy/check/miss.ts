/** Why a selector means none, and which label was probably meant. */
import { nearestName } from '../../../base/errors/nearest.ts';
import type { Labels, Requirement, Selector } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';

const MOST_SHOWN = 5;

/** @param candidates labels of those who could be meant: none of them meets the selector. */
export function describeMiss(selector: Selector, candidates: readonly Labels[]): string {
  const missing = selector.find((requirement) => !candidates.some((labels) => meets(labels, [requirement])));
  return missing === undefined ? 'none has all of the labels' : describeOne(missing, candidates);
}

/** A question names the cure by itself. */
export function withCure(reason: string, cure: string): string {
  return reason.endsWith('?') ? reason : `${reason}; ${cure}`;
}

function describeOne(requirement: Requirement, candidates: readonly Labels[]): string {
  const { key, operator } = requirement;
  if (operator === 'NotIn' || operator === 'DoesNotExist') return `all have a label ${key} that it excludes`;
  const values = new Set(
    candidates.flatMap((labels) => (Object.hasOwn(labels, key) ? [labels[key] ?? ''] : [])),
  );
  if (values.size === 0) {
    const nearest = nearestName(key, [...new Set(candidates.flatMap((labels) => Object.keys(labels)))]);
    return `none has a label ${key}${nearest === undefined ? '' : `, did you mean ${nearest}?`}`;
  }
  const [wanted = ''] = operator === 'In' ? requirement.values : [];
  const nearest = nearestName(wanted, [...values]);
  if (nearest !== undefined) return `none has ${key}=${wanted}, did you mean ${key}=${nearest}?`;
  const shown = [...values].slice(0, MOST_SHOWN).join(', ');
  return `none has ${key}=${wanted}; there is ${shown}${values.size > MOST_SHOWN ? ', …' : ''}`;
}
