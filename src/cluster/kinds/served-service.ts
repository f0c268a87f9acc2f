/** A Service (core/v1) as a node serves it. Services that are handed to another proxy are not even sent. */
import { type Kind, type KubeObject, readMetadata, type Trimmed } from '../../edge/kubernetes/object.ts';
import type { ServiceObject } from '../../plan/service/objects.ts';
import { HEADLESS_LABEL, PROXY_NAME_LABEL, parseService } from '../../plan/service/parse-service.ts';

export type ServedService = KubeObject & { service: ServiceObject };

/** As kube-proxy selects services and slices. */
export const NOT_HANDED_AWAY = `!${PROXY_NAME_LABEL},!${HEADLESS_LABEL}`;

export const SERVED_SERVICE_KIND: Kind<ServedService> = {
  name: 'service',
  path: '/api/v1/services',
  query: { labelSelector: NOT_HANDED_AWAY, fieldSelector: 'spec.clusterIP!=None' },
  trim: trimServedService,
};

export function trimServedService(value: unknown): Trimmed<ServedService> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata: _, ...identity } = read;
  const parsed = parseService(value);
  if ('problem' in parsed) return parsed;
  return {
    object: { ...identity, service: parsed.service },
    ...(parsed.problems.length === 0 ? {} : { problem: parsed.problems.join('; ') }),
  };
}
