/** What one service puts into the sets and maps. */
import { type Cidr, cidrContainsCidr } from '../../../base/ip/cidr.ts';
import type { Element, Verdict } from '../../../edge/nftables/objects.ts';
import type {
  Endpoint,
  Frontend,
  ListName,
  PlannedPort,
  PlannedService,
  Way,
} from '../../../plan/service/table.ts';
import { type Counted, countedName } from './counted.ts';
import type { Numbers } from './numbers.ts';
import { LOCAL_AREA } from './objects.ts';
import type { SetName } from './sets.ts';

export type ServiceElements = {
  /** @param shared whether other services may have the same element. */
  add(set: SetName, family: 4 | 6, element: Element, shared?: boolean): void;
  /** A chain that the elements lead to. */
  need(chain: Counted): void;
};

/** Endpoints of a list in the places that they have. */
export type Placed = (service: PlannedService, port: PlannedPort, list: ListName) => readonly Endpoint[];

export function listKey({ name }: PlannedService, port: PlannedPort, list: ListName): string {
  return `${name} ${port.name} ${port.protocol} ${port.port} ${port.family} ${list}`;
}

export function addService(
  to: ServiceElements,
  service: PlannedService,
  placed: Placed,
  numbers: Numbers,
): void {
  for (const ip of service.clusterIps) to.add('cluster-ips', ip.includes(':') ? 6 : 4, { key: [ip] });
  for (const port of service.ports) {
    const protocol = port.protocol.toLowerCase();
    for (const { ip, port: number, local } of [...port.serving, ...port.lists.cluster, ...port.lists.local]) {
      to.add('backends', port.family, { key: [ip, protocol, String(number)] }, true);
      if (local) to.add('hairpins', port.family, { key: [ip, ip] }, true);
    }
    const used = new Set<ListName>();
    for (const frontend of port.frontends) {
      for (const list of addFrontend(to, service, port, frontend, placed, numbers)) used.add(list);
    }
    if (port.affinitySeconds === undefined) continue;
    for (const list of used) addSlots(to, service, port, list, placed, numbers);
  }
}

/** @returns the lists that it leads to. */
function addFrontend(
  to: ServiceElements,
  service: PlannedService,
  port: PlannedPort,
  frontend: Frontend,
  placed: Placed,
  numbers: Numbers,
): ListName[] {
  const { family } = port;
  const key = keyOf(port, frontend);
  const node = frontend.ip === undefined;
  const named = (name: 'services' | 'outside' | 'endpoints' | 'sources' | 'sticky' | 'sticky-outside') =>
    (node ? `node-${name}` : name) as SetName;
  const lead = (way: Way, outside: boolean): ListName[] => {
    const map = named(outside ? 'outside' : 'services');
    if ('refused' in way) {
      const value: Verdict =
        way.refused === 'drop' ? { verdict: 'drop' } : { verdict: 'goto', chain: 'refuse' };
      to.add(map, family, { key, value });
      return [];
    }
    const endpoints = placed(service, port, way.list);
    const counted: Counted = {
      family,
      at: node ? 'node' : 'address',
      outside,
      count: endpoints.length,
      ...(port.affinitySeconds === undefined ? {} : { seconds: port.affinitySeconds }),
    };
    to.need(counted);
    to.add(map, family, { key, value: { verdict: 'goto', chain: countedName(counted) } });
    if (port.affinitySeconds === undefined) {
      for (const [index, { ip, port: number }] of endpoints.entries()) {
        const place = String(outside ? LOCAL_AREA + index : index);
        const target = numbers.of(`${ip} ${number}`, family);
        to.add(named('endpoints'), family, { key: [...key, place], value: [target] });
        to.add('targets', family, { key: [target], value: [ip, String(number)] }, true);
      }
    } else {
      const list = numbers.of(listKey(service, port, way.list), family);
      to.add(named(outside ? 'sticky-outside' : 'sticky'), family, { key, value: [list] });
    }
    return [way.list];
  };
  to.add(named('sources'), family, { key, value: { verdict: 'goto', chain: sourceChain(frontend, family) } });
  if (frontend.sourceRanges !== undefined) {
    to.add('guarded', family, { key, value: { verdict: 'jump', chain: `guard${family}` } });
    for (const range of withoutInner(frontend.sourceRanges))
      to.add('allowed', family, { key: [...key, range] });
  }
  const inside = lead(frontend.inside, false);
  return sameWay(frontend.inside, frontend.outside) ? inside : [...inside, ...lead(frontend.outside, true)];
}

function addSlots(
  to: ServiceElements,
  service: PlannedService,
  port: PlannedPort,
  list: ListName,
  placed: Placed,
  numbers: Numbers,
): void {
  const { family } = port;
  const name = listKey(service, port, list);
  const own = numbers.of(name, family);
  for (const [index, { ip, port: number }] of placed(service, port, list).entries()) {
    const slot = numbers.of(`${name} ${ip} ${number}`, family);
    to.add('slots', family, { key: [own, String(index)], value: [slot] });
    to.add('targets', family, { key: [slot], value: [ip, String(number)] }, true);
  }
}

function keyOf({ protocol }: PlannedPort, { ip, port }: Frontend): string[] {
  return [...(ip === undefined ? [] : [ip]), protocol.toLowerCase(), String(port)];
}

function sourceChain({ masquerade }: Frontend, family: 4 | 6): string {
  const names = { all: 'replace', nonPods: 'replace-others', node: 'replace-own' } as const;
  return `${names[masquerade]}${family}`;
}

function sameWay(a: Way, b: Way): boolean {
  return 'list' in a && 'list' in b
    ? a.list === b.list
    : 'refused' in a && 'refused' in b && a.refused === b.refused;
}

/** A set of ranges refuses ranges that overlap: of two the larger stays. */
function withoutInner(ranges: readonly Cidr[]): Cidr[] {
  return [...new Set(ranges)].filter(
    (range, _, all) => !all.some((other) => other !== range && cidrContainsCidr(other, range)),
  );
}
