/** A ServiceCIDR (networking.k8s.io/v1): ranges from which services get their addresses. */
import { describeError } from '../../base/errors/errors.ts';
import { type Fields, fieldsAt, listAt } from '../../base/fields/fields.ts';
import { type Cidr, parseCidr } from '../../base/ip/cidr.ts';
import { type Kind, type KubeObject, readMetadata, type Trimmed } from '../../edge/kubernetes/object.ts';

export type ServiceRange = KubeObject & { ranges: readonly Cidr[] };

export const SERVICE_RANGE_KIND: Kind<ServiceRange> = {
  name: 'servicecidr',
  path: '/apis/networking.k8s.io/v1/servicecidrs',
  optional: true,
  trim: trimServiceRange,
};

export function trimServiceRange(value: unknown): Trimmed<ServiceRange> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { name, uid, resourceVersion } = read;
  try {
    const ranges = listAt(fieldsAt(value as Fields, 'spec'), 'cidrs').map((range) =>
      parseCidr(String(range), 'spec.cidrs'),
    );
    return { object: { name, uid, resourceVersion, ranges } };
  } catch (error) {
    return { problem: describeError(error) };
  }
}
