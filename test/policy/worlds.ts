/** Random small clusters with policies, as the API would give them. */
import fc from 'fast-check';
import { parseIp } from '../../src/base/ip/ip.ts';
import type { PolicyInput } from '../../src/plan/policy/compile/compile.ts';
import type { Protocol } from '../../src/plan/policy/parse/objects.ts';
import { parseClusterPolicy } from '../../src/plan/policy/parse/parse-cluster-policy.ts';
import { parseNetworkPolicy } from '../../src/plan/policy/parse/parse-network-policy.ts';
import type { OracleClusterPolicy, OraclePod, OraclePolicy, OracleWorld } from './oracle.ts';

const NAMESPACES = ['a', 'b', 'c'] as const;
const KEYS = ['app', 'tier'] as const;
const VALUES = ['x', 'y', 'z'] as const;
/** 8080 and 8081 are where the pods of tests listen. */
export const PORTS = [80, 8080, 8081] as const;
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

const NODES = [
  { name: 'node-1', ips: ['192.168.1.2', 'fd00:192:168::2'] },
  { name: 'node-2', ips: ['192.168.1.3', '203.0.113.9'] },
] as const;

const label = fc.constantFrom(...VALUES);
const labels = fc.dictionary(fc.constantFrom(...KEYS), label, { maxKeys: 2, noNullPrototype: true });

const selector = fc.oneof(
  fc.constant({}),
  labels.map((matchLabels) => ({ matchLabels })),
  fc.record({
    matchExpressions: fc.array(
      fc.oneof(
        fc.record({
          key: fc.constantFrom(...KEYS),
          operator: fc.constantFrom('In', 'NotIn'),
          values: fc.uniqueArray(label, { minLength: 1, maxLength: 2 }),
        }),
        fc.record({ key: fc.constantFrom(...KEYS), operator: fc.constantFrom('Exists', 'DoesNotExist') }),
      ),
      { minLength: 1, maxLength: 2 },
    ),
  }),
);

const block = fc.constantFrom(
  { cidr: '10.244.0.0/24' },
  { cidr: '10.244.0.0/24', except: ['10.244.0.4/30'] },
  { cidr: '10.244.0.0/16', except: ['10.244.0.2/32', '10.244.0.6/32'] },
  { cidr: '0.0.0.0/0', except: ['10.244.0.0/29'] },
  { cidr: 'fd00:10:244::/64', except: ['fd00:10:244::4/126'] },
  { cidr: '::/0' },
);

const peer = fc.oneof(
  { weight: 2, arbitrary: selector.map((podSelector) => ({ podSelector })) },
  { weight: 2, arbitrary: selector.map((namespaceSelector) => ({ namespaceSelector })) },
  { weight: 2, arbitrary: fc.record({ podSelector: selector, namespaceSelector: selector }) },
  { weight: 1, arbitrary: block.map((ipBlock) => ({ ipBlock })) },
);

const port = fc.oneof(
  fc.record({ protocol: fc.constantFrom(...PROTOCOLS) }),
  fc.record({ protocol: fc.constantFrom(...PROTOCOLS), port: fc.constantFrom(...PORTS) }),
  fc.record({ port: fc.constantFrom(...PORTS) }),
  fc.record({ protocol: fc.constantFrom(...PROTOCOLS), port: fc.constantFrom('web', 'dns') }),
  fc.constant({ protocol: 'TCP', port: 80, endPort: 8080 }),
  fc.constant({ protocol: 'UDP', port: 8081, endPort: 9000 }),
);

const rule = (side: 'from' | 'to') =>
  fc
    .record({ peers: fc.array(peer, { maxLength: 3 }), ports: fc.array(port, { maxLength: 3 }) })
    .map(({ peers, ports }) => ({
      ...(peers.length > 0 ? { [side]: peers } : {}),
      ...(ports.length > 0 ? { ports } : {}),
    }));

