/** What policies allow a pod in one direction, flattened: every policy that selects it adds to one list. */
import { type Cidr, cidrContains, hostCidr } from '../ip/cidr.ts';
import type { Ip } from '../ip/ip.ts';
import type {
  Direction,
  NetworkPolicy,
  Peer,
  PolicyPod,
  PolicyPort,
  PolicyRule,
  Protocol,
} from './objects.ts';
import type { Population } from './population.ts';
import { subtractRanges } from './ranges.ts';

/** `first` to `last`, of one protocol. */
export type PortRange = { protocol: Protocol; first: number; last: number };

/** One permission: whom, and which ports. Absent is everybody, and every port of every protocol. */
export type Grant = {
  peers?: readonly Cidr[];
  ports?: readonly PortRange[];
  /** Which policy says so, and with which of its rules: `default/web ingress[0]`. */
  origin: string;
};

const LAST_PORT = 65_535;

/** All that the policies allow to a pod; an empty list allows nothing. */
export function grantsOf(
  pod: PolicyPod,
  policies: readonly NetworkPolicy[],
  direction: Direction,
  population: Population,
): Grant[] {
  return policies.flatMap((policy) =>
    (policy[direction] ?? []).flatMap((rule, index) =>
      grantsOfRule(rule, `${policy.namespace}/${policy.name} ${direction}[${index}]`, {
        pod,
        namespace: policy.namespace,
        direction,
        population,
      }),
    ),
  );
}

type Context = { pod: PolicyPod; namespace: string; direction: Direction; population: Population };

function grantsOfRule({ peers, ports }: PolicyRule, origin: string, context: Context): Grant[] {
  const { pod, direction } = context;
  const names = (ports ?? []).filter(({ port }) => typeof port === 'string');
  const numbers = (ports ?? []).filter(({ port }) => typeof port !== 'string').map(toRange);
  if (direction === 'ingress' || names.length === 0) {
    // The pod itself is reached: its own ports have the names.
    const ranges = [...numbers, ...names.flatMap((name) => resolve(name, pod))];
    if (ports !== undefined && ranges.length === 0) return [];
    const who =
      peers === undefined ? {} : { peers: uniqueRanges(peers.flatMap((peer) => rangesOf(peer, context))) };
    return [{ ...who, ...(ports === undefined ? {} : { ports: ranges }), origin }];
  }
  const plain =
    numbers.length > 0
      ? grantsOfRule(
          { ...(peers === undefined ? {} : { peers }), ports: numbers.map(toPort) },
          origin,
          context,
        )
      : [];
  // Who is reached says what the names stand for; addresses that are no pod's have none.
  const everyPod = () => context.population.identities.flatMap((identity) => identity.pods);
  const within = peers?.flatMap((peer) => (peer.kind === 'block' ? rangesOf(peer, context) : []));
  const meant = new Set(
    peers?.flatMap((peer) =>
      peer.kind === 'pods' ? context.population.podsOf(peer, context.namespace) : [],
    ),
  );
  const isMeant = (other: PolicyPod, ip: Ip) =>
    peers === undefined || meant.has(other) || within!.some((range) => cidrContains(range, ip));
  const reached = within !== undefined && within.length === 0 ? meant : everyPod();
  const named = new Map<string, { ranges: PortRange[]; addresses: Cidr[] }>();
  for (const other of reached) {
    const ranges = names.flatMap((name) => resolve(name, other));
    if (ranges.length === 0) continue;
    const key = JSON.stringify(ranges);
    const group = named.get(key) ?? { ranges, addresses: [] };
    group.addresses.push(...other.podIPs.filter((ip) => isMeant(other, ip)).map(hostCidr));
    if (group.addresses.length > 0) named.set(key, group);
  }
  return [
    ...plain,
    ...[...named.values()].map(({ ranges, addresses }) => ({ peers: addresses, ports: ranges, origin })),
  ];
}

function toRange({ protocol, port, endPort }: PolicyPort): PortRange {
  if (typeof port !== 'number') return { protocol, first: 0, last: LAST_PORT };
  return { protocol, first: port, last: endPort ?? port };
}

function toPort({ protocol, first, last }: PortRange): PolicyPort {
  return first === 0 ? { protocol } : { protocol, port: first, endPort: last };
}

function resolve({ protocol, port }: PolicyPort, pod: PolicyPod): PortRange[] {
  return pod.ports
    .filter((named) => named.name === port && named.protocol === protocol)
    .map((named) => ({ protocol, first: named.port, last: named.port }));
}

function rangesOf(peer: Peer, { namespace, population }: Context): readonly Cidr[] {
  return peer.kind === 'block'
    ? subtractRanges(peer.cidr, peer.except)
    : population.podsOf(peer, namespace).flatMap(({ podIPs }) => podIPs.map(hostCidr));
}

function uniqueRanges(ranges: readonly Cidr[]): Cidr[] {
  return [...new Set(ranges)];
}
