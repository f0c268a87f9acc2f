/** Address families as the kernel numbers them (sys/socket.h), and addresses as attributes hold them. */
import type { Cidr } from '../../../base/ip/cidr.ts';
import { familyBits, type Ip, type IpFamily, ipFromBytes } from '../../../base/ip/ip.ts';
import { type Mac, macFromBytes } from '../../../base/ip/mac.ts';

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;

export function familyNumber(family: IpFamily): number {
  return family === 4 ? AF_INET : AF_INET6;
}

export function familyOf(number: number): IpFamily | undefined {
  return number === AF_INET ? 4 : number === AF_INET6 ? 6 : undefined;
}

/** @returns undefined for bytes that are no address of this family; without a family either will do. */
export function readIp(bytes: Buffer | undefined, family?: IpFamily): Ip | undefined {
  const isAddress = (bytes?.length === 4 && family !== 6) || (bytes?.length === 16 && family !== 4);
  return bytes !== undefined && isAddress ? ipFromBytes(bytes) : undefined;
}

/** @returns undefined for a hardware address of another kind. */
export function readMac(bytes: Buffer | undefined): Mac | undefined {
  return bytes?.length === 6 ? macFromBytes(bytes) : undefined;
}

const ANY = { 4: '0.0.0.0', 6: '::' } as const;

/**
 * A range as header and attribute hold it together; without bytes it is everything. The kernel keeps host bits zero.
 * @returns undefined for bytes or a length that do not fit the family.
 */
export function readRange(bytes: Buffer | undefined, length: number, family: IpFamily): Cidr | undefined {
  if (length > familyBits(family)) return undefined;
  const network = bytes === undefined ? ANY[family] : readIp(bytes, family);
  return network === undefined ? undefined : (`${network}/${length}` as Cidr);
}
