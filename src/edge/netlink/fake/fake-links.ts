/** Links of the fake kernel: what creating, changing and deleting one does, to it and to what hangs on it. */
import { makeCidr } from '../../../base/ip/cidr.ts';
import { familyBits, ipFamily, parseIp } from '../../../base/ip/ip.ts';
import { isUnicastMac, type Mac, macFromSeed } from '../../../base/ip/mac.ts';
import {
  type Address,
  type LinkChange,
  MAIN_TABLE,
  type NewLink,
  type Route,
  SCOPE_HOST,
  SCOPE_LINK,
  type VethPeer,
  type Vxlan,
} from '../objects.ts';
import {
  type Answer,
  emit,
  type FakeLink,
  type FakeNamespace,
  NEW_LINK_SETTINGS,
  NOBODY,
} from './fake-state.ts';

const LEAST_MTU = 68;
const MOST_MTU = 65_535;
const ALIAS_BYTES = 255;
const ALT_NAME_BYTES = 127;
const KERNEL_PROTOCOL = 2;

export function createLink(namespace: FakeNamespace, link: NewLink, author: number): Answer {
  const { kind } = link;
  const refusal =
    checkPlace(namespace, link, 'EEXIST') ??
    checkSettings(link) ??
    (kind.type === 'vxlan' ? checkVxlan(namespace, kind) : undefined);
  if (refusal !== undefined) return refusal;
  if (kind.type === 'veth') return createVeth(namespace, { ...link, kind }, author);
  const lower = kind.type === 'vxlan' ? namespace.links.get(kind.lowerIndex ?? 0) : undefined;
  const made = add(namespace, { ...link, mtu: link.mtu ?? (lower === undefined ? 1500 : lower.mtu - 50) });
  made.kind = kind.type;
  if (kind.type === 'vxlan') {
    const { type: _, ...vxlan } = kind;
    made.vxlan = { udpChecksum: true, ...vxlan };
  }
  emit(namespace, { kind: 'link', change: 'new', linkIndex: made.index }, author);
  return undefined;
}

function createVeth(
  namespace: FakeNamespace,
  link: NewLink & { kind: { peer: VethPeer } },
  author: number,
): Answer {
  const { peer } = link.kind;
  const there = peer.namespaceFd === undefined ? namespace : namespace.machine.get(peer.namespaceFd);
  if (there === undefined) return 'EBADF';
  const refusal = checkPlace(there, peer, 'EBUSY') ?? checkSettings(peer);
  if (refusal !== undefined) return refusal;
  const far = add(there, peer);
  const near = add(namespace, link);
  for (const [end, other, otherNamespace] of [
    [near, far, there],
    [far, near, namespace],
  ] as const) {
    end.kind = 'veth';
    end.peerIndex = other.index;
    if (there !== namespace) end.peerNamespaceId = 0;
    end.peer = { namespace: otherNamespace, index: other.index };
  }
  emit(there, { kind: 'link', change: 'new', linkIndex: far.index }, author);
  emit(namespace, { kind: 'link', change: 'new', linkIndex: near.index }, author);
  return undefined;
}

export function changeLink(namespace: FakeNamespace, change: LinkChange, author: number): Answer {
  const link = namespace.links.get(change.index);
  if (link === undefined) return 'ENODEV';
  const { name, alias, master } = change;
  if (name !== undefined && name !== link.name && findByName(namespace, name) !== undefined) return 'EEXIST';
  if (alias !== undefined && Buffer.byteLength(alias) > ALIAS_BYTES) return 'ERANGE';
  if (master !== undefined && master !== 0 && namespace.links.get(master) === undefined) return 'EINVAL';
  const refusal = checkSettings(change);
  if (refusal !== undefined) return refusal;
  const { index: _, ipv4, up, ...fields } = change;
  Object.assign(link, fields);
  Object.assign(link.ipv4, ipv4);
  if (alias === '') delete link.alias;
  if (master === 0) delete link.master;
  if (up !== undefined && up !== link.up) setUp(namespace, link, up);
  emit(namespace, { kind: 'link', change: 'new', linkIndex: link.index }, author);
  return undefined;
}

export function addLinkNames(
  namespace: FakeNamespace,
  index: number,
  names: readonly string[],
  author: number,
): Answer {
  const link = namespace.links.get(index);
  if (link === undefined) return 'ENODEV';
  if (names.some((name) => Buffer.byteLength(name) > ALT_NAME_BYTES)) return 'ERANGE';
  if (names.some((name) => findByName(namespace, name) !== undefined)) return 'EEXIST';
  link.altNames.push(...names);
  emit(namespace, { kind: 'link', change: 'new', linkIndex: index }, author);
  return undefined;
}

export function deleteLink(namespace: FakeNamespace, index: number, author: number): Answer {
  const link = namespace.links.get(index);
  if (link === undefined) return 'ENODEV';
  if (link.loopback) return 'EOPNOTSUPP';
  if (link.peer !== undefined) remove(link.peer.namespace, link.peer.index, author);
  remove(namespace, index, author);
  return undefined;
}

