/** What a Service must fulfil, whatever others there are. */
import type { Cause } from '../request/failure.ts';
import { at, type Fields, fieldsAt, listAt, textAt } from '../storage/object.ts';
import { isPort, isPortName, PROTOCOLS } from '../validation/validate-pod.ts';
import { isRange } from '../validation/validate-policy.ts';
import { isExternal, isHeadless, mayHaveNodePorts, needsClusterIp } from './type.ts';
import { isUnicast } from './unicast.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const HOST = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?$/;
const LONGEST_AFFINITY = 86_400;

/** Fields of a few words: which, and where they may be at all. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  type: ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'],
  sessionAffinity: ['ClientIP', 'None'],
  internalTrafficPolicy: ['Cluster', 'Local'],
  externalTrafficPolicy: ['Cluster', 'Local'],
  ipFamilyPolicy: ['PreferDualStack', 'RequireDualStack', 'SingleStack'],
  trafficDistribution: ['PreferClose', 'PreferSameNode', 'PreferSameZone'],
};

export function serviceProblems(service: Fields): Cause[] {
  const spec = fieldsAt(service, 'spec');
  const choices = Object.entries(CHOICES).flatMap(([field, words]): Cause[] =>
    spec[field] === undefined || words.includes(textAt(spec, field))
      ? []
      : [
          {
            field: `spec.${field}`,
            message: `Unsupported value: ${JSON.stringify(spec[field])}: supported values: ${words.map((word) => JSON.stringify(word)).join(', ')}`,
            reason: 'FieldValueNotSupported',
          },
        ],
  );
  return [
    ...choices,
    ...typeProblems(service, spec),
    ...portsProblems(service),
    ...addressProblems(service),
    ...affinityProblems(spec),
  ];
}

function typeProblems(service: Fields, spec: Fields): Cause[] {
  const causes: Cause[] = [];
  const type = String(spec['type']);
  const forbid = (field: string, message: string) =>
    causes.push({ field: `spec.${field}`, message: `Forbidden: ${message}` });
  if (!needsClusterIp(service)) {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'])
      if (spec[field] !== undefined) forbid(field, 'may not be set for ExternalName services');
    const target = textAt(spec, 'externalName');
    if (!HOST.test(target))
      causes.push({
        field: 'spec.externalName',
        message:
          target === ''
            ? 'Required value'
            : `Invalid value: ${JSON.stringify(target)}: is no name that DNS knows`,
      });
  }
  if (isHeadless(service) && type !== 'ClusterIP')
    causes.push({
      field: 'spec.clusterIPs[0]',
      message: `Invalid value: "None": may not be set to 'None' for ${type} services`,
    });
  if (spec['externalTrafficPolicy'] !== undefined && !isExternal(service))
    causes.push({
      field: 'spec.externalTrafficPolicy',
      message: `Invalid value: ${JSON.stringify(spec['externalTrafficPolicy'])}: may only be set for externally-accessible services`,
    });
  if (type !== 'LoadBalancer') {
    for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass'])
      if (spec[field] !== undefined) forbid(field, "may only be used when `type` is 'LoadBalancer'");
    if (listAt(spec, 'loadBalancerSourceRanges').length > 0)
      forbid('loadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'");
  }
  if (
    Number(spec['healthCheckNodePort'] ?? 0) > 0 &&
    (type !== 'LoadBalancer' || spec['externalTrafficPolicy'] !== 'Local')
  )
    causes.push({
      field: 'spec.healthCheckNodePort',
      message: `Invalid value: ${String(spec['healthCheckNodePort'])}: may only be set when \`type\` is 'LoadBalancer' and \`externalTrafficPolicy\` is 'Local'`,
    });
  return causes;
}

function portsProblems(service: Fields): Cause[] {
  const causes: Cause[] = [];
  const ports = listAt(service, 'spec', 'ports');
  if (ports.length === 0 && !isHeadless(service) && needsClusterIp(service))
    causes.push({ field: 'spec.ports', message: 'Required value: a service has at least one port' });
  const names = new Set<string>();
  const numbers = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const place = `spec.ports[${index}]`;
    const [name, protocol, nodePort] = ['name', 'protocol', 'nodePort'].map((field) => textAt(port, field));
    const target = at(port, 'targetPort');
    const add = (field: string, message: string) => causes.push({ field: `${place}${field}`, message });
    const once = (seen: Set<string>, key: string, field: string) => {
      if (seen.has(key)) add(field, `Duplicate value: ${JSON.stringify(key)}`);
      seen.add(key);
    };
    if (name === '' && ports.length > 1) add('.name', 'Required value: of several ports each has a name');
    if (name !== '' && !LABEL.test(name!))
      add(
        '.name',
        `Invalid value: ${JSON.stringify(name)}: use up to 63 lower-case letters, digits and dashes`,
      );
    if (name !== '') once(names, name!, '.name');
    if (!isPort(at(port, 'port'))) add('.port', 'Invalid value: must be between 1 and 65535, inclusive');
    if (!PROTOCOLS.includes(protocol!))
      add('.protocol', `Unsupported value: ${JSON.stringify(protocol)}: use ${PROTOCOLS.join(', ')}`);
    if (typeof target === 'string' ? !isPortName(target) : target !== undefined && !isPort(target))
      add('.targetPort', `Invalid value: ${JSON.stringify(target)}: is neither a port nor the name of one`);
    once(numbers, `${protocol}/${textAt(port, 'port')}`, '');
    if (nodePort === '' || nodePort === '0') continue;
    once(nodePorts, `${protocol}/${nodePort}`, '.nodePort');
    if (!mayHaveNodePorts(service))
      add('.nodePort', `Forbidden: may not be used when \`type\` is '${textAt(service, 'spec', 'type')}'`);
  }
  return causes;
}

function addressProblems(service: Fields): Cause[] {
  const causes: Cause[] = [];
  const each = (field: string, fits: (text: string) => boolean, message: string) => {
    for (const [index, value] of listAt(service, 'spec', field).entries())
      if (!fits(String(value)))
        causes.push({
          field: `spec.${field}[${index}]`,
          message: `Invalid value: ${JSON.stringify(value)}: ${message}`,
        });
  };
  each(
    'externalIPs',
    isUnicast,
    'must be an IP address that is neither loopback, link-local, multicast nor unspecified',
  );
  each('loadBalancerSourceRanges', (range) => isRange(range.trim()), 'must be an IP range');
  each('ipFamilies', (family) => ['IPv4', 'IPv6'].includes(family), 'use IPv4 or IPv6');
  const families = listAt(service, 'spec', 'ipFamilies');
  if (new Set(families).size < families.length)
    causes.push({ field: 'spec.ipFamilies', message: `Duplicate value: ${JSON.stringify(families)}` });
  for (const [key, value] of Object.entries(fieldsAt(service, 'spec', 'selector')))
    if (!/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/.test(String(value)))
      causes.push({
        field: 'spec.selector',
        message: `Invalid value: ${JSON.stringify({ [key]: value })}: is no label`,
      });
  return causes;
}

function affinityProblems(spec: Fields): Cause[] {
  const config = spec['sessionAffinityConfig'];
  if (spec['sessionAffinity'] !== 'ClientIP')
    return config === undefined
      ? []
      : [
          {
            field: 'spec.sessionAffinityConfig',
            message: 'Forbidden: must not be set when session affinity is None',
          },
        ];
  const seconds = at(config, 'clientIP', 'timeoutSeconds');
  if (typeof seconds === 'number' && seconds > 0 && seconds <= LONGEST_AFFINITY) return [];
  return [
    {
      field: 'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
      message: `Invalid value: ${JSON.stringify(seconds)}: must be greater than 0 and at most ${LONGEST_AFFINITY}`,
    },
  ];
}
