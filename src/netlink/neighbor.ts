/** RTM_*NEIGH (linux/neighbour.h, struct ndmsg): IP neighbors, and forwarding entries of VXLAN devices. */
import { ipFamily, ipFromBytes, ipToBytes } from '../ip/ip.ts';
import { macFromBytes, macToBytes } from '../ip/mac.ts';
import { Attributes, optional, type Writer } from './attribute.ts';
import { AF_BRIDGE, AF_UNSPEC, familyNumber, familyOf } from './family.ts';
import type { FdbEntry, Neighbor } from './objects.ts';

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

/** @returns undefined for a message about another family. */
export function readNeighbor(payload: Buffer): Neighbor | undefined {
  if (familyOf(payload.readUInt8(0)) === undefined) return undefined;
  const { destination, mac, ...entry } = read(payload);
  return destination === undefined ? undefined : { ...entry, ip: destination, ...optional('mac', mac) };
}

export function readFdbEntry(payload: Buffer): FdbEntry | undefined {
  if (payload.readUInt8(0) !== AF_BRIDGE) return undefined;
  const { destination, mac, ...entry } = read(payload);
  return mac === undefined ? undefined : { ...entry, mac, ...optional('destination', destination) };
}

function writeHeader(writer: Writer, family: number, linkIndex: number, state: number, flags: number): void {
  writer.u8(family).zeros(3).u32(linkIndex).u16(state).u8(flags).u8(0);
}

function read(payload: Buffer) {
  const attributes = new Attributes(payload.subarray(12));
  const destination = attributes.bytes(NDA.DST);
  const mac = attributes.bytes(NDA.LLADDR);
  return {
    linkIndex: payload.readUInt32LE(4),
    state: payload.readUInt16LE(8),
    destination:
      destination?.length === 4 || destination?.length === 16 ? ipFromBytes(destination) : undefined,
    mac: mac?.length === 6 ? macFromBytes(mac) : undefined,
  };
}
