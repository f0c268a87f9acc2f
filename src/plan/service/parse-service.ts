/** A Service (core/v1) as the API sends it, however old: what is of no use in it is named, the rest is read. */

import { type Fields, fieldAt, fieldsAt, isFields, show } from '../../base/fields/fields.ts';
import { type Cidr, cidrFamily } from '../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import { parseLenientCidr, parseLenientIp } from './lenient.ts';
import { SERVICE_PROTOCOLS, type ServiceObject, type ServicePort, type TrafficPolicy } from './objects.ts';

export type ParsedService = { service: ServiceObject; problems: readonly string[] } | { problem: string };

/** A label by which a service, or a slice, is handed to another proxy. */
export const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name';
export const HEADLESS_LABEL = 'service.kubernetes.io/headless';
/** Of spec.sessionAffinityConfig.clientIP.timeoutSeconds. */
const DEFAULT_AFFINITY = 10_800;
const LONGEST_AFFINITY = 86_400;
const MOST_ITEMS = 1024;
const FAMILIES: Readonly<Record<string, IpFamily>> = { IPv4: 4, IPv6: 6 };

type Problems = string[];

export function parseService(value: unknown): ParsedService {
  if (!isFields(value)) return { problem: `${show(value)} is not an object` };
  const metadata = fieldsAt(value, 'metadata');
  const [namespace, name] = [fieldAt(metadata, 'namespace'), fieldAt(metadata, 'name')];
  if (!isName(namespace)) return { problem: `metadata.namespace: ${show(namespace)} is not a name` };
  if (!isName(name)) return { problem: `metadata.name: ${show(name)} is not a name` };
  const problems: Problems = [];
  const spec = fieldsAt(value, 'spec');
  const type = fieldAt(spec, 'type') ?? 'ClusterIP';
  const ports = readPorts(spec, type === 'NodePort' || type === 'LoadBalancer', problems);
  const balanced = type === 'LoadBalancer';
  const loadBalancerIPs = balanced ? readIngress(value, problems) : [];
  const externalIPs = addresses(spec, 'externalIPs', 'spec.externalIPs', problems);
  const external = balanced || type === 'NodePort' || externalIPs.length > 0;
  const externalTrafficPolicy = external ? readPolicy(spec, 'externalTrafficPolicy', problems) : 'Cluster';
  const created = fieldAt(metadata, 'creationTimestamp');
  return {
    service: {
      namespace,
      name,
      created: typeof created === 'string' ? created.slice(0, 40) : '',
      ...notServed(metadata, spec, type),
      ports,
      clusterIPs: readClusterIPs(spec, problems),
      externalIPs,
      loadBalancerIPs,
      ...(balanced ? readSourceRanges(spec, problems) : {}),
      internalTrafficPolicy: readPolicy(spec, 'internalTrafficPolicy', problems),
      externalTrafficPolicy,
      ...readAffinity(spec, problems),
      ...(balanced && externalTrafficPolicy === 'Local' ? readHealthPort(spec, problems) : {}),
    },
    problems,
  };
}

function notServed(metadata: Fields, spec: Fields, type: unknown): Pick<ServiceObject, 'notServed'> {
  const labels = fieldsAt(metadata, 'labels');
  if (Object.hasOwn(labels, PROXY_NAME_LABEL))
    return { notServed: `its label ${PROXY_NAME_LABEL} hands it to ${show(labels[PROXY_NAME_LABEL])}` };
  if (Object.hasOwn(labels, HEADLESS_LABEL)) return { notServed: `its label ${HEADLESS_LABEL} says so` };
  if (type === 'ExternalName') return { notServed: 'it is of type ExternalName, a name alone' };
  const address = fieldAt(spec, 'clusterIP') ?? '';
  if (address === 'None') return { notServed: 'it is headless: its name leads to its pods' };
  return address === '' ? { notServed: 'it has no address yet' } : {};
}

function readPorts(spec: Fields, withNodePorts: boolean, problems: Problems): ServicePort[] {
  return listOf(spec, 'ports', 'spec.ports', problems).flatMap((item): ServicePort[] => {
    const fields = isFields(item) ? item : {};
    const [name, number] = [fieldAt(fields, 'name') ?? '', fieldAt(fields, 'port')];
    const protocol = protocolOf(fields);
    if (protocol === undefined || !isPort(number) || typeof name !== 'string' || name.length > 63) {
      problems.push(`spec.ports: ${show(item)} is not a port; it is left out until it is mended`);
      return [];
    }
    const nodePort = withNodePorts ? (fieldAt(fields, 'nodePort') ?? 0) : 0;
    if (isPort(nodePort)) return [{ name, protocol, port: number, nodePort }];
    if (nodePort !== 0) problems.push(`spec.ports: nodePort ${show(nodePort)} is not a port`);
    return [{ name, protocol, port: number }];
  });
}

