/** An IPAddress for each address of a service, as the allocator of a cluster keeps them. */
import { ipFamily, isIp, parseIp } from '../../../src/base/ip/ip.ts';
import type { Api } from '../api.ts';
import { kindNamed } from '../kinds.ts';
import { type ApiObject, listAt, textAt } from '../storage/object.ts';
import { ensureObject } from '../validation/owner.ts';
import { FAMILY_NAMES } from './families.ts';

const MANAGED_BY = 'ipaddress.kubernetes.io/managed-by';
const ALLOCATOR = 'ipallocator.k8s.io';

/** Until it is disposed of; what is there already counts too. */
export function keepAddressObjects(api: Api): Disposable {
  const kind = kindNamed('Service');
  for (const service of api.store.list(kind)) add(api, service);
  for (const object of api.store.list(kindNamed('IPAddress'))) removeOrphan(api, object);
  return api.store.watch(({ type, kind: changed, object, before }) => {
    if (changed !== kind) return;
    if (type !== 'DELETED') add(api, object);
    const kept = new Set(type === 'DELETED' ? [] : addressesOf(object));
    for (const ip of addressesOf(before).filter((address) => !kept.has(address))) {
      const found = api.store.get(kindNamed('IPAddress'), undefined, ip);
      if (found !== undefined) removeOrphan(api, found);
    }
  });
}

function add(api: Api, service: ApiObject): void {
  const { namespace, name } = service.metadata;
  for (const ip of addressesOf(service))
    ensureObject(api, 'IPAddress', {
      metadata: {
        name: ip,
        labels: {
          'ipaddress.kubernetes.io/ip-family': FAMILY_NAMES[ipFamily(parseIp(ip))],
          [MANAGED_BY]: ALLOCATOR,
        },
      } as { name: string },
      spec: { parentRef: { group: '', resource: 'services', namespace, name } },
    });
}

function removeOrphan(api: Api, object: ApiObject): void {
  if (object.metadata.labels?.[MANAGED_BY] !== ALLOCATOR) return;
  const [namespace, name] = ['namespace', 'name'].map((field) => textAt(object, 'spec', 'parentRef', field));
  const service = api.store.get(kindNamed('Service'), namespace, name!);
  if (!addressesOf(service).includes(object.metadata.name)) api.store.remove(kindNamed('IPAddress'), object);
}

function addressesOf(service: unknown): string[] {
  return listAt(service, 'spec', 'clusterIPs').map(String).filter(isIp);
}
