/** Random small clusters with services, as the API would give them, and the flows worth asking about. */
import fc from 'fast-check';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { type Ip, parseIp } from '../../src/base/ip/ip.ts';
import type { ServiceDecision } from '../../src/plan/service/decide.ts';
import type { ServiceObject, SliceObject } from '../../src/plan/service/objects.ts';
import { parseService } from '../../src/plan/service/parse-service.ts';
import { parseSlice } from '../../src/plan/service/parse-slice.ts';
import type { ServicesInput } from '../../src/plan/service/plan.ts';
import type { OracleFate, OracleFlow, OracleWorld, RawEndpoint, RawService, RawSlice } from './oracle.ts';

export const NODE = { name: 'node-1', zone: 'zone-a', ips: ['192.168.1.2', 'fd00:192:168::2'] };
/** Pods of this node, of another one, and a server that is no pod: per family. */
export const LOCAL_PODS = [
  ['10.244.1.2', 'fd00:10:244:1::2'],
  ['10.244.1.3', 'fd00:10:244:1::3'],
  ['10.244.1.4', 'fd00:10:244:1::4'],
] as const;
export const REMOTE_PODS = [
  ['10.244.2.2', 'fd00:10:244:2::2'],
  ['10.244.2.3', 'fd00:10:244:2::3'],
] as const;
export const OUTSIDER = ['198.51.100.7', 'fd00:198:51::7'] as const;
/** Where the endpoints listen. */
export const TARGET_PORTS = [8080, 8443] as const;
const PORTS = [80, 81] as const;
const NODE_PORTS = [30_080, 30_081, 30_082] as const;
const CLUSTER_IPS = [0, 1, 2, 3, 4, 5].map(
  (index) => [`10.96.0.${index + 10}`, `fd00:10:96::${index + 10}`] as const,
);
export const EXTERNAL_IPS = [0, 1, 2, 3, 4, 5].map(
  (index) => [`203.0.113.${index + 1}`, `fd00:203::${index + 1}`] as const,
);
export const BALANCER_IPS = [0, 1, 2, 3, 4, 5].map(
  (index) => [`203.0.113.${index + 101}`, `fd00:203::${index + 101}`] as const,
);
export const SERVICE_RANGES = ['10.96.0.0/16', 'fd00:10:96::/112'];
const PROTOCOLS = ['TCP', 'UDP'] as const;

const bool = fc.boolean();
const policy = fc.constantFrom(undefined, 'Cluster', 'Local');
const families = fc.constantFrom<string[][]>(['IPv4'], ['IPv6'], ['IPv4', 'IPv6'], ['IPv6', 'IPv4']);
const port = fc.record({
  name: fc.constantFrom('a', 'a', 'a', 'b'),
  protocol: fc.constantFrom(...PROTOCOLS),
  port: fc.constantFrom(...PORTS),
  nodePort: fc.constantFrom(...NODE_PORTS),
});

type Names = { name: string }[];
type Drawn = {
  type: string;
  families: string[];
  ports: { name: string; protocol: string; port: number; nodePort: number }[];
  internal: string | undefined;
  external: string | undefined;
  externalIPs: boolean;
  mode: string | undefined;
  ranges: string[];
  sticky: boolean;
  label: string | undefined;
};

const drawn: fc.Arbitrary<Drawn> = fc.record({
  type: fc.constantFrom('ClusterIP', 'ClusterIP', 'NodePort', 'LoadBalancer', 'LoadBalancer', 'ExternalName'),
  families,
  ports: fc.uniqueArray(port, {
    minLength: 1,
    maxLength: 2,
    selector: ({ protocol, port: number }) => `${protocol} ${number}`,
  }),
  internal: policy,
  external: policy,
  externalIPs: bool,
  mode: fc.constantFrom(undefined, 'VIP', 'VIP', 'Proxy'),
  ranges: fc.constantFrom<string[][]>(
    [],
    [],
    ['10.244.1.2/32', '198.51.100.0/24'],
    ['192.168.1.0/24', 'fd00:198:51::/64'],
    ['10.244.0.0/16', '0.0.0.0/0'],
    ['fd00:10:244:1::/64'],
  ),
  sticky: bool,
  label: fc.oneof(
    { weight: 12, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom('service-proxy-name', 'headless') },
  ),
});

