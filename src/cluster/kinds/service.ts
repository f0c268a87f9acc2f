/** A Service (core/v1) as far as it leads to pods: to explain where a connection to it goes. */

import { type Fields, fieldAt, fieldsAt, isFields, listAt, textAt } from '../../base/fields/fields.ts';
import { type Ip, isIp, parseIp } from '../../base/ip/ip.ts';
import { type Kind, type KubeObject, readMetadata, type Trimmed } from '../../edge/kubernetes/object.ts';
import { type PolicyService, PROTOCOLS } from '../../plan/policy/parse/objects.ts';

export type Service = KubeObject & PolicyService;

export const SERVICE_KIND: Kind<Service> = {
  name: 'service',
  path: '/api/v1/services',
  trim: trimService,
};

const MOST_PORTS = 1024;

/** Headless ones have no address, and those of type ExternalName no pods. */
export function trimService(value: unknown): Trimmed<Service> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { namespace, name, uid, resourceVersion } = read;
  if (namespace === undefined) return { problem: 'metadata.namespace: is missing' };
  const spec = fieldsAt(value as Fields, 'spec');
  const listed = listAt(spec, 'clusterIPs');
  const ips = listed.length > 0 ? listed : [fieldAt(spec, 'clusterIP')];
  const selector = Object.entries(fieldsAt(spec, 'selector'));
  return {
    object: {
      namespace,
      name,
      uid,
      resourceVersion,
      clusterIPs: ips.flatMap((ip): Ip[] => (typeof ip === 'string' && isIp(ip) ? [parseIp(ip)] : [])),
      ...(selector.length === 0
        ? {}
        : { selector: Object.fromEntries(selector.map(([key, label]) => [key, String(label)])) }),
      ports: listAt(spec, 'ports').slice(0, MOST_PORTS).flatMap(readPort),
    },
  };
}

function readPort(item: unknown): PolicyService['ports'] {
  const fields = isFields(item) ? item : {};
  const port = fieldAt(fields, 'port');
  const protocol = PROTOCOLS.find((known) => known === (textAt(fields, 'protocol') ?? 'TCP'));
  if (typeof port !== 'number' || protocol === undefined) return [];
  const target = fieldAt(fields, 'targetPort');
  const targetPort = typeof target === 'string' || (typeof target === 'number' && target > 0) ? target : port;
  return [{ protocol, port, targetPort }];
}
