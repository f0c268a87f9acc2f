/** Addresses of services: the lowest free one, kept over updates. */
import { nthIp, parseCidr } from '../../../src/base/ip/cidr.ts';
import { kindNamed } from '../kinds.ts';
import { invalid } from '../request/failure.ts';
import { type Fields, textAt, withField } from '../storage/object.ts';
import type { Store } from '../storage/store.ts';

export const SERVICE_RANGE = parseCidr('10.96.0.0/16');
const LAST = 65_534;

/** @throws ApiFailure where another service has the address that was asked for, or none is left. */
export function allocateClusterIp(store: Store, service: Fields, before?: Fields): Fields {
  const kind = kindNamed('Service');
  const name = textAt(service, 'metadata', 'name');
  const had = textAt(before, 'spec', 'clusterIP');
  const asked = textAt(service, 'spec', 'clusterIP');
  if (textAt(service, 'spec', 'type') === 'ExternalName' || asked === 'None') return service;
  if (asked !== '' && asked === had) return service;
  if (had !== '' && asked !== '')
    throw invalid(kind, name, [
      { field: 'spec.clusterIP', message: `Invalid value: ${JSON.stringify(asked)}: field is immutable` },
    ]);
  const taken = new Set(store.list(kind).map((other) => textAt(other, 'spec', 'clusterIP')));
  if (asked !== '' && taken.has(asked))
    throw invalid(kind, name, [
      {
        field: 'spec.clusterIP',
        message: `Invalid value: ${JSON.stringify(asked)}: provided IP is already allocated`,
      },
    ]);
  const ip = asked || had || lowestFree(taken);
  if (ip === undefined)
    throw invalid(kind, name, [
      { field: 'spec.clusterIP', message: `Invalid value: "": ${SERVICE_RANGE} is used up` },
    ]);
  return withField(withField(service, ['spec', 'clusterIP'], ip), ['spec', 'clusterIPs'], [ip]);
}

function lowestFree(taken: ReadonlySet<string>): string | undefined {
  for (let index = 1; index <= LAST; index++) {
    const ip = nthIp(SERVICE_RANGE, index);
    if (!taken.has(ip)) return ip;
  }
  return undefined;
}
