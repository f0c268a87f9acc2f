/** Who has an address where two want it: the older service, and before any service the pod or node that has it. */
import type { Ip } from '../../base/ip/ip.ts';
import type { Slices } from '../../base/run/slices.ts';
import { claimKey, nameOf } from './name.ts';
import type { ServiceObject } from './objects.ts';
import type { ServiceProblem } from './table.ts';
import { isUnreachable, type Taken } from './taken.ts';

export type Claims = {
  /** By service, what it may not have: addresses, and keys of {@link claimKey}, with commas between them. */
  denied: ReadonlyMap<string, string>;
  /** Cluster addresses, and whose they are. */
  serviceIps: ReadonlyMap<Ip, string>;
  problems: readonly ServiceProblem[];
};

/** Services of one step. */
const STEP = 256;

export function* settleClaims(services: readonly ServiceObject[], taken: Taken): Slices<Claims> {
  let count = 0;
  const denied = new Map<string, string>();
  const serviceIps = new Map<Ip, string>();
  const owners = new Map<string, string>();
  const problems: ServiceProblem[] = [];
  const deny = (service: string, key: string, problem: string) => {
    const before = denied.get(service);
    denied.set(service, before === undefined ? key : `${before},${key}`);
    problems.push({ service, problem });
  };
  for (const service of byAge(services.filter(({ notServed }) => notServed === undefined))) {
    if (++count % STEP === 0) yield;
    const name = nameOf(service);
    for (const ip of service.clusterIPs) {
      const owner = ownerOf(ip, taken, serviceIps.get(ip));
      if (owner === undefined) serviceIps.set(ip, name);
      else deny(name, ip, `its address ${ip} is ${owner}; it is not served there`);
    }
    for (const ip of [...service.externalIPs, ...service.loadBalancerIPs]) {
      const owner = taken.podIps.has(ip)
        ? 'a pod’s'
        : isUnreachable(ip)
          ? 'no address of one host'
          : undefined;
      if (owner !== undefined)
        deny(name, ip, `the address ${ip} that it claims is ${owner}; it is not served there`);
    }
    const refused = new Set(denied.get(name)?.split(','));
    for (const key of keysOf(service, refused)) {
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, name);
      else if (owner !== name)
        deny(name, key, `${describeKey(key)} is service ${owner}’s already; it is not served there`);
    }
  }
  return { denied, serviceIps, problems };
}

function ownerOf(ip: Ip, { podIps, nodeIps }: Taken, service: string | undefined): string | undefined {
  if (podIps.has(ip)) return 'a pod’s';
  if (nodeIps.has(ip)) return 'a node’s';
  if (isUnreachable(ip)) return 'no address of one host';
  return service === undefined ? undefined : `service ${service}’s already`;
}

/** Addresses that it may not have are not asked for again with each of its ports. */
function* keysOf(
  { ports, clusterIPs, externalIPs, loadBalancerIPs }: ServiceObject,
  refused: ReadonlySet<string>,
): Generator<string> {
  const ips = new Set([...clusterIPs, ...externalIPs, ...loadBalancerIPs].filter((ip) => !refused.has(ip)));
  for (const { protocol, port, nodePort } of ports) {
    for (const ip of ips) yield claimKey(ip, protocol, port);
    if (nodePort !== undefined) yield claimKey(undefined, protocol, nodePort);
  }
}

function describeKey(key: string): string {
  const [ip = '', protocol = '', port = ''] = key.split(' ');
  return ip === '' ? `node port ${port}/${protocol}` : `${ip} port ${port}/${protocol}`;
}

/** Equal ages are told apart by name: the same on all nodes. */
function byAge(services: readonly ServiceObject[]): ServiceObject[] {
  return services.toSorted(
    (a, b) => order(a.created, b.created) || order(a.namespace, b.namespace) || order(a.name, b.name),
  );
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
