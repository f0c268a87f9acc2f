/** What the API fills in where an object is silent. Doing it twice changes nothing. */
import { apiVersionOf, type Kind } from '../kinds.ts';
import { serviceDefaults } from '../service/defaults.ts';
import { type Fields, fieldsAt, isFields, listAt, textAt, withField } from '../storage/object.ts';

export function withDefaults(kind: Kind, object: Fields): Fields {
  const complete = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind };
  const fill = DEFAULTS[kind.kind];
  return fill === undefined ? complete : fill(complete);
}

const DEFAULTS: Readonly<Record<string, (object: Fields) => Fields>> = {
  Pod: (pod) => {
    const spec = withMissing(fieldsAt(pod, 'spec'), {
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      terminationGracePeriodSeconds: 30,
      enableServiceLinks: true,
    });
    const containers = listAt(spec, 'containers').map((container) => {
      const ports = listAt(container, 'ports').map(withProtocol);
      const fields = withMissing(isFields(container) ? container : {}, { imagePullPolicy: 'IfNotPresent' });
      return ports.length > 0 ? { ...fields, ports } : fields;
    });
    const status = withMissing(fieldsAt(pod, 'status'), { phase: 'Pending', qosClass: 'BestEffort' });
    return { ...pod, spec: { ...spec, containers }, status };
  },
  Namespace: (namespace) => {
    const labelled = withField(
      namespace,
      ['metadata', 'labels', 'kubernetes.io/metadata.name'],
      textAt(namespace, 'metadata', 'name'),
    );
    return {
      ...labelled,
      spec: withMissing(fieldsAt(namespace, 'spec'), { finalizers: ['kubernetes'] }),
      status: withMissing(fieldsAt(namespace, 'status'), { phase: 'Active' }),
    };
  },
  Node: (node) => {
    const spec = fieldsAt(node, 'spec');
    const ranges = listAt(spec, 'podCIDRs');
    if (ranges.length > 0) return { ...node, spec: { ...spec, podCIDR: ranges[0] } };
    const range = textAt(spec, 'podCIDR');
    return { ...node, spec: range === '' ? spec : { ...spec, podCIDRs: [range] } };
  },
  NetworkPolicy: (policy) => {
    const spec = fieldsAt(policy, 'spec');
    const types = ['Ingress', ...(Array.isArray(spec['egress']) ? ['Egress'] : [])];
    const named = listAt(spec, 'policyTypes').length > 0 ? {} : { policyTypes: types };
    const rules = (field: 'ingress' | 'egress') =>
      Array.isArray(spec[field]) ? { [field]: spec[field].map(withPortProtocols) } : {};
    return {
      ...policy,
      spec: { ...withMissing(spec, { podSelector: {} }), ...named, ...rules('ingress'), ...rules('egress') },
    };
  },
  Service: serviceDefaults,
  EndpointSlice: (slice) => ({
    ...slice,
    ...(Array.isArray(slice['ports']) ? { ports: slice['ports'].map(withProtocol) } : {}),
  }),
};

function withPortProtocols(rule: unknown): unknown {
  const ports = listAt(rule, 'ports').map(withProtocol);
  return ports.length > 0 && isFields(rule) ? { ...rule, ports } : rule;
}

function withProtocol(port: unknown): Fields {
  return withMissing(isFields(port) ? port : {}, { protocol: 'TCP' });
}

function withMissing(fields: Fields, defaults: Fields): Fields {
  return { ...defaults, ...fields };
}
