/** What policies say, as clauses in the order in which they are asked: the first one that matches decides. */
import type {
  Action,
  BlockPeer,
  ClusterPolicy,
  Direction,
  NetworkPolicy,
  Peer,
  PolicyPod,
  PolicyPort,
  Protocol,
  Tier,
} from '../parse/objects.ts';

/** `first` to `last`, of one protocol. */
export type PortRange = { protocol: Protocol; first: number; last: number };
export type PortName = { protocol: Protocol; name: string };

export type Clause = {
  tier: Tier | 'network';
  action: Action;
  /** Absent: all. */
  peers?: readonly Peer[];
  /** Absent: every port of every protocol. */
  ports?: { ranges: readonly PortRange[]; names: readonly PortName[] };
  /** As it is shown: `default/web`; a cluster policy has no namespace. */
  policy: string;
  /** Which of its rules: `default/web ingress[0]`. */
  origin: string;
  /** Not in force. */
  staged: boolean;
  /** Where peers without a namespace are looked for. */
  namespace: string;
};

const LAST_PORT = 65_535;

export const networkClauses = remember((policy: NetworkPolicy, direction: Direction): Clause[] =>
  (policy[direction] ?? []).map(({ peers, ports }, index) => ({
    tier: 'network',
    action: 'accept',
    ...(peers === undefined ? {} : { peers }),
    ...portsOf(ports),
    policy: nameOf(policy),
    origin: `${nameOf(policy)} ${direction}[${index}]`,
    staged: policy.staged,
    namespace: policy.namespace,
  })),
);

export const tierClauses = remember((policy: ClusterPolicy, direction: Direction): Clause[] =>
  policy[direction].map(({ action, peers, ports, name }, index) => ({
    tier: policy.tier,
    action,
    ...(peers === undefined ? {} : { peers }),
    ...portsOf(ports),
    policy: policy.name,
    origin: `${policy.name} ${direction}[${index}]${name === undefined ? '' : ` "${name}"`}`,
    staged: policy.staged,
    namespace: '',
  })),
);

export function nameOf({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}

/** The ranges of ports that a clause means where this pod is reached; undefined is every port of every protocol. */
export function rangesAt(
  { ports }: Clause,
  reached: { ports: PolicyPod['ports'] } | undefined,
): readonly PortRange[] | undefined {
  if (ports === undefined || ports.names.length === 0) return ports?.ranges;
  return [
    ...ports.ranges,
    ...ports.names.flatMap(({ protocol, name }) =>
      (reached?.ports ?? [])
        .filter((named) => named.name === name && named.protocol === protocol)
        .map(({ port }) => ({ protocol, first: port, last: port })),
    ),
  ];
}

export function isBlock(peer: Peer): peer is BlockPeer {
  return peer.kind === 'block';
}

function portsOf(ports: readonly PolicyPort[] | undefined): Pick<Clause, 'ports'> {
  if (ports === undefined) return {};
  return {
    ports: {
      ranges: ports.flatMap(({ protocol, port, endPort }) => {
        if (typeof port === 'string') return [];
        return [{ protocol, first: port ?? 0, last: endPort ?? port ?? LAST_PORT }];
      }),
      names: ports.flatMap(({ protocol, port }) =>
        typeof port === 'string' ? [{ protocol, name: port }] : [],
      ),
    },
  };
}

/** A policy that stays the same object says the same. */
function remember<P extends object>(read: (policy: P, direction: Direction) => Clause[]) {
  const known = { ingress: new WeakMap<P, Clause[]>(), egress: new WeakMap<P, Clause[]>() };
  return (policy: P, direction: Direction): readonly Clause[] => {
    let clauses = known[direction].get(policy);
    if (clauses === undefined) known[direction].set(policy, (clauses = read(policy, direction)));
    return clauses;
  };
}
