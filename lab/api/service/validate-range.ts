/** What ServiceCIDR and IPAddress must fulfil. */
import { cidrFamily, parseCidr } from '../../../src/base/ip/cidr.ts';
import { isIp, parseIp } from '../../../src/base/ip/ip.ts';
import { isEqual } from '../patch/equal.ts';
import type { Cause } from '../request/failure.ts';
import { at, type Fields, listAt, textAt } from '../storage/object.ts';
import { isRange } from '../validation/validate-policy.ts';

export function rangeObjectProblems(object: Fields, before: Fields | undefined): Cause[] {
  const field = 'spec.cidrs';
  const ranges = listAt(object, 'spec', 'cidrs').map(String);
  if (ranges.length === 0 || ranges.length > 2)
    return [{ field, message: 'Invalid value: one or two are needed, of one family each' }];
  const wrong = ranges.filter((range) => !isRange(range));
  if (wrong.length > 0)
    return wrong.map((range) => ({ field, message: `Invalid value: ${JSON.stringify(range)}: is no range` }));
  if (new Set(ranges.map((range) => cidrFamily(parseCidr(range)))).size < ranges.length)
    return [{ field, message: `Invalid value: ${JSON.stringify(ranges)}: both are of one family` }];
  const had = listAt(before, 'spec', 'cidrs');
  const grows = had.length === 1 && ranges[0] === had[0];
  return before === undefined || isEqual(had, ranges) || grows
    ? []
    : [{ field, message: `Invalid value: ${JSON.stringify(ranges)}: field is immutable` }];
}

export function addressObjectProblems(object: Fields, before: Fields | undefined): Cause[] {
  const causes: Cause[] = [];
  const name = textAt(object, 'metadata', 'name');
  if (!isIp(name) || parseIp(name) !== name)
    causes.push({
      field: 'metadata.name',
      message: `Invalid value: ${JSON.stringify(name)}: must be an IP address in its shortest form`,
    });
  if (textAt(object, 'spec', 'parentRef', 'name') === '')
    causes.push({ field: 'spec.parentRef', message: 'Required value' });
  if (before !== undefined && !isEqual(at(before, 'spec'), at(object, 'spec')))
    causes.push({ field: 'spec', message: 'Invalid value: field is immutable' });
  return causes;
}
