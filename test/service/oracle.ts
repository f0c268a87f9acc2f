/**
 * What becomes of a connection to a service, as naively as the documentation can be read (kubectl explain service.spec,
 * endpointslice; the reference "Virtual IPs and Service Proxies"): straight from the objects, nothing is prepared,
 * nothing shared with the code that is tested.
 */

export type RawService = {
  metadata: { namespace: string; name: string; labels?: Record<string, string>; creationTimestamp?: string };
  spec: {
    type?: string;
    clusterIP?: string;
    clusterIPs?: string[];
    ipFamilies?: string[];
    externalIPs?: string[];
    ports: { name?: string; protocol?: string; port: number; nodePort?: number }[];
    internalTrafficPolicy?: string;
    externalTrafficPolicy?: string;
    loadBalancerSourceRanges?: string[];
    sessionAffinity?: string;
    sessionAffinityConfig?: { clientIP: { timeoutSeconds: number } };
    healthCheckNodePort?: number;
  };
  status?: { loadBalancer: { ingress?: { ip?: string; hostname?: string; ipMode?: string }[] } };
};
export type RawEndpoint = {
  addresses: string[];
  conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
  nodeName?: string;
  hints?: { forZones?: { name: string }[]; forNodes?: { name: string }[] };
};
export type RawSlice = {
  metadata: { namespace: string; name: string; labels?: Record<string, string> };
  addressType: string;
  ports: { name?: string; protocol?: string; port?: number }[];
  endpoints: RawEndpoint[];
};
export type OracleWorld = {
  services: RawService[];
  slices: RawSlice[];
  node: { name: string; zone?: string; ips: string[] };
  serviceRanges: string[];
};
export type OracleFlow = {
  source: string;
  destination: string;
  protocol: string;
  port: number;
  from: 'pod' | 'node' | 'outside';
};
/** @property endpoints `ip port` → whether they see the client, or the node in its place. */
export type OracleFate = 'not a service' | 'reject' | 'drop' | { endpoints: Map<string, 'client' | 'node'> };

const PROXY = 'service.kubernetes.io/service-proxy-name';
const HEADLESS = 'service.kubernetes.io/headless';
type Port = RawService['spec']['ports'][number];
type Found = RawEndpoint & { port: number };

export function oracle(world: OracleWorld, flow: OracleFlow): OracleFate {
  const served = world.services.filter((service) => isServed(service, flow.destination));
  for (const service of served)
    for (const port of service.spec.ports)
      if ((port.protocol ?? 'TCP') === flow.protocol && port.port === flow.port) {
        const fate = atAddress(world, service, port, flow);
        if (fate !== undefined) return fate;
      }
  if (world.node.ips.includes(flow.destination))
    for (const service of served)
      for (const port of service.spec.ports)
        if (
          (port.protocol ?? 'TCP') === flow.protocol &&
          port.nodePort === flow.port &&
          ['NodePort', 'LoadBalancer'].includes(service.spec.type ?? '')
        )
          return external(world, service, port, flow);
  if (served.some((service) => clusterIpOf(service, flow.destination) === flow.destination)) return 'reject';
  return world.serviceRanges.some((range) => inRange(range, flow.destination)) ? 'drop' : 'not a service';
}

function isServed(service: RawService, destination: string): boolean {
  const labels = service.metadata.labels ?? {};
  if (PROXY in labels || HEADLESS in labels || service.spec.type === 'ExternalName') return false;
  return clusterIpOf(service, destination) !== undefined;
}

/** Its cluster address of the family of that other one. */
function clusterIpOf({ spec }: RawService, like: string): string | undefined {
  const ips = spec.clusterIPs ?? [spec.clusterIP ?? ''];
  return ips.find((ip) => ip !== '' && ip !== 'None' && isV6(ip) === isV6(like));
}

function atAddress(world: OracleWorld, service: RawService, port: Port, flow: OracleFlow) {
  const { spec, status } = service;
  if (clusterIpOf(service, flow.destination) === flow.destination)
    return internal(world, service, port, flow);
  if (spec.externalIPs?.includes(flow.destination)) return external(world, service, port, flow);
  const ingress = spec.type === 'LoadBalancer' ? (status?.loadBalancer.ingress ?? []) : [];
  if (!ingress.some(({ ip, ipMode }) => ip === flow.destination && ipMode !== 'Proxy')) return undefined;
  const ranges = (spec.loadBalancerSourceRanges ?? []).filter(
    (range) => isV6(range) === isV6(flow.destination),
  );
  const allowed =
    ranges.length === 0 ||
    ranges.some((range) => inRange(range, flow.source)) ||
    (flow.source === flow.destination &&
      ranges.some((range) => world.node.ips.some((ip) => inRange(range, ip))));
  return allowed ? external(world, service, port, flow) : 'drop';
}

