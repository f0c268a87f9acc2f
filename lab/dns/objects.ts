/** Services and EndpointSlices as far as names follow from them. */
import { type Fields, fieldsAt, isFields, listAt, textAt } from '../../src/base/fields/fields.ts';
import { type Ip, isIp, parseIp } from '../../src/base/ip/ip.ts';
import { type Kind, type KubeObject, readMetadata, type Trimmed } from '../../src/edge/kubernetes/object.ts';

export type DnsPort = { name: string; protocol: string; port: number };

export type DnsService = KubeObject & {
  clusterIPs: readonly Ip[];
  /** Its name leads to its endpoints. */
  headless: boolean;
  /** Its name is another's. */
  externalName?: string;
  ports: readonly DnsPort[];
};

export type DnsSlice = KubeObject & {
  service: string;
  ports: readonly DnsPort[];
  endpoints: readonly { ip: Ip; hostname: string }[];
};

export const DNS_SERVICE_KIND: Kind<DnsService> = {
  name: 'service',
  path: '/api/v1/services',
  trim: trimService,
};
export const DNS_SLICE_KIND: Kind<DnsSlice> = {
  name: 'endpointslice',
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  query: { labelSelector: 'kubernetes.io/service-name' },
  trim: trimSlice,
};

function trimService(value: unknown): Trimmed<DnsService> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata: _, ...head } = read;
  const spec = fieldsAt(value as Fields, 'spec');
  const external = textAt(spec, 'type') === 'ExternalName' ? textAt(spec, 'externalName') : undefined;
  return {
    object: {
      ...head,
      clusterIPs: listAt(spec, 'clusterIPs').flatMap(ipOf),
      headless: textAt(spec, 'clusterIP') === 'None',
      ...(external === undefined ? {} : { externalName: external.replace(/\.$/, '') }),
      ports: listAt(spec, 'ports').map(portOf),
    },
  };
}

function trimSlice(value: unknown): Trimmed<DnsSlice> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata, ...head } = read;
  const endpoints = listAt(value as Fields, 'endpoints').flatMap((endpoint) => {
    const fields = isFields(endpoint) ? endpoint : {};
    const [ip] = listAt(fields, 'addresses').flatMap(ipOf);
    if (ip === undefined || fieldsAt(fields, 'conditions')['ready'] === false) return [];
    // What has no name of its own is named after its address.
    return [{ ip, hostname: textAt(fields, 'hostname') ?? ip.replaceAll(/[.:]/g, '-') }];
  });
  return {
    object: {
      ...head,
      service: textAt(fieldsAt(metadata, 'labels'), 'kubernetes.io/service-name') ?? '',
      ports: listAt(value as Fields, 'ports').map(portOf),
      endpoints,
    },
  };
}

function ipOf(value: unknown): Ip[] {
  return typeof value === 'string' && isIp(value) ? [parseIp(value)] : [];
}

function portOf(value: unknown): DnsPort {
  const fields = isFields(value) ? value : {};
  return {
    name: textAt(fields, 'name') ?? '',
    protocol: (textAt(fields, 'protocol') ?? 'TCP').toLowerCase(),
    port: Number(fields['port'] ?? 0),
  };
}