const conditions = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 3, arbitrary: fc.constant({ ready: true, serving: true, terminating: false }) },
  { weight: 2, arbitrary: fc.constant({ ready: false, serving: true, terminating: true }) },
  { weight: 1, arbitrary: fc.constant({ ready: false, serving: false, terminating: true }) },
  { weight: 1, arbitrary: fc.constant({ ready: false }) },
);
const hints = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  {
    weight: 3,
    arbitrary: fc.record({
      forZones: fc.constantFrom<Names[]>(
        [{ name: 'zone-a' }],
        [{ name: 'zone-b' }],
        [{ name: 'zone-a' }, { name: 'zone-b' }],
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      forZones: fc.constant<Names>([{ name: 'zone-a' }]),
      forNodes: fc.constantFrom<Names[]>([{ name: 'node-1' }], [{ name: 'node-2' }]),
    }),
  },
);
const endpoint = fc.record({
  pod: fc.nat(LOCAL_PODS.length + REMOTE_PODS.length - 1),
  conditions,
  hints,
});
const slice = fc.record({
  service: fc.nat(3),
  v6: bool,
  ports: fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('a', 'a', 'a', 'b'),
      protocol: fc.constantFrom(...PROTOCOLS),
      port: fc.constantFrom(...TARGET_PORTS),
    }),
    { minLength: 1, maxLength: 4, selector: ({ name, protocol }) => `${name} ${protocol}` },
  ),
  endpoints: fc.array(endpoint, { maxLength: 4 }),
});

const SERVICES = 4;

export function worlds(): fc.Arbitrary<OracleWorld> {
  return fc
    .record({
      services: fc.array(drawn, { minLength: SERVICES, maxLength: SERVICES }),
      slices: fc.array(slice, { minLength: 3, maxLength: 12 }),
    })
    .map(({ services, slices }) => {
      const claimed = new Set<string>();
      return {
        services: services.map((one, index) => serviceOf(one, index, claimed)),
        slices: slices.map(sliceOf),
        node: { ...NODE },
        serviceRanges: SERVICE_RANGES,
      };
    });
}

/** As the API allocates them, a node port is one service's. */
function serviceOf(one: Drawn, index: number, claimed: Set<string>): RawService {
  const external = one.type === 'NodePort' || one.type === 'LoadBalancer';
  const pick = (pairs: readonly (readonly [string, string])[]) =>
    one.families.map((family) => pairs[index]![family === 'IPv4' ? 0 : 1]);
  const clusterIPs = pick(CLUSTER_IPS);
  const ports = one.ports.map(({ nodePort, ...rest }) => {
    const key = `${rest.protocol} ${nodePort}`;
    if (!external || claimed.has(key)) return rest;
    claimed.add(key);
    return { ...rest, nodePort };
  });
  return {
    metadata: {
      namespace: 'default',
      name: `s${index}`,
      ...(one.label === undefined ? {} : { labels: { [`service.kubernetes.io/${one.label}`]: 'x' } }),
    },
    spec: {
      type: one.type,
      clusterIP: clusterIPs[0]!,
      clusterIPs,
      ipFamilies: one.families,
      ports,
      ...(one.externalIPs ? { externalIPs: pick(EXTERNAL_IPS) } : {}),
      ...(one.internal === undefined ? {} : { internalTrafficPolicy: one.internal }),
      ...(one.external === undefined || !(external || one.externalIPs)
        ? {}
        : { externalTrafficPolicy: one.external }),
      ...(one.type === 'LoadBalancer' && one.ranges.length > 0
        ? { loadBalancerSourceRanges: openOf(one.ranges) }
        : {}),
      ...(one.sticky ? { sessionAffinity: 'ClientIP' } : {}),
    },
    ...(one.type === 'LoadBalancer'
      ? {
          status: {
            loadBalancer: {
              ingress: pick(BALANCER_IPS).map((ip) => ({
                ip,
                ...(one.mode === undefined ? {} : { ipMode: one.mode }),
              })),
            },
          },
        }
      : {}),
  };
}