function internal(world: OracleWorld, service: RawService, port: Port, flow: OracleFlow): OracleFate {
  const all = endpointsOf(world, service, port, flow);
  const local = service.spec.internalTrafficPolicy === 'Local';
  if (!isUsable(all)) return 'reject';
  const chosen = local ? localOnes(world, all) : clusterOnes(world, all);
  return chosen.length === 0 ? 'drop' : to(chosen, flow, flow.from !== 'pod');
}

function external(world: OracleWorld, service: RawService, port: Port, flow: OracleFlow): OracleFate {
  const all = endpointsOf(world, service, port, flow);
  if (!isUsable(all)) return 'reject';
  if (service.spec.externalTrafficPolicy !== 'Local') return to(clusterOnes(world, all), flow, true);
  if (flow.from !== 'outside') return to(clusterOnes(world, all), flow, flow.from === 'node');
  const chosen = localOnes(world, all);
  return chosen.length === 0 ? 'drop' : to(chosen, flow, false);
}

function to(chosen: Found[], { source }: OracleFlow, masqueraded: boolean): OracleFate {
  return {
    endpoints: new Map(
      chosen.map(({ addresses: [ip = ''], port }) => [
        `${ip} ${port}`,
        masqueraded || ip === source ? 'node' : 'client',
      ]),
    ),
  };
}

function endpointsOf(world: OracleWorld, service: RawService, port: Port, flow: OracleFlow): Found[] {
  const found = new Map<string, Found>();
  for (const slice of world.slices) {
    const labels = slice.metadata.labels ?? {};
    if (slice.metadata.namespace !== service.metadata.namespace || PROXY in labels) continue;
    if (labels['kubernetes.io/service-name'] !== service.metadata.name) continue;
    if (slice.addressType !== (isV6(flow.destination) ? 'IPv6' : 'IPv4')) continue;
    for (const each of slice.ports) {
      if ((each.name ?? '') !== (port.name ?? '') || (each.protocol ?? 'TCP') !== flow.protocol) continue;
      for (const endpoint of slice.endpoints) {
        const key = `${endpoint.addresses[0]} ${each.port}`;
        const before = found.get(key);
        const better = before === undefined || better2(world, endpoint, before);
        if (better && each.port !== undefined) found.set(key, { ...endpoint, port: each.port });
      }
    }
  }
  return [...found.values()];
}

/** Of two entries with the same address: local before remote, then by use. */
function better2(world: OracleWorld, a: RawEndpoint, b: RawEndpoint): boolean {
  const here = (endpoint: RawEndpoint) => endpoint.nodeName === world.node.name;
  if (here(a) !== here(b)) return here(a);
  const use = (endpoint: RawEndpoint) => (isReady(endpoint) ? 2 : isEnding(endpoint) ? 1 : 0);
  return use(a) > use(b);
}

function clusterOnes({ node }: OracleWorld, all: Found[]): Found[] {
  const ready = all.filter(isReady);
  if (ready.length === 0) return all.filter(isEnding);
  const nodes = ready.map(({ hints }) => (hints?.forNodes ?? []).map(({ name }) => name));
  if (nodes.every((names) => names.length > 0) && nodes.some((names) => names.includes(node.name)))
    return ready.filter((_, index) => nodes[index]!.includes(node.name));
  const zones = ready.map(({ hints }) => (hints?.forZones ?? []).map(({ name }) => name));
  if (zones.every((names) => names.length > 0) && zones.some((names) => names.includes(node.zone ?? ' ')))
    return ready.filter((_, index) => zones[index]!.includes(node.zone ?? ' '));
  return ready;
}

function localOnes({ node }: OracleWorld, all: Found[]): Found[] {
  const here = all.filter(({ nodeName }) => nodeName === node.name);
  return here.some(isReady) ? here.filter(isReady) : here.filter(isEnding);
}

function isUsable(all: Found[]): boolean {
  return all.some((endpoint) => isReady(endpoint) || isEnding(endpoint));
}

function isReady({ conditions }: RawEndpoint): boolean {
  return conditions?.ready ?? true;
}

function isEnding({ conditions }: RawEndpoint): boolean {
  return (conditions?.serving ?? true) && (conditions?.terminating ?? false);
}

function isV6(text: string): boolean {
  return text.includes(':');
}

/** By the bits, written out. */
function inRange(range: string, ip: string): boolean {
  const [network = '', length = '0'] = range.split('/');
  if (isV6(network) !== isV6(ip)) return false;
  return bits(network).slice(0, Number(length)) === bits(ip).slice(0, Number(length));
}

function bits(ip: string): string {
  if (!isV6(ip))
    return ip
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  const [head = '', tail = ''] = ip.split('::');
  const [first, last] = [head.split(':').filter(Boolean), tail.split(':').filter(Boolean)];
  const groups = [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last];
  return groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('');
}
