/** RTM_*ADDR (linux/if_addr.h, struct ifaddrmsg). */
import { ipFamily, ipToBytes } from '../../../base/ip/ip.ts';
import type { Address } from '../objects.ts';
import { Attributes, type Writer } from './attribute.ts';
import { AF_INET, AF_INET6, familyOf, readIp } from './family.ts';

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;

const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
/** An IPv6 address is usable at once: Fairlead gives every address to one pod alone. */
const IFA_F_NODAD = 0x02;

export function writeAddress(writer: Writer, { ip, prefixLength, scope, linkIndex }: Address): void {
  const v4 = ipFamily(ip) === 4;
  const flags = v4 ? 0 : IFA_F_NODAD;
  writer
    .u8(v4 ? AF_INET : AF_INET6)
    .u8(prefixLength)
    .u8(flags)
    .u8(scope)
    .u32(linkIndex);
  if (v4) writer.attribute(IFA.LOCAL, ipToBytes(ip));
  writer.attribute(IFA.ADDRESS, ipToBytes(ip));
}

export function writeAddressRequest(writer: Writer): void {
  writer.zeros(8);
}

/** @returns undefined for an address of another family. */
export function readAddress(payload: Buffer): Address | undefined {
  const attributes = new Attributes(payload, 8);
  const family = familyOf(payload.readUInt8(0));
  // On a point-to-point link IFA_ADDRESS is the other end's address.
  const ip = readIp(attributes.bytes(IFA.LOCAL) ?? attributes.bytes(IFA.ADDRESS), family);
  if (family === undefined || ip === undefined) return undefined;
  return {
    linkIndex: payload.readUInt32LE(4),
    ip,
    prefixLength: payload.readUInt8(1),
    scope: payload.readUInt8(3),
    flags: attributes.u32(IFA.FLAGS) ?? payload.readUInt8(2),
  };
}
