/**
 * The CustomResourceDefinition of ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), written from that API's
 * documentation: what its schema lets through src/plan/policy/parse/parse-cluster-policy.ts can read.
 */

type Schema = Readonly<Record<string, unknown>>;

const text = (maxLength: number, more: Schema = {}): Schema => ({ type: 'string', maxLength, ...more });
const list = (items: Schema, maxItems: number, more: Schema = {}): Schema => ({
  type: 'array',
  items,
  maxItems,
  ...more,
});
const object = (properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  ...(required.length === 0 ? {} : { required }),
});
/** Exactly one of them. */
const oneOf = (properties: Readonly<Record<string, Schema>>): Schema => ({
  ...object(properties),
  minProperties: 1,
  maxProperties: 1,
});

const MOST_RULES = 25;
const MOST_PEERS = 25;

const selector: Schema = {
  ...object({
    matchLabels: { type: 'object', additionalProperties: { type: 'string' } },
    matchExpressions: {
      type: 'array',
      'x-kubernetes-list-type': 'atomic',
      items: object(
        {
          key: { type: 'string' },
          operator: { type: 'string', enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
          values: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'atomic' },
        },
        ['key', 'operator'],
      ),
    },
  }),
  'x-kubernetes-map-type': 'atomic',
};

const pods = object({ namespaceSelector: selector, podSelector: selector }, ['podSelector']);
const port: Schema = { type: 'integer', format: 'int32', minimum: 1, maximum: 65535 };
const range: Schema = {
  ...object({ start: port, end: port }, ['start', 'end']),
  'x-kubernetes-validations': [{ rule: 'self.start <= self.end', message: 'start must not be above end' }],
};
const byProtocol = object({ destinationPort: oneOf({ number: port, range }) });
const protocol = oneOf({
  tcp: byProtocol,
  udp: byProtocol,
  sctp: byProtocol,
  destinationNamedPort: text(15, { pattern: '^[a-z0-9-]*[a-z][a-z0-9-]*$' }),
});

function rules(side: 'from' | 'to', peers: Readonly<Record<string, Schema>>): Schema {
  const rule = object(
    {
      name: text(100),
      action: { type: 'string', enum: ['Accept', 'Deny', 'Pass'] },
      [side]: list(oneOf(peers), MOST_PEERS, { minItems: 1 }),
      protocols: list(protocol, MOST_PEERS, { minItems: 1 }),
    },
    ['action', side],
  );
  // Their order decides.
  return list(rule, MOST_RULES, { 'x-kubernetes-list-type': 'atomic' });
}

const spec = object(
  {
    tier: { type: 'string', enum: ['Admin', 'Baseline'] },
    priority: { type: 'integer', format: 'int32', minimum: 0, maximum: 1000 },
    subject: oneOf({ namespaces: selector, pods }),
    ingress: rules('from', { namespaces: selector, pods }),
    egress: rules('to', {
      namespaces: selector,
      pods,
      nodes: selector,
      networks: list(text(43, { format: 'cidr' }), MOST_PEERS, { minItems: 1 }),
    }),
  },
  ['tier', 'priority', 'subject'],
);

const condition = object(
  {
    type: text(316),
    status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
    observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
    lastTransitionTime: { type: 'string', format: 'date-time' },
    reason: text(1024),
    message: text(32768),
  },
  ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
);

const status = object({
  conditions: {
    type: 'array',
    items: condition,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  },
});

/** Of one object. */
export const CLUSTER_POLICY_SCHEMA = object(
  {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec,
    status,
  },
  ['metadata', 'spec'],
);

export const CLUSTER_POLICY_CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'clusternetworkpolicies.policy.networking.k8s.io',
    annotations: {
      // Groups of k8s.io must say so.
      'api-approved.kubernetes.io': 'unapproved, written from the documentation of the network policy API',
    },
  },
  spec: {
    group: 'policy.networking.k8s.io',
    scope: 'Cluster',
    names: {
      kind: 'ClusterNetworkPolicy',
      listKind: 'ClusterNetworkPolicyList',
      plural: 'clusternetworkpolicies',
      singular: 'clusternetworkpolicy',
      shortNames: ['cnp'],
    },
    versions: [
      {
        name: 'v1alpha2',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: CLUSTER_POLICY_SCHEMA },
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Tier', type: 'string', jsonPath: '.spec.tier' },
          { name: 'Priority', type: 'integer', jsonPath: '.spec.priority' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
      },
    ],
  },
};
