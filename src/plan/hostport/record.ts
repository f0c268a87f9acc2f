/**
 * Port mappings as alternative names of the host's end of the veth (IFLA_ALT_IFNAME, up to 127 bytes each): the
 * alias that records the attachment is too short for them, and so they live and die with the link as it does.
 */

import { isIp, parseIp } from '../../base/ip/ip.ts';
import { isPortProtocol, type PortMapping } from '../../edge/cni/capability/port-mapping.ts';

/** The kernel takes names until 64 KiB would be full if each had 127 bytes: this is half of them. */
export const MOST_MAPPINGS = 250;

/** As in `fl0123456789ab.tcp.8080.80.192.168.1.2`; the link's own name keeps those of different pods apart. */
export function formatPortNames(linkName: string, mappings: readonly PortMapping[]): string[] {
  return mappings.map(({ protocol, hostPort, containerPort, hostIp }) =>
    // The kernel refuses names with a colon.
    [linkName, protocol, hostPort, containerPort, hostIp?.replaceAll(':', '_') ?? ANY].join('.'),
  );
}

/** The mappings among a link's alternative names; names that others gave it are none. */
export function parsePortNames(linkName: string, names: readonly string[]): PortMapping[] {
  return names.flatMap((name) => {
    const [head, protocol = '', hostPort = '', containerPort = '', ...rest] = name.split('.');
    const hostIp = rest.join('.').replaceAll('_', ':');
    if (head !== linkName || !isPortProtocol(protocol)) return [];
    if (!isPort(hostPort) || !isPort(containerPort) || !(hostIp === ANY || isIp(hostIp))) return [];
    return [
      {
        protocol,
        hostPort: Number(hostPort),
        containerPort: Number(containerPort),
        ...(hostIp === ANY ? {} : { hostIp: parseIp(hostIp) }),
      },
    ];
  });
}

const ANY = 'any';

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536;
}
