/** RTM_*LINK (linux/if_link.h, struct ifinfomsg). */
import { type Ip, ipFamily, ipFromBytes, ipToBytes } from '../ip/ip.ts';
import { macFromBytes, macToBytes } from '../ip/mac.ts';
import { Attributes, listAttributes, optional, type Writer } from './attribute.ts';
import type { Ipv4DeviceSettings, Link, LinkChange, NewLink, VethPeer, Vxlan } from './objects.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;

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
const VXLAN = { ID: 1, LINK: 3, LOCAL: 4, LEARNING: 7, PORT: 15, LOCAL6: 17, UDP_CSUM: 18 } as const;
const AF_INET = 2;
const INET_CONF = 1;
/** linux/ip.h, IPV4_DEVCONF_*. */
const IPV4_DEVCONF = { forwarding: 1, proxyArp: 3, rpFilter: 8 } as const;

export function writeNewLink(writer: Writer, link: NewLink): void {
  writeHeader(writer, link.index ?? 0, link.up);
  writeCommon(writer, link);
  writer.nested(IFLA.LINKINFO, () => {
    writer.textAttribute(INFO_KIND, link.kind.type);
    switch (link.kind.type) {
      case 'veth':
        return writeVethPeer(writer, link.kind.peer);
      case 'vxlan':
        return writeVxlan(writer, link.kind);
      case 'bridge':
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
      writer.nested(AF_INET, () => writer.nested(INET_CONF, () => writeIpv4Settings(writer, ipv4))),
    );
  }
}

/** By index, or all links of a group. */
export function writeLinkDeletion(writer: Writer, which: { index: number } | { group: number }): void {
  writeHeader(writer, 'index' in which ? which.index : 0, undefined);
  if ('group' in which) writer.u32Attribute(IFLA.GROUP, which.group);
}

/** A dump of all links, or with a name or an index the question for one. */
export function writeLinkRequest(writer: Writer, key?: string | number): void {
  writeHeader(writer, typeof key === 'number' ? key : 0, undefined);
  if (typeof key === 'string') writer.textAttribute(key.length < 16 ? IFLA.IFNAME : IFLA.ALT_IFNAME, key);
  // RTEXT_FILTER_SKIP_STATS: statistics are most of a link's bytes and nobody reads them here.
  writer.u32Attribute(IFLA.EXT_MASK, 1 << 3);
}

export function readLink(payload: Buffer): Link {
  const attributes = new Attributes(payload.subarray(16));
  const flags = payload.readUInt32LE(8);
  const info = attributes.nested(IFLA.LINKINFO);
  const kind = info?.text(INFO_KIND);
  const data = info?.nested(INFO_DATA);
  const address = attributes.bytes(IFLA.ADDRESS);
  return {
    index: payload.readInt32LE(4),
    name: attributes.text(IFLA.IFNAME) ?? '',
    mtu: attributes.u32(IFLA.MTU) ?? 0,
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    group: attributes.u32(IFLA.GROUP) ?? 0,
    altNames: readAltNames(attributes.bytes(IFLA.PROP_LIST)),
    ...optional('kind', kind),
    ...optional('mac', address?.length === 6 ? macFromBytes(address) : undefined),
    ...optional('alias', attributes.text(IFLA.IFALIAS)),
    ...optional('master', attributes.u32(IFLA.MASTER)),
    ...optional('peerIndex', attributes.u32(IFLA.LINK)),
    ...optional('peerNamespaceId', attributes.i32(IFLA.LINK_NETNSID)),
    ...optional('vxlan', kind === 'vxlan' && data !== undefined ? readVxlan(data) : undefined),
  };
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
  writer.nested(INFO_DATA, () =>
    writer.nested(VETH_INFO_PEER, () => {
      writeHeader(writer, peer.index ?? 0, peer.up);
      writeCommon(writer, peer);
      if (peer.namespaceFd !== undefined) writer.u32Attribute(IFLA.NET_NS_FD, peer.namespaceFd);
    }),
  );
}

function writeVxlan(writer: Writer, vxlan: Vxlan): void {
  writer.nested(INFO_DATA, () => {
    writer.u32Attribute(VXLAN.ID, vxlan.vni).u16BeAttribute(VXLAN.PORT, vxlan.port);
    writer.u8Attribute(VXLAN.LEARNING, vxlan.learning ? 1 : 0);
    if (vxlan.lowerIndex !== undefined) writer.u32Attribute(VXLAN.LINK, vxlan.lowerIndex);
    if (vxlan.local !== undefined) {
      writer.attribute(ipFamily(vxlan.local) === 4 ? VXLAN.LOCAL : VXLAN.LOCAL6, ipToBytes(vxlan.local));
    }
    if (vxlan.udpChecksum !== undefined) writer.u8Attribute(VXLAN.UDP_CSUM, vxlan.udpChecksum ? 1 : 0);
  });
}

function readVxlan(data: Attributes): Vxlan {
  const local = data.bytes(VXLAN.LOCAL) ?? data.bytes(VXLAN.LOCAL6);
  return {
    vni: data.u32(VXLAN.ID) ?? 0,
    port: data.u16Be(VXLAN.PORT) ?? 0,
    learning: data.u8(VXLAN.LEARNING) === 1,
    ...optional('local', local === undefined ? undefined : (ipFromBytes(local) as Ip)),
    ...optional('lowerIndex', data.u32(VXLAN.LINK)),
    ...optional('udpChecksum', data.u8(VXLAN.UDP_CSUM) === 1),
  };
}

function writeIpv4Settings(writer: Writer, settings: Partial<Ipv4DeviceSettings>): void {
  for (const [name, number] of Object.entries(IPV4_DEVCONF)) {
    const value = settings[name as keyof Ipv4DeviceSettings];
    if (value !== undefined) writer.u32Attribute(number, Number(value));
  }
}

function readAltNames(list: Buffer | undefined): string[] {
  if (list === undefined) return [];
  return [...listAttributes(list)]
    .filter(([type]) => type === IFLA.ALT_IFNAME)
    .map(([, value]) => value.toString('utf8', 0, value.length - 1));
}
