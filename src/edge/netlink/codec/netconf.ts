/** RTM_GETNETCONF (linux/netconf.h): the settings under /proc/sys/net/ipv4/conf that netlink tells. */

import type { NetworkConfiguration } from '../objects.ts';
import { Attributes, setPresent, type Writer } from './attribute.ts';
import { AF_INET, familyOf } from './family.ts';

export const RTM_NEWNETCONF = 80;
export const RTM_DELNETCONF = 81;
export const RTM_GETNETCONF = 82;

const NETCONFA = { IFINDEX: 1, FORWARDING: 2, RP_FILTER: 3 } as const;
const ALL = -1;
const DEFAULT = -2;

export function writeNetconfRequest(writer: Writer): void {
  writer.u8(AF_INET).zeros(3);
}

/** @returns undefined for settings of another family. */
export function readNetconf(payload: Buffer): NetworkConfiguration | undefined {
  const attributes = new Attributes(payload, 4);
  const family = familyOf(payload.readUInt8(0));
  const index = attributes.i32(NETCONFA.IFINDEX);
  if (family === undefined || index === undefined) return undefined;
  const forwarding = attributes.i32(NETCONFA.FORWARDING);
  const configuration: NetworkConfiguration = {
    family,
    scope: index === ALL ? 'all' : index === DEFAULT ? 'default' : { link: index },
  };
  setPresent(configuration, 'forwarding', forwarding === undefined ? undefined : forwarding !== 0);
  setPresent(configuration, 'rpFilter', attributes.i32(NETCONFA.RP_FILTER));
  return configuration;
}
