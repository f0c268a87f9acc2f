/** What the kinds besides pods and policies must fulfil. */

import { isEqual } from '../patch/equal.ts';
import type { Cause } from '../request/failure.ts';
import { at, type Fields, fieldsAt, listAt, textAt } from '../storage/object.ts';
import { isPort, PROTOCOLS } from './validate-pod.ts';
import { isRange } from './validate-policy.ts';

/** A node's ranges are given once: from none to some. */
export function nodeProblems(node: Fields, before: Fields | undefined): Cause[] {
  const ranges = listAt(node, 'spec', 'podCIDRs');
  const causes: Cause[] = ranges
    .filter((range) => !isRange(range))
    .map((range) => ({
      field: 'spec.podCIDRs',
      message: `Invalid value: ${JSON.stringify(range)}: is no range`,
    }));
  const had = listAt(before, 'spec', 'podCIDRs');
  if (had.length > 0 && !isEqual(had, ranges))
    causes.push({
      field: 'spec.podCIDRs',
      message: 'Forbidden: node updates may not change podCIDR except from "" to valid',
    });
  return causes;
}

export function otherProblems(kind: string, object: Fields): Cause[] {
  switch (kind) {
    case 'Service':
      return serviceProblems(object);
    case 'EndpointSlice':
      return ['IPv4', 'IPv6', 'FQDN'].includes(textAt(object, 'addressType'))
        ? []
        : [
            {
              field: 'addressType',
              message: `Unsupported value: ${JSON.stringify(textAt(object, 'addressType'))}: use IPv4, IPv6 or FQDN`,
            },
          ];
    case 'Lease': {
      const seconds = at(object, 'spec', 'leaseDurationSeconds');
      return typeof seconds === 'number' && seconds <= 0
        ? [
            {
              field: 'spec.leaseDurationSeconds',
              message: `Invalid value: ${seconds}: must be greater than 0`,
            },
          ]
        : [];
    }
    case 'ConfigMap':
      return [...Object.keys(fieldsAt(object, 'data')), ...Object.keys(fieldsAt(object, 'binaryData'))]
        .filter((key) => !/^[-._A-Za-z0-9]{1,253}$/.test(key))
        .map((key) => ({
          field: 'data',
          message: `Invalid value: ${JSON.stringify(key)}: use letters, digits, dashes, dots and underscores`,
        }));
    default:
      return [];
  }
}

function serviceProblems(service: Fields): Cause[] {
  const causes: Cause[] = [];
  const type = textAt(service, 'spec', 'type');
  if (!['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'].includes(type))
    causes.push({
      field: 'spec.type',
      message: `Unsupported value: ${JSON.stringify(type)}: use ClusterIP, NodePort, LoadBalancer or ExternalName`,
    });
  const headless = textAt(service, 'spec', 'clusterIP') === 'None';
  const ports = listAt(service, 'spec', 'ports');
  if (ports.length === 0 && !headless && type !== 'ExternalName')
    causes.push({ field: 'spec.ports', message: 'Required value: a service has at least one port' });
  for (const [index, port] of ports.entries()) {
    if (!isPort(at(port, 'port')))
      causes.push({
        field: `spec.ports[${index}].port`,
        message: 'Invalid value: must be between 1 and 65535, inclusive',
      });
    if (!PROTOCOLS.includes(textAt(port, 'protocol')))
      causes.push({
        field: `spec.ports[${index}].protocol`,
        message: `Unsupported value: use ${PROTOCOLS.join(', ')}`,
      });
  }
  return causes;
}
