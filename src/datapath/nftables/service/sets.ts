/** The sets and maps of the table: as many for ten services as for ten thousand. */
import type { IpFamily } from '../../../base/ip/ip.ts';
import type { NftType } from '../../../edge/nftables/objects.ts';
import { IP_WORDS, type ServiceSet, type ServiceTableOptions } from './objects.ts';

/** Names without the family, which follows: `services4`. */
export type SetName =
  /** Who is led where: by address, protocol and port, and for NodePorts by protocol and port. */
  | 'services'
  | 'node-services'
  /** The same for what is from outside, where that is something else. */
  | 'outside'
  | 'node-outside'
  /** The endpoints of each frontend by their places, as numbers; and what those mean. */
  | 'endpoints'
  | 'node-endpoints'
  | 'targets'
  /** Whose source gives way. */
  | 'sources'
  | 'node-sources'
  /** Frontends with source ranges, and those ranges. */
  | 'guarded'
  | 'allowed'
  /** With affinity a frontend leads to a list with a number, whose items have numbers of their own. */
  | 'sticky'
  | 'node-sticky'
  | 'sticky-outside'
  | 'node-sticky-outside'
  | 'slots'
  | 'affinity'
  /** Pods of this node that may reach themselves. */
  | 'hairpins'
  /** All endpoints: their packets are tracked. */
  | 'backends'
  | 'cluster-ips'
  | 'node-ips'
  | 'ranges';

const AFFINITY_ENTRIES = 65_536;

export function serviceSets({
  families,
  affinityEntries = AFFINITY_ENTRIES,
}: Pick<ServiceTableOptions, 'families' | 'affinityEntries'>): ServiceSet[] {
  return families.flatMap((family) => setsOf(family, affinityEntries));
}

function setsOf(family: IpFamily, entries: number): ServiceSet[] {
  const ip: NftType = `ipv${family}_addr`;
  const word = IP_WORDS[family];
  const port: NftType[] = ['inet_proto', 'inet_service'];
  const address: NftType[] = [ip, ...port];
  const placed = (key: NftType[], words: string) => ({
    key: [...key, 'mark' as const],
    value: [ip],
    declaration: `${words} . numgen random mod 2 : ${word} daddr`,
  });
  const sets: Record<SetName, Omit<ServiceSet, 'name' | 'elements'>> = {
    services: { key: address, value: 'verdict' },
    'node-services': { key: port, value: 'verdict' },
    outside: { key: address, value: 'verdict' },
    'node-outside': { key: port, value: 'verdict' },
    endpoints: placed(address, `${word} daddr . meta l4proto . th dport`),
    'node-endpoints': placed(port, 'meta l4proto . th dport'),
    targets: { key: [ip], value: [ip, 'inet_service'] },
    sources: { key: address, value: 'verdict' },
    'node-sources': { key: port, value: 'verdict' },
    guarded: { key: address, value: 'verdict' },
    allowed: { key: [...address, ip], interval: true },
    sticky: { key: address, value: [ip] },
    'node-sticky': { key: port, value: [ip] },
    'sticky-outside': { key: address, value: [ip] },
    'node-sticky-outside': { key: port, value: [ip] },
    slots: placed([ip], `${word} saddr`),
    affinity: { key: [ip, ip], value: [ip], entries },
    hairpins: { key: [ip, ip] },
    backends: { key: address },
    'cluster-ips': { key: [ip] },
    'node-ips': { key: [ip] },
    ranges: { key: [ip], interval: true },
  };
  return Object.entries(sets).map(([name, set]) => ({ ...set, name: `${name}${family}`, elements: [] }));
}
