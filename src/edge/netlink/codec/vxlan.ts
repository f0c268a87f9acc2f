/** IFLA_INFO_DATA of a VXLAN device (linux/if_link.h, IFLA_VXLAN_*). */
import { ipFamily, ipToBytes } from '../../../base/ip/ip.ts';
import type { Vxlan } from '../objects.ts';
import { type Attributes, setPresent, type Writer } from './attribute.ts';
import { readIp } from './family.ts';

const VXLAN = { ID: 1, LINK: 3, LOCAL: 4, LEARNING: 7, PORT: 15, LOCAL6: 17, UDP_CSUM: 18 } as const;

export function writeVxlan(writer: Writer, vxlan: Vxlan): void {
  const { vni, port, learning, lowerIndex, local, udpChecksum } = vxlan;
  writer.u32Attribute(VXLAN.ID, vni).u16BeAttribute(VXLAN.PORT, port);
  writer.u8Attribute(VXLAN.LEARNING, learning ? 1 : 0);
  if (lowerIndex !== undefined) writer.u32Attribute(VXLAN.LINK, lowerIndex);
  if (local !== undefined)
    writer.attribute(ipFamily(local) === 4 ? VXLAN.LOCAL : VXLAN.LOCAL6, ipToBytes(local));
  if (udpChecksum !== undefined) writer.u8Attribute(VXLAN.UDP_CSUM, udpChecksum ? 1 : 0);
}

export function readVxlan(data: Attributes): Vxlan {
  const checksum = data.u8(VXLAN.UDP_CSUM);
  const vxlan: Vxlan = {
    vni: data.u32(VXLAN.ID) ?? 0,
    port: data.u16Be(VXLAN.PORT) ?? 0,
    learning: data.u8(VXLAN.LEARNING) === 1,
  };
  setPresent(vxlan, 'local', readIp(data.bytes(VXLAN.LOCAL), 4) ?? readIp(data.bytes(VXLAN.LOCAL6), 6));
  setPresent(vxlan, 'lowerIndex', data.u32(VXLAN.LINK));
  setPresent(vxlan, 'udpChecksum', checksum === undefined ? undefined : checksum === 1);
  return vxlan;
}
