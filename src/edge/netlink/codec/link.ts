/** RTM_*LINK (linux/if_link.h, struct ifinfomsg). */
import { macToBytes } from '../../../base/ip/mac.ts';
import type {
  Ipv4DeviceSettings,
  Ipv6DeviceSettings,
  Link,
  LinkChange,
  NewLink,
  VethPeer,
} from '../objects.ts';
import { Attributes, setPresent, type Writer } from './attribute.ts';
import { AF_INET, AF_INET6, readMac } from './family.ts';
import { readVxlan, writeVxlan } from './vxlan.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWLINKPROP = 108;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_RUNNING = 0x40;

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  LINKINFO: 18,
  IFALIAS: 20,
  AF_SPEC: 26,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  LINK_NETNSID: 37,
  PROP_LIST: 52,
  ALT_IFNAME: 53,
} as const;
const INFO_KIND = 1;
const INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_INET_CONF = 1;
const IFLA_INET6_CONF = 2;
/** linux/ip.h. */
const IPV4_DEVCONF = {
  FORWARDING: 1,
  PROXY_ARP: 3,
  ACCEPT_REDIRECTS: 4,
  SEND_REDIRECTS: 6,
  RP_FILTER: 8,
  ROUTE_LOCALNET: 26,
} as const;
/** linux/ipv6.h. */
const IPV6_DEVCONF = {
  ACCEPT_RA: 3,
  ACCEPT_REDIRECTS: 4,
  AUTOCONF: 5,
  PROXY_NDP: 22,
  DISABLE_IPV6: 26,
} as const;
/** RTEXT_FILTER_SKIP_STATS: statistics are most of a link's bytes and are not read here. */
const SKIP_STATISTICS = 1 << 3;
/** IFNAMSIZ and ALTIFNAMSIZ, without the terminating zero. */
const NAME_BYTES = 15;
const ALT_NAME_BYTES = 127;

export function writeNewLink(writer: Writer, link: NewLink): void {
  writeHeader(writer, link.index ?? 0, link.up);
  writeCommon(writer, link);
  writer.nested(IFLA.LINKINFO, () => {
    writer.textAttribute(INFO_KIND, link.kind.type);
    const { kind } = link;
    switch (kind.type) {
      case 'veth':
        writer.nested(INFO_DATA, () => writeVethPeer(writer, kind.peer));
        return;
      case 'vxlan':
        writer.nested(INFO_DATA, () => writeVxlan(writer, kind));
        return;
      case 'bridge':
      case 'ifb':
        return;
    }
  });
}

export function writeLinkChange(writer: Writer, change: LinkChange): void {
  writeHeader(writer, change.index, change.up);
  writeCommon(writer, change);
  if (change.alias !== undefined) writer.textAttribute(IFLA.IFALIAS, change.alias);
  if (change.master !== undefined) writer.u32Attribute(IFLA.MASTER, change.master);
  const { ipv4 } = change;
  if (ipv4 !== undefined) {
    writer.nested(IFLA.AF_SPEC, () =>
      writer.nested(AF_INET, () => writer.nested(IFLA_INET_CONF, () => writeIpv4Settings(writer, ipv4))),
    );
  }
}

/** By index, or all links of a group. */
export function writeLinkDeletion(writer: Writer, which: { index: number } | { group: number }): void {
  writeHeader(writer, 'index' in which ? which.index : 0, undefined);
  if ('group' in which) writer.u32Attribute(IFLA.GROUP, which.group);
}

export function writeLinkNames(writer: Writer, index: number, names: readonly string[]): void {
  writeHeader(writer, index, undefined);
  writer.nested(IFLA.PROP_LIST, () => {
    for (const name of names) writer.textAttribute(IFLA.ALT_IFNAME, name);
  });
}

/** Whether a link may be called so at all, or have this index; the kernel refuses to be asked for others. */
export function isLinkKey(key: string | number): boolean {
  if (typeof key === 'number') return Number.isInteger(key) && key > 0 && key < 2 ** 31;
  const bytes = Buffer.byteLength(key);
  return bytes > 0 && bytes <= ALT_NAME_BYTES && !key.includes('\0');
}

/** A dump of all links, or with a name or an index the question for one. */
export function writeLinkRequest(writer: Writer, key?: string | number): void {
  writeHeader(writer, typeof key === 'number' ? key : 0, undefined);
  if (typeof key === 'string') {
    writer.textAttribute(Buffer.byteLength(key) <= NAME_BYTES ? IFLA.IFNAME : IFLA.ALT_IFNAME, key);
  }
  writer.u32Attribute(IFLA.EXT_MASK, SKIP_STATISTICS);
}

