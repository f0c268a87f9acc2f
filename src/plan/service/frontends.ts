/** The addresses by which a port of a service is reached, and where each leads. */
import { cidrContains, cidrFamily, hostCidr } from '../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import type { ServiceObject, ServicePort } from './objects.ts';
import type { Frontend, ListName, Way } from './table.ts';

/** @property way to a list: refused where it is empty. */
export type FrontendContext = {
  nodeIps: readonly Ip[];
  masqueradeAll: boolean;
  way: (list: ListName) => Way;
};

export function isExternal(
  { externalIPs, loadBalancerIPs }: ServiceObject,
  family: IpFamily,
  port: ServicePort,
) {
  const ofFamily = (ip: Ip) => ipFamily(ip) === family;
  return port.nodePort !== undefined || externalIPs.some(ofFamily) || loadBalancerIPs.some(ofFamily);
}

/** Pods of this node and the node itself are led by policy Local to the whole list: they are inside of the cluster. */
export function frontendsOf(
  service: ServiceObject,
  family: IpFamily,
  { port, nodePort }: ServicePort,
  { nodeIps, masqueradeAll, way }: FrontendContext,
): Frontend[] {
  const ofFamily = (ip: Ip) => ipFamily(ip) === family;
  const internal = way(service.internalTrafficPolicy === 'Local' ? 'local' : 'cluster');
  const clusterIPs = service.clusterIPs.filter(ofFamily).map(
    (ip): Frontend => ({
      kind: 'clusterIP',
      ip,
      port,
      inside: internal,
      outside: internal,
      masquerade: masqueradeAll ? 'all' : 'nonPods',
    }),
  );
  const local = service.externalTrafficPolicy === 'Local';
  const external = (): Omit<Frontend, 'kind' | 'port'> => ({
    inside: way('cluster'),
    outside: way(local ? 'local' : 'cluster'),
    masquerade: local ? 'node' : 'all',
  });
  const ranges = service.sourceRanges?.filter((range) => cidrFamily(range) === family);
  // Ranges of the other family alone leave this one open; a list of which nothing was read closes both.
  const closed = ranges !== undefined && (ranges.length > 0 || service.sourceRanges?.length === 0);
  // A node whose device has the balancer's address sends from it: what lets the node in lets that in.
  const within = ranges?.some((range) => nodeIps.some((ip) => cidrContains(range, ip))) ?? false;
  return [
    ...clusterIPs,
    ...[...new Set(service.externalIPs.filter(ofFamily))].map(
      (ip): Frontend => ({ kind: 'externalIP', ip, port, ...external() }),
    ),
    ...[...new Set(service.loadBalancerIPs.filter(ofFamily))]
      .filter((ip) => !service.externalIPs.includes(ip))
      .map(
        (ip): Frontend => ({
          kind: 'loadBalancer',
          ip,
          port,
          ...external(),
          ...(closed ? { sourceRanges: within ? [...ranges, hostCidr(ip)] : ranges } : {}),
        }),
      ),
    ...(nodePort === undefined ? [] : [{ kind: 'nodePort', port: nodePort, ...external() } as const]),
  ];
}
