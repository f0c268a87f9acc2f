/** Addresses, routes, neighbors, forwarding entries and rules of the fake kernel. */
import { cidrContains, cidrFamily } from '../../../base/ip/cidr.ts';
import { ipFamily } from '../../../base/ip/ip.ts';
import type { Address, FdbEntry, Neighbor, Route, Rule } from '../objects.ts';
import { connectedRoute } from './fake-links.ts';
import { type Answer, emit, type FakeNamespace, NOBODY } from './fake-state.ts';

export function replaceAddress(namespace: FakeNamespace, address: Address, author: number): Answer {
  const link = namespace.links.get(address.linkIndex);
  if (link === undefined) return 'ENODEV';
  const present = namespace.addresses.some((other) => sameAddress(other, address));
  if (!present) {
    namespace.addresses.push({ flags: 128, ...address });
    const route = connectedRoute(address);
    if (link.up && route !== undefined) namespace.routes.push(route);
  }
  emit(namespace, { kind: 'address', change: 'new', linkIndex: address.linkIndex }, author);
  return undefined;
}

export function deleteAddress(namespace: FakeNamespace, address: Address, author: number): Answer {
  if (!namespace.links.has(address.linkIndex)) return 'ENODEV';
  const kept = namespace.addresses.filter((other) => !sameAddress(other, address));
  if (kept.length === namespace.addresses.length) return 'EADDRNOTAVAIL';
  namespace.addresses = kept;
  const connected = connectedRoute(address);
  // Routes that name a source address go with it.
  namespace.routes = namespace.routes.filter(
    (route) =>
      route.source !== address.ip &&
      (connected === undefined || !sameRoute(route, connected) || route.linkIndex !== address.linkIndex),
  );
  emit(namespace, { kind: 'address', change: 'deleted', linkIndex: address.linkIndex }, author);
  return undefined;
}

export function replaceRoute(namespace: FakeNamespace, route: Route, author: number): Answer {
  const refusal = route.type === 'unicast' ? checkNextHop(namespace, route) : undefined;
  if (refusal !== undefined) return refusal;
  const { source, metric, onLink, ...fields } = route;
  if (source !== undefined && !namespace.addresses.some(({ ip }) => ip === source)) return 'EINVAL';
  const made: Route = {
    ...fields,
    ...(source === undefined ? {} : { source }),
    ...(metric === undefined || metric === 0 ? {} : { metric }),
    ...(onLink === true ? { onLink } : {}),
  };
  const at = namespace.routes.findIndex((other) => sameRoute(other, route));
  if (at < 0) namespace.routes.push(made);
  else namespace.routes[at] = made;
  emit(namespace, { kind: 'route', change: 'new', route }, author);
  return undefined;
}

export function deleteRoute(namespace: FakeNamespace, route: Route, author: number): Answer {
  const at = namespace.routes.findIndex(
    (other) =>
      other.protocol === route.protocol &&
      (route.metric === undefined
        ? other.destination === route.destination && other.table === route.table
        : sameRoute(other, route)),
  );
  if (at < 0) return 'ESRCH';
  namespace.routes.splice(at, 1);
  emit(namespace, { kind: 'route', change: 'deleted', route }, author);
  return undefined;
}

export function replaceNeighbor(namespace: FakeNamespace, neighbor: Neighbor, author: number): Answer {
  if (!namespace.links.has(neighbor.linkIndex)) return 'ENODEV';
  namespace.neighbors = [...namespace.neighbors.filter((other) => !sameNeighbor(other, neighbor)), neighbor];
  emit(namespace, { kind: 'neighbor', change: 'new', neighbor }, author);
  return undefined;
}

