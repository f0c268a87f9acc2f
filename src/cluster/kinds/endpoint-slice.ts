/** An EndpointSlice (discovery.k8s.io/v1): some of the endpoints of a service. */
import { type Fields, fieldsAt, textAt } from '../../base/fields/fields.ts';
import { type Kind, type KubeObject, readMetadata, type Trimmed } from '../../edge/kubernetes/object.ts';
import type { SliceObject } from '../../plan/service/objects.ts';
import { parseSlice } from '../../plan/service/parse-slice.ts';
import { NOT_HANDED_AWAY } from './served-service.ts';

export type EndpointSlice = KubeObject & {
  /** Absent where it is no service's. */
  slice?: SliceObject;
  /** When what its controller saw last had happened, in milliseconds since 1970. */
  triggeredAt?: number;
};

const TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';

export const ENDPOINT_SLICE_KIND: Kind<EndpointSlice> = {
  name: 'endpointslice',
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  query: { labelSelector: NOT_HANDED_AWAY },
  trim: trimEndpointSlice,
};

export function trimEndpointSlice(value: unknown): Trimmed<EndpointSlice> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata, ...identity } = read;
  const parsed = parseSlice(value);
  if ('problem' in parsed) return parsed;
  return {
    object: {
      ...identity,
      ...('slice' in parsed && parsed.slice !== undefined ? { slice: parsed.slice } : {}),
      ...triggerOf(metadata),
    },
    ...(parsed.problems.length === 0 ? {} : { problem: parsed.problems.join('; ') }),
  };
}

function triggerOf(metadata: Fields): Pick<EndpointSlice, 'triggeredAt'> {
  const at = Date.parse(textAt(fieldsAt(metadata, 'annotations'), TRIGGER_TIME) ?? '');
  return Number.isNaN(at) ? {} : { triggeredAt: at };
}