/** A /0 is written alone: what it means beside others is a test of its own. */
function openOf(ranges: string[]): string[] {
  return ranges.includes('0.0.0.0/0') ? ['0.0.0.0/0'] : ranges;
}

function sliceOf(
  {
    service,
    v6,
    ports,
    endpoints,
  }: {
    service: number;
    v6: boolean;
    ports: RawSlice['ports'];
    endpoints: { pod: number; conditions: RawEndpoint['conditions']; hints: RawEndpoint['hints'] }[];
  },
  index: number,
): RawSlice {
  return {
    metadata: {
      namespace: 'default',
      name: `slice-${index}`,
      labels: { 'kubernetes.io/service-name': `s${service}` },
    },
    addressType: v6 ? 'IPv6' : 'IPv4',
    ports,
    endpoints: endpoints.map(({ pod, conditions: state, hints: given }): RawEndpoint => {
      const local = pod < LOCAL_PODS.length;
      const ips = local ? LOCAL_PODS[pod]! : REMOTE_PODS[pod - LOCAL_PODS.length]!;
      return {
        addresses: [ips[v6 ? 1 : 0]],
        nodeName: local ? 'node-1' : 'node-2',
        ...(state === undefined ? {} : { conditions: state }),
        ...(given === undefined ? {} : { hints: given }),
      };
    }),
  };
}

/** The world as the planner is given it: everything has gone through the readers of the API's objects. */
export function inputOf(world: OracleWorld): ServicesInput {
  const slices = new Map<string, SliceObject[]>();
  for (const raw of world.slices) {
    const parsed = parseSlice(raw);
    if (!('slice' in parsed) || parsed.slice === undefined) continue;
    const key = `${parsed.slice.namespace}/${parsed.slice.service}`;
    slices.set(key, [...(slices.get(key) ?? []), parsed.slice]);
  }
  const ips = world.node.ips.map((ip) => parseIp(ip));
  return {
    services: world.services.flatMap((raw): ServiceObject[] => {
      const parsed = parseService(raw);
      return 'service' in parsed ? [parsed.service] : [];
    }),
    slices,
    node: { ...world.node, ips },
    families: [4, 6],
    nodePortIps: ips,
    serviceRanges: world.serviceRanges.map((range) => parseCidr(range)),
    taken: { podIps: new Set(), nodeIps: new Set<Ip>(ips) },
  };
}

/** From each kind of client to everything that any service could have, and to what none has. */
export function flowsOf({ services }: OracleWorld): OracleFlow[] {
  const targets = new Set<string>();
  for (const index of services.keys())
    for (const pairs of [CLUSTER_IPS, EXTERNAL_IPS, BALANCER_IPS])
      for (const ip of pairs[index]!) for (const number of PORTS) targets.add(`${ip} ${number}`);
  for (const ip of NODE.ips) for (const number of [80, ...NODE_PORTS]) targets.add(`${ip} ${number}`);
  for (const ip of ['10.96.0.99', 'fd00:10:96::99']) targets.add(`${ip} 80`);
  const sources = [
    { from: 'pod', ips: LOCAL_PODS[0] },
    { from: 'pod', ips: LOCAL_PODS[1] },
    { from: 'node', ips: NODE.ips },
    { from: 'outside', ips: OUTSIDER },
    { from: 'outside', ips: REMOTE_PODS[0] },
  ] as const;
  return [...targets].flatMap((target) => {
    const [destination = '', number = ''] = target.split(' ');
    return sources.flatMap(({ from, ips }) =>
      PROTOCOLS.map((protocol) => ({
        from,
        source: ips[destination.includes(':') ? 1 : 0],
        destination,
        protocol,
        port: Number(number),
      })),
    );
  });
}

export function fateOf(decision: ServiceDecision): OracleFate {
  if (!decision.service) return 'not a service';
  if ('refused' in decision) return decision.refused;
  const endpoints = decision.choices.map(
    (choice) =>
      [
        `${choice.endpoint.ip} ${choice.endpoint.port}`,
        choice.masqueraded === undefined ? 'client' : 'node',
      ] as const,
  );
  return { endpoints: new Map(endpoints) };
}
