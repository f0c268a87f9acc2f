/** The schema of the CustomResourceDefinition against what the agents read, policy by policy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseClusterPolicy } from '../../plan/policy/parse/parse-cluster-policy.ts';
import { CLUSTER_POLICY_SCHEMA } from './cluster-policy-crd.ts';

type Schema = {
  type?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema;
  items?: Schema;
  enum?: string[];
  pattern?: string;
  format?: string;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  minProperties?: number;
  maxProperties?: number;
  'x-kubernetes-validations'?: object[];
};

/** As far as that schema goes, with its one rule. @returns where the value does not fit. */
function faults(value: unknown, schema: Schema, at = ''): string[] {
  const within = (count: number, least = 0, most = Infinity) => count >= least && count <= most;
  if (Array.isArray(value)) {
    if (schema.type !== 'array' || !within(value.length, schema.minItems, schema.maxItems)) return [at];
    return value.flatMap((item, index) => faults(item, schema.items!, `${at}[${index}]`));
  }
  if (typeof value === 'object' && value !== null) return faultsOfObject(value, schema, at);
  if (typeof value === 'number')
    return schema.type === 'integer' &&
      Number.isInteger(value) &&
      within(value, schema.minimum, schema.maximum)
      ? []
      : [at];
  if (typeof value !== 'string' || schema.type !== 'string') return [at];
  const fits =
    within(value.length, 0, schema.maxLength) &&
    new RegExp(schema.pattern ?? '').test(value) &&
    (schema.enum ?? [value]).includes(value) &&
    (schema.format !== 'cidr' || /^[0-9a-f.:]+\/\d+$/.test(value));
  return fits ? [] : [at];
}

function faultsOfObject(value: object, schema: Schema, at: string): string[] {
  const { type, properties = {}, required = [], additionalProperties, minProperties, maxProperties } = schema;
  const fields = Object.entries(value) as [string, unknown][];
  const { start = 0, end = 0 } = value as { start?: number; end?: number };
  if (
    type !== 'object' ||
    fields.length < (minProperties ?? 0) ||
    fields.length > (maxProperties ?? Infinity)
  )
    return [at];
  if (schema['x-kubernetes-validations'] !== undefined && start > end) return [at];
  return [
    ...required.filter((name) => !(name in value)).map((name) => `${at}.${name}`),
    ...fields.flatMap(([name, inner]) => {
      const known = properties[name] ?? additionalProperties;
      if (known !== undefined) return faults(inner, known, `${at}.${name}`);
      // An API server drops fields that the schema lacks, and so the policy would not mean what it says.
      return at === '.metadata' ? [] : [`${at}.${name}`];
    }),
  ];
}

const all = { namespaces: {} };
const policy = (spec: object) => ({
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name: 'guard' },
  spec: { tier: 'Admin', priority: 10, subject: all, ...spec },
});
const ingress = (rule: object): object => ({ ingress: [{ action: 'Deny', from: [all], ...rule }] });
const egress = (rule: object): object => ({ egress: [{ action: 'Deny', to: [all], ...rule }] });

const FINE: readonly object[] = [
  {},
  { priority: 0, tier: 'Baseline', subject: { pods: { podSelector: { matchLabels: { app: 'web' } } } } },
  ingress({ name: 'a rule', protocols: [{ tcp: { destinationPort: { number: 80 } } }, { udp: {} }] }),
  ingress({
    protocols: [
      { sctp: { destinationPort: { range: { start: 1, end: 9 } } } },
      { destinationNamedPort: 'web' },
    ],
  }),
  egress({
    to: [
      { nodes: {} },
      { networks: ['10.0.0.0/8', 'fd00::/8'] },
      { pods: { podSelector: {}, namespaceSelector: {} } },
    ],
  }),
  ingress({ from: [{ namespaces: { matchExpressions: [{ key: 'team', operator: 'In', values: ['a'] }] } }] }),
];

const WRONG: readonly object[] = [
  { tier: 'admin' },
  { priority: 1001 },
  { priority: -1 },
  { priority: 1.5 },
  { subject: {} },
  { subject: { namespaces: {}, pods: { podSelector: {} } } },
  { subject: { pods: {} } },
  ingress({ action: 'Allow' }),
  ingress({ from: [] }),
  ingress({ from: [{}] }),
  ingress({ from: [{ nodes: {} }] }),
  ingress({ from: [{ namespaces: {}, pods: { podSelector: {} } }] }),
  ingress({ protocols: [] }),
  ingress({ protocols: [{}] }),
  ingress({ protocols: [{ tcp: {}, udp: {} }] }),
  ingress({ protocols: [{ icmp: {} }] }),
  ingress({ protocols: [{ tcp: { destinationPort: { number: 0 } } }] }),
  ingress({ protocols: [{ tcp: { destinationPort: { range: { start: 9, end: 1 } } } }] }),
  ingress({ protocols: [{ tcp: { destinationPort: { number: 1, range: { start: 1, end: 2 } } } }] }),
  ingress({ protocols: [{ destinationNamedPort: 'no_name' }] }),
  egress({ to: [{ networks: [] }] }),
  egress({ to: [{ networks: ['everywhere'] }] }),
  egress({ to: [{ domainNames: ['example.org'] }] }),
];

test('what agents can read the API server takes, and what they could not it refuses', () => {
  for (const spec of FINE) {
    const object = policy(spec);
    assert.deepEqual(faults(object, CLUSTER_POLICY_SCHEMA), [], JSON.stringify(spec));
    assert.equal(parseClusterPolicy('guard', object).problem, undefined, JSON.stringify(spec));
  }
  for (const spec of WRONG) {
    const object = policy(spec);
    assert.notDeepEqual(faults(object, CLUSTER_POLICY_SCHEMA), [], JSON.stringify(spec));
    assert.notEqual(parseClusterPolicy('guard', object).problem, undefined, JSON.stringify(spec));
  }
});
