/** RTM_*NEIGH (linux/neighbour.h, struct ndmsg): IP neighbors, and forwarding entries of VXLAN devices. */
import { ipFamily, ipToBytes } from '../../../base/ip/ip.ts';
import { macToBytes } from '../../../base/ip/mac.ts';
import type { FdbEntry, Neighbor } from '../objects.ts';
import { Attributes, setPresent, type Writer } from './attribute.ts';
import { AF_BRIDGE, AF_UNSPEC, familyNumber, familyOf, readIp, readMac } from './family.ts';

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;

const NDA = { DST: 1, LLADDR: 2, IFINDEX: 8 } as const;
/** The entry is the device's own, not its bridge's. */
const NTF_SELF = 0x02;

export function writeNeighbor(writer: Writer, { linkIndex, ip, mac, state }: Neighbor): void {
  writeHeader(writer, familyNumber(ipFamily(ip)), linkIndex, state, 0);
  writer.attribute(NDA.DST, ipToBytes(ip));
  if (mac !== undefined) writer.attribute(NDA.LLADDR, macToBytes(mac));
}

export function writeFdbEntry(writer: Writer, { linkIndex, mac, destination, state }: FdbEntry): void {
  writeHeader(writer, AF_BRIDGE, linkIndex, state, NTF_SELF);
  writer.attribute(NDA.LLADDR, macToBytes(mac));
  if (destination !== undefined) writer.attribute(NDA.DST, ipToBytes(destination));
}

export function writeNeighborRequest(writer: Writer, linkIndex?: number): void {
  writeHeader(writer, AF_UNSPEC, 0, 0, 0);
  if (linkIndex !== undefined) writer.u32Attribute(NDA.IFINDEX, linkIndex);
}

/** The entries of one device; the index stands in the header here (rtnl_fdb_dump). */
export function writeFdbRequest(writer: Writer, linkIndex: number): void {
  writeHeader(writer, AF_BRIDGE, linkIndex, 0, 0);
}

/** @returns undefined for an entry of another family. */
export function readNeighbor(payload: Buffer): Neighbor | undefined {
  const attributes = new Attributes(payload, 12);
  const family = familyOf(payload.readUInt8(0));
  const ip = readIp(attributes.bytes(NDA.DST), family);
  if (family === undefined || ip === undefined) return undefined;
  const neighbor: Neighbor = {
    linkIndex: payload.readUInt32LE(4),
    ip,
    state: payload.readUInt16LE(8),
  };
  setPresent(neighbor, 'mac', readMac(attributes.bytes(NDA.LLADDR)));
  return neighbor;
}

/** @returns undefined for what is no forwarding entry. */
export function readFdbEntry(payload: Buffer): FdbEntry | undefined {
  const attributes = new Attributes(payload, 12);
  const mac = readMac(attributes.bytes(NDA.LLADDR));
  if (payload.readUInt8(0) !== AF_BRIDGE || mac === undefined) return undefined;
  const entry: FdbEntry = {
    linkIndex: payload.readUInt32LE(4),
    mac,
    state: payload.readUInt16LE(8),
  };
  setPresent(entry, 'destination', readIp(attributes.bytes(NDA.DST)));
  return entry;
}

function writeHeader(writer: Writer, family: number, linkIndex: number, state: number, flags: number): void {
  writer.u8(family).zeros(3).u32(linkIndex).u16(state).u8(flags).u8(0);
}
