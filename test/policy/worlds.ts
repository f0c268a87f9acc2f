/** Random small clusters with policies, as the API would give them. */
import fc from 'fast-check';
import { parseIp } from '../../src/ip/ip.ts';
import type { PolicyInput } from '../../src/policy/compile.ts';
import type { Protocol } from '../../src/policy/objects.ts';
import { parseNetworkPolicy } from '../../src/policy/parse.ts';
import type { OraclePod, OraclePolicy, OracleWorld } from './oracle.ts';

const NAMESPACES = ['a', 'b', 'c'] as const;
const KEYS = ['app', 'tier'] as const;
const VALUES = ['x', 'y', 'z'] as const;
/** 8080 and 8081 are where the pods of tests listen. */
export const PORTS = [80, 8080, 8081] as const;
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

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
    spec: Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined)),
  }));

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
    })
    .map(({ pods, namespaceLabels, policies }) => ({
      pods: pods.map((one, index) => ({
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
    }));
}

/** What the compiler gets: the policies read as they come from the API. */
export function inputOf({ pods, namespaces, policies }: OracleWorld): PolicyInput {
  return {
    pods: pods.map(toPod),
    namespaces,
    policies: policies.map(
      (one) => parseNetworkPolicy(one.metadata.namespace, one.metadata.name, one).policy,
    ),
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
