/** Whether a value fits its key, as the value that the program uses or as one sentence that says what would fit. */
import { describeError } from '../errors/errors.ts';
import { nearestName } from '../errors/nearest.ts';
import { cidrsOverlap, parseCidr } from '../ip/cidr.ts';
import { parseIp } from '../ip/ip.ts';
import type { Key } from './keys.ts';

export type Checked = { value: unknown } | { problem: string };

export function checkValue(key: Key, value: unknown): Checked {
  switch (key.type) {
    case 'boolean':
      return typeof value === 'boolean' ? { value } : wrong(value, 'write true or false');
    case 'integer':
      return isInteger(value, key)
        ? { value }
        : wrong(value, `write a whole number from ${key.minimum} to ${key.maximum}`);
    case 'auto-or-integer':
      if (value === 'auto' || isInteger(value, key)) return { value };
      return wrong(value, `write auto, or a whole number from ${key.minimum} to ${key.maximum}`);
    case 'text':
      if (typeof value !== 'string') return wrong(value, 'write a text');
      if (key.pattern !== undefined && !new RegExp(key.pattern).test(value))
        return wrong(value, key.patternHint ?? '');
      return { value };
    case 'choice':
      return checkChoice(key.of, value);
    case 'choices':
      return checkChoices(key.of, value);
    case 'ranges':
      return checkRanges(Array.isArray(value) ? value : [value], key.path === 'podNetwork');
    case 'addresses':
      if (!Array.isArray(value)) return wrong(value, 'write a list of addresses');
      return attempt(() => value.map((item) => parseIp(String(item), 'address')));
  }
}

function checkChoice(of: readonly string[], value: unknown): Checked {
  if (typeof value === 'string' && of.includes(value)) return { value };
  const nearest = typeof value === 'string' ? nearestName(value, of) : undefined;
  return wrong(
    value,
    `write one of ${of.join(', ')}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
  );
}

function checkChoices(of: readonly string[], value: unknown): Checked {
  if (!Array.isArray(value)) return wrong(value, `write a list of ${of.join(', ')}`);
  for (const word of value as unknown[]) {
    const checked = checkChoice(of, word);
    if ('problem' in checked) return checked;
  }
  return { value: of.filter((word) => value.includes(word)) };
}

/** @param needsOne as the pod network does. */
function checkRanges(texts: readonly unknown[], needsOne: boolean): Checked {
  return attempt(() => {
    const ranges = texts.map((text) => parseCidr(String(text), 'range'));
    for (const [index, range] of ranges.entries()) {
      for (const other of ranges.slice(index + 1)) {
        if (cidrsOverlap(range, other)) throw new Error(`${range} and ${other} overlap; keep one of them`);
      }
    }
    if (needsOne && ranges.length === 0) throw new Error('is empty; name at least one range');
    return ranges;
  });
}

function attempt(parse: () => unknown): Checked {
  try {
    return { value: parse() };
  } catch (error) {
    return { problem: describeError(error) };
  }
}

function isInteger(value: unknown, { minimum, maximum }: { minimum: number; maximum: number }): boolean {
  return Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum;
}

function wrong(value: unknown, cure: string): Checked {
  const text = JSON.stringify(value) ?? 'nothing';
  return { problem: `${text.length > 80 ? `${text.slice(0, 80)}…` : text} does not fit; ${cure}` };
}
