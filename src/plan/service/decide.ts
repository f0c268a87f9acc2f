/** What becomes of the first packet of a connection that may be one to a service, without the kernel. */
import { cidrContains } from '../../base/ip/cidr.ts';
import { type Ip, ipFamily } from '../../base/ip/ip.ts';
import { claimKey } from './name.ts';
import type { ServiceProtocol } from './objects.ts';
import type { Endpoint, Frontend, ListName, PlannedPort, ServiceTable } from './table.ts';

export type ServiceFlow = {
  source: Ip;
  destination: Ip;
  protocol: ServiceProtocol;
  port: number;
  /** A pod is what came out of one of this node's links to pods; all else that arrives is from outside. */
  from: 'pod' | 'node' | 'outside';
};

export type ServiceDecision =
  | { service: false }
  /** `name` is absent where no service has the port. */
  | { service: true; refused: 'reject' | 'drop'; why: string; name?: string; frontend?: Frontend }
  | {
      service: true;
      name: string;
      port: PlannedPort;
      frontend: Frontend;
      list: ListName;
      /** Each of them equally likely, unless the client has one already. */
      choices: readonly Choice[];
    };

/** @property masqueraded whether the endpoint sees the node in the client's place, and why. */
export type Choice = { endpoint: Endpoint; masqueraded?: 'policy' | 'hairpin' };

export type Decide = (flow: ServiceFlow) => ServiceDecision;

export function decideService(table: ServiceTable, flow: ServiceFlow): ServiceDecision {
  return createDecider(table)(flow);
}

/** For many questions about one table. */
export function createDecider(table: ServiceTable): Decide {
  const byKey = new Map<string, { name: string; port: PlannedPort; frontend: Frontend }>();
  const clusterIps = new Map<Ip, string>();
  for (const { name, ports, clusterIps: own } of table.services) {
    for (const ip of own) clusterIps.set(ip, name);
    for (const port of ports)
      for (const frontend of port.frontends)
        byKey.set(keyOf(port, frontend.ip ?? '', frontend.port), { name, port, frontend });
  }
  return (flow) => {
    const { destination, protocol, port } = flow;
    const family = ipFamily(destination);
    const found =
      byKey.get(keyOf({ family, protocol }, destination, port)) ??
      (table.nodePortIps.includes(destination)
        ? byKey.get(keyOf({ family, protocol }, '', port))
        : undefined);
    if (found !== undefined) return lead(found, flow);
    const owner = clusterIps.get(destination);
    if (owner !== undefined)
      return { service: true, refused: 'reject', why: `service ${owner} has no port ${port}/${protocol}` };
    const range = table.serviceRanges.find((candidate) => cidrContains(candidate, destination));
    if (range === undefined) return { service: false };
    return { service: true, refused: 'drop', why: `no service has this address of the range ${range}` };
  };
}

function keyOf({ family, protocol }: Pick<PlannedPort, 'family' | 'protocol'>, ip: Ip | '', port: number) {
  return `${family} ${claimKey(ip === '' ? undefined : ip, protocol, port)}`;
}

function lead(
  { name, port, frontend }: { name: string; port: PlannedPort; frontend: Frontend },
  { source, from }: ServiceFlow,
): ServiceDecision {
  const { sourceRanges } = frontend;
  if (sourceRanges !== undefined && !sourceRanges.some((range) => cidrContains(range, source)))
    return {
      service: true,
      refused: 'drop',
      why: `spec.loadBalancerSourceRanges of service ${name} does not let ${source} in`,
      name,
      frontend,
    };
  const way = from === 'outside' ? frontend.outside : frontend.inside;
  if ('refused' in way) return { service: true, refused: way.refused, why: way.why, name, frontend };
  const byPolicy =
    frontend.masquerade === 'all' ||
    (frontend.masquerade === 'nonPods' && from !== 'pod') ||
    (frontend.masquerade === 'node' && from === 'node');
  const choices = port.lists[way.list].map((endpoint): Choice => {
    if (byPolicy) return { endpoint, masqueraded: 'policy' };
    return endpoint.ip === source ? { endpoint, masqueraded: 'hairpin' } : { endpoint };
  });
  return { service: true, name, port, frontend, list: way.list, choices };
}