export function readLink(payload: Buffer): Link {
  const attributes = new Attributes(payload, 16);
  const flags = payload.readUInt32LE(8);
  const info = attributes.nested(IFLA.LINKINFO);
  const kind = info?.text(INFO_KIND);
  const data = kind === 'vxlan' ? info?.nested(INFO_DATA) : undefined;
  const link: Link = {
    index: payload.readInt32LE(4),
    name: attributes.text(IFLA.IFNAME) ?? '',
    mtu: attributes.u32(IFLA.MTU) ?? 0,
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    group: attributes.u32(IFLA.GROUP) ?? 0,
    altNames: attributes.nested(IFLA.PROP_LIST)?.texts(IFLA.ALT_IFNAME) ?? [],
  };
  setPresent(link, 'kind', kind);
  setPresent(link, 'mac', readMac(attributes.bytes(IFLA.ADDRESS)));
  setPresent(link, 'alias', attributes.text(IFLA.IFALIAS));
  setPresent(link, 'master', attributes.u32(IFLA.MASTER));
  setPresent(link, 'peerIndex', attributes.u32(IFLA.LINK));
  setPresent(link, 'peerNamespaceId', attributes.i32(IFLA.LINK_NETNSID));
  setPresent(link, 'vxlan', data === undefined ? undefined : readVxlan(data));
  const families = attributes.nested(IFLA.AF_SPEC);
  setPresent(link, 'ipv4', readIpv4Settings(families?.nested(AF_INET)?.bytes(IFLA_INET_CONF)));
  setPresent(link, 'ipv6', readIpv6Settings(families?.nested(AF_INET6)?.bytes(IFLA_INET6_CONF)));
  return link;
}

function writeHeader(writer: Writer, index: number, up: boolean | undefined): void {
  writer.u8(0).zeros(1).u16(0).u32(index);
  writer.u32(up === true ? IFF_UP : 0).u32(up === undefined ? 0 : IFF_UP);
}

function writeCommon(
  writer: Writer,
  link: Omit<VethPeer, 'namespaceFd' | 'name'> & { name?: string; group?: number },
): void {
  if (link.name !== undefined) writer.textAttribute(IFLA.IFNAME, link.name);
  if (link.mac !== undefined) writer.attribute(IFLA.ADDRESS, macToBytes(link.mac));
  if (link.mtu !== undefined) writer.u32Attribute(IFLA.MTU, link.mtu);
  if (link.group !== undefined) writer.u32Attribute(IFLA.GROUP, link.group);
}

function writeVethPeer(writer: Writer, peer: VethPeer): void {
  writer.nested(
    VETH_INFO_PEER,
    () => {
      writeHeader(writer, peer.index ?? 0, undefined);
      writeCommon(writer, peer);
      if (peer.namespaceFd !== undefined) writer.u32Attribute(IFLA.NET_NS_FD, peer.namespaceFd);
    },
    false,
  );
}

function writeIpv4Settings(writer: Writer, settings: Partial<Ipv4DeviceSettings>): void {
  const { forwarding, proxyArp, acceptRedirects, rpFilter, routeLocalnet, sendRedirects } = settings;
  if (forwarding !== undefined) writer.u32Attribute(IPV4_DEVCONF.FORWARDING, forwarding ? 1 : 0);
  if (proxyArp !== undefined) writer.u32Attribute(IPV4_DEVCONF.PROXY_ARP, proxyArp ? 1 : 0);
  if (acceptRedirects !== undefined)
    writer.u32Attribute(IPV4_DEVCONF.ACCEPT_REDIRECTS, acceptRedirects ? 1 : 0);
  if (sendRedirects !== undefined) writer.u32Attribute(IPV4_DEVCONF.SEND_REDIRECTS, sendRedirects ? 1 : 0);
  if (rpFilter !== undefined) writer.u32Attribute(IPV4_DEVCONF.RP_FILTER, rpFilter);
  if (routeLocalnet !== undefined) writer.u32Attribute(IPV4_DEVCONF.ROUTE_LOCALNET, routeLocalnet ? 1 : 0);
}

/** An array of numbers, of which IPV4_DEVCONF counts from one. */
function readIpv4Settings(bytes: Buffer | undefined): Ipv4DeviceSettings | undefined {
  if (bytes === undefined) return undefined;
  const at = (index: number) => numberAt(bytes, index - 1);
  const rpFilter = at(IPV4_DEVCONF.RP_FILTER);
  return {
    forwarding: at(IPV4_DEVCONF.FORWARDING) !== 0,
    rpFilter: rpFilter === 1 || rpFilter === 2 ? rpFilter : 0,
    proxyArp: at(IPV4_DEVCONF.PROXY_ARP) !== 0,
    acceptRedirects: at(IPV4_DEVCONF.ACCEPT_REDIRECTS) !== 0,
    routeLocalnet: at(IPV4_DEVCONF.ROUTE_LOCALNET) !== 0,
    sendRedirects: at(IPV4_DEVCONF.SEND_REDIRECTS) !== 0,
  };
}

function readIpv6Settings(bytes: Buffer | undefined): Ipv6DeviceSettings | undefined {
  if (bytes === undefined) return undefined;
  const at = (index: number) => numberAt(bytes, index);
  return {
    disabled: at(IPV6_DEVCONF.DISABLE_IPV6) !== 0,
    acceptRa: at(IPV6_DEVCONF.ACCEPT_RA),
    acceptRedirects: at(IPV6_DEVCONF.ACCEPT_REDIRECTS) !== 0,
    autoconf: at(IPV6_DEVCONF.AUTOCONF) !== 0,
    proxyNdp: at(IPV6_DEVCONF.PROXY_NDP) !== 0,
  };
}

/** A kernel that is older has fewer of them. */
function numberAt(bytes: Buffer, index: number): number {
  return bytes.length >= 4 * index + 4 ? bytes.readInt32LE(4 * index) : 0;
}
