/**
 * Whether policies allow a connection, as naively as the API's documentation can be read (kubectl explain
 * networkpolicy.spec, clusternetworkpolicy.spec): nothing is prepared, nothing shared with the code that is tested.
 */

export type OracleSelector = {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
};
export type OraclePeer = {
  podSelector?: OracleSelector;
  namespaceSelector?: OracleSelector;
  ipBlock?: { cidr: string; except?: string[] };
};
export type OraclePort = { protocol?: string; port?: number | string; endPort?: number };
export type OraclePolicy = {
  metadata: { namespace: string; name: string };
  spec: {
    podSelector: OracleSelector;
    policyTypes?: string[];
    ingress?: { from?: OraclePeer[]; ports?: OraclePort[] }[];
    egress?: { to?: OraclePeer[]; ports?: OraclePort[] }[];
  };
};
export type OraclePod = {
  namespace: string;
  name: string;
  labels: Record<string, string>;
  ips: string[];
  hostNetwork: boolean;
  /** The name of the one it runs on. */
  node: string;
  finished: boolean;
  ports: { name: string; port: number; protocol: string }[];
};
export type OraclePods = { podSelector: OracleSelector; namespaceSelector?: OracleSelector };
export type OracleTierPeer = {
  namespaces?: OracleSelector;
  pods?: OraclePods;
  nodes?: OracleSelector;
  networks?: string[];
};
type OracleDestination = { destinationPort?: { number?: number; range?: { start: number; end: number } } };
export type OracleProtocol = {
  tcp?: OracleDestination;
  udp?: OracleDestination;
  sctp?: OracleDestination;
  destinationNamedPort?: string;
};
export type OracleTierRule = {
  action: 'Accept' | 'Deny' | 'Pass';
  from?: OracleTierPeer[];
  to?: OracleTierPeer[];
  protocols?: OracleProtocol[];
};
export type OracleClusterPolicy = {
  metadata: { name: string };
  spec: {
    tier: 'Admin' | 'Baseline';
    priority: number;
    subject: { namespaces?: OracleSelector; pods?: OraclePods };
    ingress?: OracleTierRule[];
    egress?: OracleTierRule[];
  };
};
export type OracleWorld = {
  pods: OraclePod[];
  namespaces: { name: string; labels: Record<string, string> }[];
  policies: OraclePolicy[];
  clusterPolicies: OracleClusterPolicy[];
  nodes: { name: string; labels: Record<string, string>; ips: string[] }[];
};

/** @param protocol TCP, UDP, SCTP or ICMP. */
export function oracleAllows(
  world: OracleWorld,
  source: string,
  destination: string,
  protocol: string,
  port: number,
): boolean {
  if (source === destination) return true;
  return (
    sideAllows(world, 'egress', source, destination, destination, protocol, port) &&
    sideAllows(world, 'ingress', destination, source, destination, protocol, port)
  );
}

function sideAllows(
  world: OracleWorld,
  direction: 'ingress' | 'egress',
  own: string,
  other: string,
  destination: string,
  protocol: string,
  port: number,
): boolean {
  const pod = podAt(world, own);
  if (pod === undefined) return true;
  // "Traffic to and from the node where a Pod is running is always allowed" is kept for what the node sends alone.
  if (direction === 'ingress' && world.nodes.find(({ name }) => name === pod.node)?.ips.includes(other))
    return true;
  const tier = (name: 'Admin' | 'Baseline') =>
    tierDecides(world, name, direction, pod, other, destination, protocol, port);
  const admin = tier('Admin');
  if (admin !== undefined) return admin;
  const isolating = world.policies.filter(
    (policy) =>
      policy.metadata.namespace === pod.namespace &&
      selects(policy.spec.podSelector, pod.labels) &&
      typesOf(policy).includes(direction),
  );
  if (isolating.length === 0) return tier('Baseline') ?? true;
  return isolating.some((policy) =>
    (policy.spec[direction] ?? []).some((rule) => {
      const peers =
        direction === 'ingress' ? (rule as { from?: OraclePeer[] }).from : (rule as { to?: OraclePeer[] }).to;
      return (
        peersMatch(world, peers ?? [], other, policy.metadata.namespace) &&
        portsMatch(world, rule.ports ?? [], destination, protocol, port)
      );
    }),
  );
}

/** @returns undefined where the tier leaves it to the next one. */
function tierDecides(
  world: OracleWorld,
  tier: 'Admin' | 'Baseline',
  direction: 'ingress' | 'egress',
  own: OraclePod,
  other: string,
  destination: string,
  protocol: string,
  port: number,
): boolean | undefined {
  const selecting = world.clusterPolicies
    .filter(({ spec }) => {
      if (spec.tier !== tier) return false;
      if (spec.subject.namespaces !== undefined)
        return selects(spec.subject.namespaces, namespaceLabels(world, own));
      return podsMatch(world, spec.subject.pods!, own);
    })
    .sort((a, b) => a.spec.priority - b.spec.priority);
  for (const { spec } of selecting) {
    for (const rule of spec[direction] ?? []) {
      const peers = (direction === 'ingress' ? rule.from : rule.to) ?? [];
      if (!peers.some((peer) => tierPeerMatches(world, peer, other))) continue;
      if (!protocolsMatch(world, rule.protocols, destination, protocol, port)) continue;
      if (rule.action === 'Accept') return true;
      if (rule.action === 'Deny') return false;
      return undefined;
    }
  }
  return undefined;
}

