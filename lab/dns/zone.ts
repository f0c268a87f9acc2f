/** All names of a cluster and what they lead to. Source: Kubernetes DNS-based service discovery, version 1.1.0. */
import { type Ip, ipFamily, ipToBytes } from '../../src/base/ip/ip.ts';
import type { DnsPort, DnsService, DnsSlice } from './objects.ts';

export const DOMAIN = 'cluster.local';
const VERSION = '1.1.0';

export type DnsRecord =
  | { name: string; type: 'A' | 'AAAA' | 'CNAME' | 'PTR' | 'TXT'; data: string }
  | { name: string; type: 'SRV'; data: { priority: number; weight: number; port: number; target: string } };

/** By name in lower case. A name without records is one that others lie below. */
export type Zone = ReadonlyMap<string, readonly DnsRecord[]>;

export function makeZone(services: Iterable<DnsService>, slices: Iterable<DnsSlice>): Zone {
  const records = new Map<string, Map<string, DnsRecord>>();
  const add = (record: DnsRecord) => {
    const known = records.get(record.name) ?? new Map<string, DnsRecord>();
    records.set(record.name, known.set(`${record.type} ${JSON.stringify(record.data)}`, record));
  };
  const byService = Map.groupBy(slices, ({ namespace, service }) => `${namespace}/${service}`);
  add({ name: `dns-version.${DOMAIN}`, type: 'TXT', data: VERSION });
  for (const service of services) {
    const own = byService.get(`${service.namespace}/${service.name}`) ?? [];
    for (const record of recordsOf(service, own)) add(record);
  }
  const zone = new Map([...records].map(([name, found]) => [name, [...found.values()]]));
  for (const name of records.keys())
    for (let above = parentOf(name); above !== '' && !zone.has(above); above = parentOf(above))
      zone.set(above, []);
  return zone;
}

function recordsOf(service: DnsService, slices: readonly DnsSlice[]): DnsRecord[] {
  const name = `${service.name}.${service.namespace}.svc.${DOMAIN}`;
  if (service.externalName !== undefined) return [{ name, type: 'CNAME', data: service.externalName }];
  if (!service.headless)
    return [
      ...service.clusterIPs.flatMap((ip) => [addressOf(name, ip), pointerOf(ip, name)]),
      ...service.ports.map((port) => serviceOf(name, port, name)),
    ];
  return slices.flatMap(({ endpoints, ports }) =>
    endpoints.flatMap(({ ip, hostname }) => {
      const host = `${hostname}.${name}`.toLowerCase();
      return [
        addressOf(name, ip),
        addressOf(host, ip),
        pointerOf(ip, host),
        ...ports.map((port) => serviceOf(name, port, host)),
      ];
    }),
  );
}

function addressOf(name: string, ip: Ip): DnsRecord {
  return { name, type: ipFamily(ip) === 4 ? 'A' : 'AAAA', data: ip };
}

/** A port without a name is told at the service's own. */
function serviceOf(name: string, { name: port, protocol, port: number }: DnsPort, target: string): DnsRecord {
  const owner = port === '' ? name : `_${port}._${protocol}.${name}`;
  return { name: owner, type: 'SRV', data: { priority: 0, weight: 100, port: number, target } };
}

function pointerOf(ip: Ip, data: string): DnsRecord {
  return { name: reverseName(ip), type: 'PTR', data };
}

/** RFC 1035 §3.5, RFC 3596 §2.5. */
export function reverseName(ip: Ip): string {
  const bytes = [...ipToBytes(ip)];
  if (bytes.length === 4) return `${bytes.toReversed().join('.')}.in-addr.arpa`;
  const digits = bytes.flatMap((byte) => [byte >> 4, byte & 15]).map((digit) => digit.toString(16));
  return `${digits.toReversed().join('.')}.ip6.arpa`;
}

function parentOf(name: string): string {
  const dot = name.indexOf('.');
  return dot < 0 ? '' : name.slice(dot + 1);
}
