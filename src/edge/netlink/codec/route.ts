/** RTM_*ROUTE (linux/rtnetlink.h, struct rtmsg). */
import { cidrFamily, cidrNetwork, cidrPrefixLength } from '../../../base/ip/cidr.ts';
import { ipToBytes } from '../../../base/ip/ip.ts';
import type { RouteFilter } from '../kernel.ts';
import type { Route } from '../objects.ts';
import { Attributes, setPresent, type Writer } from './attribute.ts';
import { AF_UNSPEC, familyNumber, familyOf, readIp, readRange } from './family.ts';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15 } as const;
const RTAX_MTU = 2;
const RTNH_F_ONLINK = 4;
const RTM_F_CLONED = 0x200;
const TYPES = ['unicast', 'blackhole', 'unreachable', 'prohibit'] as const;
const TYPE_NUMBERS = { unicast: 1, blackhole: 6, unreachable: 7, prohibit: 8 } as const;

export function writeRoute(writer: Writer, route: Route): void {
  if (route.type === 'other')
    throw new TypeError(`a route of another type is not ours to write: ${route.destination}`);
  writeHeader(writer, route, TYPE_NUMBERS[route.type], route.scope);
  writeKey(writer, route);
  if (route.gateway !== undefined) writer.attribute(RTA.GATEWAY, ipToBytes(route.gateway));
  if (route.linkIndex !== undefined) writer.u32Attribute(RTA.OIF, route.linkIndex);
  if (route.source !== undefined) writer.attribute(RTA.PREFSRC, ipToBytes(route.source));
  const { mtu } = route;
  if (mtu !== undefined) writer.nested(RTA.METRICS, () => writer.u32Attribute(RTAX_MTU, mtu), false);
}

/** Destination, table, metric and protocol: enough to hit the one route that is meant, whatever else it holds. */
export function writeRouteDeletion(writer: Writer, route: Route): void {
  const NOWHERE = 255;
  writeHeader(writer, { ...route, onLink: false }, 0, NOWHERE);
  writeKey(writer, route);
}

/** The kernel filters when strict checking is on; older ones send all routes. */
export function writeRouteRequest(writer: Writer, filter: RouteFilter): void {
  writer
    .u8(AF_UNSPEC)
    .zeros(3)
    .u8(0)
    .u8(filter.protocol ?? 0)
    .zeros(2)
    .u32(0);
  if (filter.table !== undefined) writer.u32Attribute(RTA.TABLE, filter.table);
  if (filter.linkIndex !== undefined) writer.u32Attribute(RTA.OIF, filter.linkIndex);
}

/** @returns undefined for what is not a route of IPv4 or IPv6 (multicast forwarding, MPLS), or a cached exception. */
export function readRoute(payload: Buffer): Route | undefined {
  const attributes = new Attributes(payload, 12);
  const family = familyOf(payload.readUInt8(0));
  const flags = payload.readUInt32LE(8);
  if (family === undefined || flags & RTM_F_CLONED) return undefined;
  const destination = readRange(attributes.bytes(RTA.DST), payload.readUInt8(1), family);
  if (destination === undefined) return undefined;
  const typeNumber = payload.readUInt8(7);
  const route: Route = {
    destination,
    table: attributes.u32(RTA.TABLE) ?? payload.readUInt8(4),
    protocol: payload.readUInt8(5),
    type: TYPES.find((type) => TYPE_NUMBERS[type] === typeNumber) ?? 'other',
    scope: payload.readUInt8(6),
  };
  setPresent(route, 'gateway', readIp(attributes.bytes(RTA.GATEWAY), family));
  setPresent(route, 'linkIndex', attributes.u32(RTA.OIF));
  setPresent(route, 'source', readIp(attributes.bytes(RTA.PREFSRC), family));
  setPresent(route, 'metric', attributes.u32(RTA.PRIORITY));
  setPresent(route, 'mtu', attributes.nested(RTA.METRICS)?.u32(RTAX_MTU));
  setPresent(route, 'onLink', flags & RTNH_F_ONLINK ? true : undefined);
  return route;
}

function writeHeader(writer: Writer, route: Route, type: number, scope: number): void {
  const { destination, table, protocol, onLink } = route;
  writer
    .u8(familyNumber(cidrFamily(destination)))
    .u8(cidrPrefixLength(destination))
    .u8(0)
    .u8(0);
  writer
    .u8(table < 256 ? table : 0)
    .u8(protocol)
    .u8(scope)
    .u8(type)
    .u32(onLink ? RTNH_F_ONLINK : 0);
}

function writeKey(writer: Writer, { destination, table, metric }: Route): void {
  if (cidrPrefixLength(destination) > 0) writer.attribute(RTA.DST, ipToBytes(cidrNetwork(destination)));
  writer.u32Attribute(RTA.TABLE, table);
  if (metric !== undefined) writer.u32Attribute(RTA.PRIORITY, metric);
}