/** With their namespace: the other ends of veths go with them, wherever they are. */
export function destroyLinks(namespace: FakeNamespace): void {
  for (const { index, loopback } of namespace.links.values().toArray())
    if (!loopback) deleteLink(namespace, index, NOBODY);
}

export function deleteGroup(namespace: FakeNamespace, group: number, author: number): Answer {
  const members = [...namespace.links.values()].filter((link) => link.group === group);
  if (members.length === 0) return 'ENODEV';
  if (members.some(({ loopback }) => loopback)) return 'EOPNOTSUPP';
  // A member may have gone as the peer of another.
  for (const { index } of members) deleteLink(namespace, index, author);
  return undefined;
}

export function findByName(namespace: FakeNamespace, name: string): FakeLink | undefined {
  return [...namespace.links.values()].find((link) => link.name === name || link.altNames.includes(name));
}

/** The route to an address' own range, which the kernel keeps while the link is up. */
export function connectedRoute({ linkIndex, ip, prefixLength }: Address): Route | undefined {
  const family = ipFamily(ip);
  if (prefixLength === familyBits(family)) return undefined;
  return {
    destination: makeCidr(ip, prefixLength),
    table: MAIN_TABLE,
    protocol: KERNEL_PROTOCOL,
    type: 'unicast',
    scope: SCOPE_LINK,
    linkIndex,
    ...(family === 4 ? { source: ip } : { metric: 256 }),
  };
}

/** @param taken the answer when the index is in use. */
function checkPlace(namespace: FakeNamespace, { index, name }: VethPeer | NewLink, taken: string): Answer {
  if (index !== undefined && namespace.links.has(index)) return taken;
  if (Buffer.byteLength(name) > 15) return 'ERANGE';
  if (name === '' || name === '.' || name === '..' || /[\s/:]/.test(name)) return 'EINVAL';
  return findByName(namespace, name) === undefined ? undefined : 'EEXIST';
}

function checkSettings({ mtu, mac }: { mtu?: number; mac?: Mac }): Answer {
  if (mtu !== undefined && (mtu < LEAST_MTU || mtu > MOST_MTU)) return 'EINVAL';
  return mac === undefined || isUnicastMac(mac) ? undefined : 'EADDRNOTAVAIL';
}

function checkVxlan(namespace: FakeNamespace, { vni, port, lowerIndex }: Vxlan): Answer {
  if (lowerIndex !== undefined && !namespace.links.has(lowerIndex)) return 'ENODEV';
  const same = [...namespace.links.values()].some(
    ({ vxlan }) => vxlan?.vni === vni && vxlan.port === port && vxlan.lowerIndex === lowerIndex,
  );
  return same ? 'EEXIST' : undefined;
}

function add(namespace: FakeNamespace, link: VethPeer & { group?: number; up?: boolean }): FakeLink {
  const index = link.index ?? Math.max(...namespace.links.keys()) + 1;
  const made: FakeLink = {
    index,
    name: link.name,
    mac: link.mac ?? macFromSeed(`${namespace.fd} ${index}`),
    mtu: link.mtu ?? 1500,
    up: link.up ?? false,
    running: false,
    loopback: false,
    group: link.group ?? 0,
    altNames: [],
    ...structuredClone(NEW_LINK_SETTINGS),
  };
  namespace.links.set(index, made);
  return made;
}

function remove(namespace: FakeNamespace, index: number, author: number): void {
  if (!namespace.links.delete(index)) return;
  const elsewhere = ({ linkIndex }: { linkIndex?: number }) => linkIndex !== index;
  namespace.addresses = namespace.addresses.filter(elsewhere);
  namespace.routes = namespace.routes.filter(elsewhere);
  namespace.neighbors = namespace.neighbors.filter(elsewhere);
  namespace.fdb = namespace.fdb.filter(elsewhere);
  namespace.qdiscs = namespace.qdiscs.filter(elsewhere);
  namespace.redirects = namespace.redirects.filter(elsewhere);
  for (const redirect of namespace.redirects) if (redirect.to === index) redirect.to = 0;
  for (const link of namespace.links.values()) if (link.master === index) delete link.master;
  emit(namespace, { kind: 'link', change: 'deleted', linkIndex: index }, author);
}

function setUp(namespace: FakeNamespace, link: FakeLink, up: boolean): void {
  link.up = up;
  if (!up) {
    namespace.routes = namespace.routes.filter(({ linkIndex }) => linkIndex !== link.index);
    namespace.neighbors = namespace.neighbors.filter(({ linkIndex }) => linkIndex !== link.index);
    return;
  }
  const own = ({ linkIndex }: Address) => linkIndex === link.index;
  if (link.loopback && !namespace.addresses.some(own)) {
    const ip = parseIp('127.0.0.1');
    namespace.addresses.push({ linkIndex: link.index, ip, prefixLength: 8, scope: SCOPE_HOST, flags: 128 });
    return;
  }
  if (link.loopback) return;
  for (const address of namespace.addresses.filter(own)) {
    const route = connectedRoute(address);
    if (route !== undefined) namespace.routes.push(route);
  }
}