function tierPeerMatches(world: OracleWorld, peer: OracleTierPeer, ip: string): boolean {
  if (peer.networks !== undefined) return peer.networks.some((network) => within(ip, network));
  if (peer.nodes !== undefined)
    return world.nodes.some(({ labels, ips }) => selects(peer.nodes!, labels) && ips.includes(ip));
  const pod = podAt(world, ip);
  if (pod === undefined) return false;
  if (peer.namespaces !== undefined) return selects(peer.namespaces, namespaceLabels(world, pod));
  return podsMatch(world, peer.pods!, pod);
}

function podsMatch(
  world: OracleWorld,
  { podSelector, namespaceSelector }: OraclePods,
  pod: OraclePod,
): boolean {
  if (namespaceSelector !== undefined && !selects(namespaceSelector, namespaceLabels(world, pod)))
    return false;
  return selects(podSelector, pod.labels);
}

function namespaceLabels({ namespaces }: OracleWorld, pod: OraclePod): Record<string, string> {
  return namespaces.find(({ name }) => name === pod.namespace)?.labels ?? {};
}

function protocolsMatch(
  world: OracleWorld,
  protocols: OracleProtocol[] | undefined,
  destination: string,
  protocol: string,
  port: number,
): boolean {
  if (protocols === undefined) return true;
  return protocols.some((wanted) => {
    if (wanted.destinationNamedPort !== undefined)
      return (podAt(world, destination)?.ports ?? []).some(
        (named) =>
          named.name === wanted.destinationNamedPort && named.protocol === protocol && named.port === port,
      );
    const detail = { TCP: wanted.tcp, UDP: wanted.udp, SCTP: wanted.sctp }[protocol];
    if (detail === undefined) return false;
    const { number, range } = detail.destinationPort ?? {};
    if (number !== undefined) return number === port;
    return range === undefined || (port >= range.start && port <= range.end);
  });
}

function typesOf({ spec }: OraclePolicy): string[] {
  if (spec.policyTypes !== undefined && spec.policyTypes.length > 0)
    return spec.policyTypes.map((type) => type.toLowerCase());
  return spec.egress !== undefined && spec.egress.length > 0 ? ['ingress', 'egress'] : ['ingress'];
}

/** Pods that have an address of their own now. */
function podAt({ pods }: OracleWorld, ip: string): OraclePod | undefined {
  return pods.find((pod) => !pod.hostNetwork && !pod.finished && pod.ips.includes(ip));
}

function peersMatch(world: OracleWorld, peers: OraclePeer[], ip: string, namespace: string): boolean {
  if (peers.length === 0) return true;
  return peers.some((peer) => {
    if (peer.ipBlock !== undefined)
      return within(ip, peer.ipBlock.cidr) && !(peer.ipBlock.except ?? []).some((range) => within(ip, range));
    const pod = podAt(world, ip);
    if (pod === undefined) return false;
    const labels = world.namespaces.find(({ name }) => name === pod.namespace)?.labels ?? {};
    const inNamespace =
      peer.namespaceSelector === undefined
        ? pod.namespace === namespace
        : selects(peer.namespaceSelector, labels);
    return inNamespace && (peer.podSelector === undefined || selects(peer.podSelector, pod.labels));
  });
}

function portsMatch(
  world: OracleWorld,
  ports: OraclePort[],
  destination: string,
  protocol: string,
  port: number,
): boolean {
  if (ports.length === 0) return true;
  return ports.some((wanted) => {
    if ((wanted.protocol ?? 'TCP') !== protocol) return false;
    if (wanted.port === undefined) return true;
    if (typeof wanted.port === 'string')
      return (podAt(world, destination)?.ports ?? []).some(
        (named) => named.name === wanted.port && named.protocol === protocol && named.port === port,
      );
    return port >= wanted.port && port <= (wanted.endPort ?? wanted.port);
  });
}

function selects(selector: OracleSelector, labels: Record<string, string>): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {}))
    if (labels[key] !== value) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const has = key in labels;
    if (operator === 'In' && !(has && values.includes(labels[key]!))) return false;
    if (operator === 'NotIn' && has && values.includes(labels[key]!)) return false;
    if (operator === 'Exists' && !has) return false;
    if (operator === 'DoesNotExist' && has) return false;
  }
  return true;
}

function within(ip: string, cidr: string): boolean {
  const [network = '', length = ''] = cidr.split('/');
  if (ip.includes(':') !== network.includes(':')) return false;
  return bitsOf(ip).startsWith(bitsOf(network).slice(0, Number(length)));
}

function bitsOf(ip: string): string {
  if (!ip.includes(':'))
    return ip
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  const [head = '', tail = ''] = ip.split('::');
  const left = head.split(':').filter(Boolean);
  const right = tail.split(':').filter(Boolean);
  const groups = ip.includes('::')
    ? [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
    : left;
  return groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('');
}