export function deleteNeighbor(namespace: FakeNamespace, neighbor: Neighbor): Answer {
  if (!namespace.links.has(neighbor.linkIndex)) return 'ENODEV';
  const kept = namespace.neighbors.filter((other) => !sameNeighbor(other, neighbor));
  if (kept.length === namespace.neighbors.length) return 'ENOENT';
  namespace.neighbors = kept;
  // As the real one, which does not say who it was (neigh_cleanup_and_release).
  emit(namespace, { kind: 'neighbor', change: 'deleted', neighbor }, NOBODY);
  return undefined;
}

export function replaceFdbEntry(namespace: FakeNamespace, entry: FdbEntry): Answer {
  const link = namespace.links.get(entry.linkIndex);
  if (link === undefined) return 'ENODEV';
  if (link.vxlan === undefined) return 'EOPNOTSUPP';
  namespace.fdb = [...namespace.fdb.filter((other) => !sameFdbEntry(other, entry)), entry];
  // As the real one, which does not say who it was (vxlan_fdb_notify).
  emit(namespace, { kind: 'fdb', change: 'new', entry }, NOBODY);
  return undefined;
}

export function deleteFdbEntry(namespace: FakeNamespace, entry: FdbEntry): Answer {
  if (!namespace.links.has(entry.linkIndex)) return 'ENODEV';
  const kept = namespace.fdb.filter((other) => !sameFdbEntry(other, entry));
  if (kept.length === namespace.fdb.length) return 'ENOENT';
  namespace.fdb = kept;
  emit(namespace, { kind: 'fdb', change: 'deleted', entry }, NOBODY);
  return undefined;
}

export function addRule(namespace: FakeNamespace, rule: Rule, author: number): Answer {
  if (namespace.rules.some((other) => sameRule(other, rule))) return 'EEXIST';
  namespace.rules = [...namespace.rules, rule].toSorted(
    (a, b) => a.family - b.family || a.priority - b.priority,
  );
  emit(namespace, { kind: 'rule', change: 'new' }, author);
  return undefined;
}

export function deleteRule(namespace: FakeNamespace, rule: Rule, author: number): Answer {
  const at = namespace.rules.findIndex((other) => sameRule(other, rule));
  if (at < 0) return 'ENOENT';
  namespace.rules.splice(at, 1);
  emit(namespace, { kind: 'rule', change: 'deleted' }, author);
  return undefined;
}

/** A gateway must be on a link that is up: by a route of scope link through it, or because the route says so. */
function checkNextHop(namespace: FakeNamespace, { linkIndex, gateway, onLink }: Route): Answer {
  const link = linkIndex === undefined ? undefined : namespace.links.get(linkIndex);
  if (link === undefined) return 'ENODEV';
  if (!link.up) return 'ENETDOWN';
  if (gateway === undefined || onLink === true) return undefined;
  const reachable = namespace.routes.some(
    (route) =>
      route.linkIndex === linkIndex &&
      route.gateway === undefined &&
      cidrFamily(route.destination) === ipFamily(gateway) &&
      cidrContains(route.destination, gateway),
  );
  return reachable ? undefined : 'ENETUNREACH';
}

function sameAddress(a: Address, b: Address): boolean {
  return a.linkIndex === b.linkIndex && a.ip === b.ip && a.prefixLength === b.prefixLength;
}

function sameRoute(a: Route, b: Route): boolean {
  return a.destination === b.destination && a.table === b.table && (a.metric ?? 0) === (b.metric ?? 0);
}

function sameNeighbor(a: Neighbor, b: Neighbor): boolean {
  return a.linkIndex === b.linkIndex && a.ip === b.ip;
}

function sameFdbEntry(a: FdbEntry, b: FdbEntry): boolean {
  return a.linkIndex === b.linkIndex && a.mac === b.mac;
}

function sameRule(a: Rule, b: Rule): boolean {
  return ruleKey(a) === ruleKey(b);
}

function ruleKey({ family, priority, table, from, to, inputLink, fwmark, fwmask }: Rule): string {
  return [family, priority, table, from, to, inputLink, fwmark, fwmask].join(' ');
}
