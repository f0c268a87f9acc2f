/** What a NetworkPolicy and a ClusterNetworkPolicy must fulfil. */
import { parseIp } from '../../../src/base/ip/ip.ts';
import type { Cause } from '../request/failure.ts';
import { selectorProblems } from '../request/label-selector.ts';
import { at, type Fields, fieldsAt, isFields, listAt, textAt } from '../storage/object.ts';
import { isPort, isPortName, PROTOCOLS } from './validate-pod.ts';

export function networkPolicyProblems(policy: Fields): Cause[] {
  const types = listAt(policy, 'spec', 'policyTypes');
  return [
    ...selectorProblems(fieldsAt(policy, 'spec', 'podSelector'), 'spec.podSelector'),
    ...types
      .filter((type) => type !== 'Ingress' && type !== 'Egress')
      .map((type) => ({
        field: 'spec.policyTypes',
        message: `Unsupported value: ${JSON.stringify(type)}: use Ingress and Egress`,
      })),
    ...rules(policy, 'ingress').flatMap(([rule, place]) => ruleProblems(rule, place, 'from')),
    ...rules(policy, 'egress').flatMap(([rule, place]) => ruleProblems(rule, place, 'to')),
  ];
}

export function clusterPolicyProblems(policy: Fields): Cause[] {
  const causes: Cause[] = [];
  const tier = textAt(policy, 'spec', 'tier');
  if (tier !== 'Admin' && tier !== 'Baseline')
    causes.push({
      field: 'spec.tier',
      message: `Unsupported value: ${JSON.stringify(tier)}: use Admin or Baseline`,
    });
  const priority = Number(at(policy, 'spec', 'priority'));
  if (!(priority >= 0 && priority <= 1000))
    causes.push({ field: 'spec.priority', message: `Invalid value: ${priority}: use 0 to 1000` });
  if (Object.keys(fieldsAt(policy, 'spec', 'subject')).length !== 1)
    causes.push({
      field: 'spec.subject',
      message: 'Invalid value: exactly one of namespaces and pods must be set',
    });
  for (const [rule, place] of [...rules(policy, 'ingress'), ...rules(policy, 'egress')]) {
    const action = textAt(rule, 'action');
    if (!['Accept', 'Deny', 'Pass'].includes(action))
      causes.push({
        field: `${place}.action`,
        message: `Unsupported value: ${JSON.stringify(action)}: use Accept, Deny or Pass`,
      });
    for (const [index, network] of listAt(rule, 'to')
      .flatMap((peer) => listAt(peer, 'networks'))
      .entries())
      if (!isRange(network)) causes.push(noRange(`${place}.to.networks[${index}]`, network));
  }
  return causes;
}

function rules(policy: Fields, direction: 'ingress' | 'egress'): [unknown, string][] {
  return listAt(policy, 'spec', direction).map((rule, index) => [rule, `spec.${direction}[${index}]`]);
}

function ruleProblems(rule: unknown, place: string, peers: 'from' | 'to'): Cause[] {
  return [
    ...listAt(rule, peers).flatMap((peer, index) => peerProblems(peer, `${place}.${peers}[${index}]`)),
    ...listAt(rule, 'ports').flatMap((port, index) => portProblems(port, `${place}.ports[${index}]`)),
  ];
}

function peerProblems(peer: unknown, place: string): Cause[] {
  const fields = isFields(peer) ? Object.keys(peer) : [];
  if (fields.length === 0)
    return [
      {
        field: place,
        message: 'Required value: must specify a peer: podSelector, namespaceSelector or ipBlock',
      },
    ];
  const block = at(peer, 'ipBlock');
  if (block === undefined) {
    return ['podSelector', 'namespaceSelector'].flatMap((field) =>
      selectorProblems(fieldsAt(peer, field), `${place}.${field}`),
    );
  }
  if (fields.length > 1)
    return [{ field: place, message: 'Forbidden: may not specify both ipBlock and another peer' }];
  const ranges: [string, unknown][] = [
    [`${place}.ipBlock.cidr`, at(block, 'cidr')],
    ...listAt(block, 'except').map((range, index): [string, unknown] => [
      `${place}.ipBlock.except[${index}]`,
      range,
    ]),
  ];
  return ranges.filter(([, range]) => !isRange(range)).map(([field, range]) => noRange(field, range));
}

function portProblems(port: unknown, place: string): Cause[] {
  const [number, end] = [at(port, 'port'), at(port, 'endPort')];
  const protocol = textAt(port, 'protocol');
  const causes: Cause[] = [];
  if (!PROTOCOLS.includes(protocol))
    causes.push({
      field: `${place}.protocol`,
      message: `Unsupported value: ${JSON.stringify(protocol)}: use ${PROTOCOLS.join(', ')}`,
    });
  if (number !== undefined && !isPort(number) && !isPortName(number))
    causes.push({
      field: `${place}.port`,
      message: `Invalid value: ${JSON.stringify(number)}: use 1 to 65535, or the name of a port`,
    });
  if (end !== undefined && (!isPort(number) || !isPort(end) || end < number))
    causes.push({
      field: `${place}.endPort`,
      message: `Invalid value: ${JSON.stringify(end)}: must be a number not below port, which must be a number too`,
    });
  return causes;
}

/** Host bits may be set, as Kubernetes allows them. */
export function isRange(value: unknown): boolean {
  const [address, length, ...more] = typeof value === 'string' ? value.split('/') : [];
  if (address === undefined || length === undefined || more.length > 0 || !/^\d{1,3}$/.test(length))
    return false;
  try {
    return Number(length) <= (parseIp(address).includes(':') ? 128 : 32);
  } catch {
    return false;
  }
}

function noRange(field: string, value: unknown): Cause {
  return { field, message: `Invalid value: ${JSON.stringify(value)}: is no range; write it like 10.0.0.0/8` };
}
