/** What the API fills in where a service is silent, from the service alone. Doing it twice changes nothing. */
import { type Fields, fieldsAt, isFields, listAt, textAt, withField } from '../storage/object.ts';
import { isExternal, needsClusterIp } from './type.ts';

/** Three hours. */
const AFFINITY_SECONDS = 10_800;

export function serviceDefaults(service: Fields): Fields {
  const given = fieldsAt(service, 'spec');
  const typed = {
    ...service,
    spec: { type: 'ClusterIP', sessionAffinity: 'None', ...given, ...affinity(given) },
  };
  const isBalanced = typed.spec.type === 'LoadBalancer';
  const spec = {
    ...(needsClusterIp(typed) ? { internalTrafficPolicy: 'Cluster' } : {}),
    ...(isExternal(typed) ? { externalTrafficPolicy: 'Cluster' } : {}),
    ...(isBalanced ? { allocateLoadBalancerNodePorts: true } : {}),
    ...typed.spec,
    ...(listAt(given, 'ports').length > 0 ? { ports: listAt(given, 'ports').map(portDefaults) } : {}),
  };
  const status = { loadBalancer: {}, ...fieldsAt(service, 'status') };
  return withField({ ...service, spec }, ['status'], isBalanced ? withIpModes(status) : status);
}

function affinity(spec: Fields): Fields {
  if (spec['sessionAffinity'] !== 'ClientIP') return {};
  const clientIP = {
    timeoutSeconds: AFFINITY_SECONDS,
    ...fieldsAt(spec, 'sessionAffinityConfig', 'clientIP'),
  };
  return { sessionAffinityConfig: { clientIP } };
}

function portDefaults(item: unknown): Fields {
  const port = { protocol: 'TCP', ...(isFields(item) ? item : {}) };
  const target = textAt(port, 'targetPort');
  return target === '' || target === '0'
    ? { ...port, targetPort: textAt(port, 'port') === '' ? undefined : Number(textAt(port, 'port')) }
    : port;
}

function withIpModes(status: Fields): Fields {
  const ingress = listAt(status, 'loadBalancer', 'ingress');
  if (ingress.length === 0) return status;
  const complete = ingress.map((entry) =>
    textAt(entry, 'ip') === '' ? entry : { ipMode: 'VIP', ...(entry as Fields) },
  );
  return withField(status, ['loadBalancer', 'ingress'], complete);
}