/** The address of a family is the one at its place in `ipFamilies`, and without those the only one. */
function readClusterIPs(spec: Fields, problems: Problems): Ip[] {
  const single = fieldAt(spec, 'clusterIP');
  const listed = listOf(spec, 'clusterIPs', 'spec.clusterIPs', problems);
  const families = listOf(spec, 'ipFamilies', 'spec.ipFamilies', problems).map(
    (family) => FAMILIES[String(family)],
  );
  const values = listed.length > 0 && families.length > 0 ? listed.slice(0, families.length) : [single];
  const found = new Map<IpFamily, Ip>();
  for (const [index, item] of values.entries()) {
    if (item === undefined || item === '' || item === 'None') continue;
    const ip = parseLenientIp(item);
    const family = ip === undefined ? undefined : ipFamily(ip);
    if (ip === undefined || family === undefined)
      problems.push(`spec.clusterIPs: ${show(item)} is not an IP address; it is not served`);
    else if (families.length > 0 && families[index] !== family)
      problems.push(`spec.clusterIPs: ${ip} is not of the family in spec.ipFamilies; it is not served`);
    else if (!found.has(family)) found.set(family, ip);
  }
  return [...found.values()];
}

function readIngress(value: Fields, problems: Problems): Ip[] {
  const balancer = fieldsAt(fieldsAt(value, 'status'), 'loadBalancer');
  return listOf(balancer, 'ingress', 'status.loadBalancer.ingress', problems).flatMap((item): Ip[] => {
    const fields = isFields(item) ? item : {};
    const text = fieldAt(fields, 'ip') ?? '';
    // With `Proxy` the balancer sends to the node's own addresses, and pods shall go through it.
    if (text === '' || (fieldAt(fields, 'ipMode') ?? 'VIP') === 'Proxy') return [];
    const ip = parseLenientIp(text);
    if (ip !== undefined) return [ip];
    problems.push(`status.loadBalancer.ingress: ${show(text)} is not an IP address; it is not served`);
    return [];
  });
}

/** A list of which nothing can be read closes, rather than opens. */
function readSourceRanges(spec: Fields, problems: Problems): Pick<ServiceObject, 'sourceRanges'> {
  const listed = listOf(spec, 'loadBalancerSourceRanges', 'spec.loadBalancerSourceRanges', problems);
  if (listed.length === 0) return {};
  const ranges = listed.flatMap((item): Cidr[] => {
    const range = parseLenientCidr(item);
    if (range !== undefined) return [range];
    problems.push(`spec.loadBalancerSourceRanges: ${show(item)} is not an IP range; it lets no source in`);
    return [];
  });
  // One /0 of a family is as good as no list for that family.
  const open = new Set(ranges.filter((range) => range.endsWith('/0')).map(cidrFamily));
  const left = ranges.filter((range) => !open.has(cidrFamily(range)));
  return left.length === 0 && open.size > 0 ? {} : { sourceRanges: left };
}

function readAffinity(spec: Fields, problems: Problems): Pick<ServiceObject, 'affinitySeconds'> {
  if (fieldAt(spec, 'sessionAffinity') !== 'ClientIP') return {};
  const client = fieldsAt(fieldsAt(spec, 'sessionAffinityConfig'), 'clientIP');
  const seconds = fieldAt(client, 'timeoutSeconds') ?? DEFAULT_AFFINITY;
  if (typeof seconds === 'number' && Number.isInteger(seconds) && seconds > 0 && seconds <= LONGEST_AFFINITY)
    return { affinitySeconds: seconds };
  problems.push(
    `spec.sessionAffinityConfig.clientIP.timeoutSeconds: ${show(seconds)} is not a time from 1 to ${LONGEST_AFFINITY} s; ${DEFAULT_AFFINITY} s count`,
  );
  return { affinitySeconds: DEFAULT_AFFINITY };
}

function readHealthPort(spec: Fields, problems: Problems): Pick<ServiceObject, 'healthCheckNodePort'> {
  const port = fieldAt(spec, 'healthCheckNodePort') ?? 0;
  if (isPort(port)) return { healthCheckNodePort: port };
  if (port !== 0) problems.push(`spec.healthCheckNodePort: ${show(port)} is not a port`);
  return {};
}

function readPolicy(spec: Fields, field: string, problems: Problems): TrafficPolicy {
  const policy = fieldAt(spec, field) ?? 'Cluster';
  if (policy === 'Cluster' || policy === 'Local') return policy;
  problems.push(`spec.${field}: ${show(policy)} is neither Cluster nor Local; Cluster counts`);
  return 'Cluster';
}

function addresses(fields: Fields, name: string, field: string, problems: Problems): Ip[] {
  return listOf(fields, name, field, problems).flatMap((item): Ip[] => {
    const ip = parseLenientIp(item);
    if (ip !== undefined) return [ip];
    problems.push(`${field}: ${show(item)} is not an IP address; it is not served`);
    return [];
  });
}

/** The items of a list; a field of another type is named and has none. */
export function listOf(fields: Fields, name: string, field: string, problems: Problems, most = MOST_ITEMS) {
  const list = fieldAt(fields, name) ?? [];
  if (!Array.isArray(list)) {
    problems.push(`${field}: ${show(list)} is not a list; it counts as empty`);
    return [];
  }
  if (list.length > most) problems.push(`${field}: has ${list.length} items, of which ${most} count`);
  return list.slice(0, most) as readonly unknown[];
}

export function protocolOf(fields: Fields): ServicePort['protocol'] | undefined {
  const protocol = fieldAt(fields, 'protocol') ?? 'TCP';
  return SERVICE_PROTOCOLS.find((known) => known === protocol);
}

export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;
}

export function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(value);
}