const policy = fc
  .record({
    namespace: fc.constantFrom(...NAMESPACES),
    podSelector: selector,
    policyTypes: fc.constantFrom(undefined, ['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    ingress: fc.option(fc.array(rule('from'), { maxLength: 3 }), { nil: undefined }),
    egress: fc.option(fc.array(rule('to'), { maxLength: 3 }), { nil: undefined }),
  })
  .map(({ namespace, ...spec }) => ({
    metadata: { namespace, name: '' },
    spec: present(spec),
  }));

const pods = fc
  .record({ podSelector: selector, namespaceSelector: fc.option(selector, { nil: undefined }) })
  .map(present);
const networks = fc.uniqueArray(
  fc.constantFrom(
    '10.244.0.0/24',
    '10.244.0.4/30',
    '0.0.0.0/0',
    '::/0',
    'fd00:10:244::4/126',
    '203.0.113.0/24',
  ),
  { minLength: 1, maxLength: 2 },
);
const tierPeer = (side: 'from' | 'to') =>
  fc.oneof(
    { weight: 2, arbitrary: selector.map((namespaces) => ({ namespaces })) },
    { weight: 3, arbitrary: pods.map((value) => ({ pods: value })) },
    ...(side === 'from'
      ? []
      : [
          { weight: 1, arbitrary: networks.map((value) => ({ networks: value })) },
          { weight: 1, arbitrary: selector.map((nodes) => ({ nodes })) },
        ]),
  );
const destination = fc.constantFrom(
  {},
  { destinationPort: { number: 8080 } },
  { destinationPort: { range: { start: 80, end: 8080 } } },
  { destinationPort: { range: { start: 8081, end: 65_535 } } },
);
const protocol = fc.oneof(
  fc.tuple(fc.constantFrom('tcp', 'udp', 'sctp'), destination).map(([kind, value]) => ({ [kind]: value })),
  fc.record({ destinationNamedPort: fc.constantFrom('web', 'dns') }),
);
const tierRule = (side: 'from' | 'to') =>
  fc
    .record({
      action: fc.constantFrom('Accept', 'Deny', 'Pass'),
      [side]: fc.array(tierPeer(side), { minLength: 1, maxLength: 3 }),
      protocols: fc.option(fc.array(protocol, { minLength: 1, maxLength: 3 }), { nil: undefined }),
    })
    .map(present);
const clusterPolicy = fc.record({
  tier: fc.constantFrom('Admin', 'Baseline'),
  subject: fc.oneof(
    selector.map((namespaces) => ({ namespaces })),
    pods.map((value) => ({ pods: value })),
  ),
  ingress: fc.array(tierRule('from'), { maxLength: 3 }),
  egress: fc.array(tierRule('to'), { maxLength: 3 }),
});

function present(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const pod = fc.record({
  namespace: fc.constantFrom(...NAMESPACES),
  labels,
  hostNetwork: fc.oneof(
    { weight: 8, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
  finished: fc.oneof(
    { weight: 8, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
  ports: fc.constantFrom(
    [],
    [{ name: 'web', port: 8080, protocol: 'TCP' }],
    [
      { name: 'web', port: 80, protocol: 'TCP' },
      { name: 'dns', port: 8081, protocol: 'UDP' },
    ],
  ),
});

/** @param size how many pods: the first has 10.244.0.2 and fd00:10:244::2. */
export function worlds(size: number): fc.Arbitrary<OracleWorld> {
  return fc
    .record({
      pods: fc.array(pod, { minLength: size, maxLength: size }),
      namespaceLabels: fc.array(labels, { minLength: NAMESPACES.length, maxLength: NAMESPACES.length }),
      policies: fc.array(policy, { maxLength: 6 }),
      clusterPolicies: fc.array(clusterPolicy, { maxLength: 4 }),
      // Whatever has two orders of equal priority has no result that could be asked for.
      priorities: fc.uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: 4, maxLength: 4 }),
      nodeLabels: fc.array(labels, { minLength: NODES.length, maxLength: NODES.length }),
    })
    .map(({ pods: drawn, namespaceLabels, policies, clusterPolicies, priorities, nodeLabels }) => ({
      pods: drawn.map((one, index) => ({
        ...one,
        name: `pod-${index}`,
        ports: [...one.ports],
        ips: [`10.244.0.${index + 2}`, `fd00:10:244::${(index + 2).toString(16)}`],
      })),
      namespaces: NAMESPACES.map((name, index) => ({ name, labels: namespaceLabels[index]! })),
      policies: policies.map(
        (one, index) =>
          ({ ...one, metadata: { ...one.metadata, name: `p${index}` } }) as unknown as OraclePolicy,
      ),
      clusterPolicies: clusterPolicies.map(
        (spec, index) =>
          ({
            metadata: { name: `c${index}` },
            spec: { ...spec, priority: priorities[index] },
          }) as unknown as OracleClusterPolicy,
      ),
      nodes: NODES.map((node, index) => ({
        name: node.name,
        ips: [...node.ips],
        labels: nodeLabels[index]!,
      })),
    }));
}

/** A cluster as it changes: each step differs from the one before by little. */
export function histories(size: number): fc.Arbitrary<PolicyInput[]> {
  const kinds = ['pods', 'namespaces', 'policies', 'clusterPolicies', 'nodes'] as const;
  const step = fc.record({ world: worlds(size), kind: fc.constantFrom(...kinds), index: fc.nat() });
  return fc.tuple(worlds(size), fc.array(step, { minLength: 1, maxLength: 8 })).map(([first, steps]) => {
    const history = [inputOf(first)];
    for (const { world, kind, index } of steps) {
      const before = history.at(-1)!;
      history.push({ ...before, [kind]: exchange(before[kind], inputOf(world)[kind], index) });
    }
    return history;
  });
}

/** One item is another one, or gone. */
function exchange(items: readonly { name: string }[], others: readonly { name: string }[], index: number) {
  const other = others[index % Math.max(1, others.length)];
  const rest = items.filter(({ name }) => name !== other?.name);
  return other === undefined || index % 3 === 0 ? rest : [...rest, other];
}

/** What the compiler gets: the policies read as they come from the API. */
export function inputOf({
  pods: all,
  namespaces,
  policies,
  clusterPolicies,
  nodes,
}: OracleWorld): PolicyInput {
  return {
    pods: all.map(toPod),
    namespaces,
    policies: policies.map(
      (one) => parseNetworkPolicy(one.metadata.namespace, one.metadata.name, one).policy,
    ),
    clusterPolicies: clusterPolicies.map((one) => parseClusterPolicy(one.metadata.name, one).policy),
    nodes: nodes.map((node) => ({ ...node, ips: node.ips.map((ip) => parseIp(ip)) })),
  };
}

function toPod({ ips, finished, ports, ...rest }: OraclePod): PolicyInput['pods'][number] {
  return {
    ...rest,
    podIPs: ips.map((ip) => parseIp(ip)),
    phase: finished ? 'Succeeded' : 'Running',
    ports: ports as { name: string; port: number; protocol: Protocol }[],
  };
}
