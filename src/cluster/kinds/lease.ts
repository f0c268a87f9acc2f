/** A Lease (coordination.k8s.io/v1): who leads, and for how long after the last sign of life. */
import { type Fields, fieldsAt, textAt } from '../../base/fields/fields.ts';
import { type KubeObject, readMetadata, type Trimmed } from '../../edge/kubernetes/object.ts';

export type Lease = KubeObject & {
  /** Empty: none. */
  holder: string;
  /** Seconds. */
  durationSeconds: number;
  /** How often the holder changed. */
  transitions: number;
  /** RFC 3339 with microseconds, by the holder's clock: never compared with our own. */
  acquireTime: string;
};

/** Seconds; also where the record says nothing or nonsense. */
const SHORTEST = 1;
const LONGEST = 3600;

export function leasePath(namespace: string, name = ''): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases${name === '' ? '' : `/${name}`}`;
}

export function trimLease(value: unknown): Trimmed<Lease> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata: _, ...identity } = read;
  const spec = fieldsAt(value as Fields, 'spec');
  const duration = wholeNumber(spec['leaseDurationSeconds']) ?? LONGEST;
  return {
    object: {
      ...identity,
      holder: textAt(spec, 'holderIdentity') ?? '',
      durationSeconds: Math.min(Math.max(duration, SHORTEST), LONGEST),
      transitions: wholeNumber(spec['leaseTransitions']) ?? 0,
      acquireTime: textAt(spec, 'acquireTime') ?? '',
    },
  };
}

/** MicroTime of the API: RFC 3339 with exactly six digits. */
export function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}

function wholeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
