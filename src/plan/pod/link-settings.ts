/**
 * What the links of Fairlead's own are set to, for each family: state like their routes, so planned, compared and put
 * right with them. What is left out here is the administrator's; `all` and `default` are so altogether.
 */
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import type { Ipv4DeviceSettings, Ipv6DeviceSettings, Link } from '../../edge/netlink/objects.ts';
import type { Attachment } from './attachment.ts';

export type LinkSettings = { ipv4: Partial<Ipv4DeviceSettings>; ipv6: Partial<Ipv6DeviceSettings> };

/** What is behind a link of ours never configures the node: no routes, addresses or shortcuts by what it advertises. */
const DEAF: LinkSettings = {
  ipv4: { forwarding: true, proxyArp: false, acceptRedirects: false },
  ipv6: { acceptRa: 0, acceptRedirects: false, autoconf: false, proxyNdp: false },
};

/**
 * The host's end of a pod's veth. A strict reverse path filter beside the table's guard of sources. With ports of the
 * node, those of 127.0.0.1 lead to the pod too; and a pod that reaches itself by the node is not told a shortcut.
 */
export function podLinkSettings({ ips, portMappings = [] }: Pick<Attachment, 'ips' | 'portMappings'>) {
  const hasPorts = portMappings.length > 0;
  return {
    ipv4: {
      ...DEAF.ipv4,
      rpFilter: 1,
      routeLocalnet: hasPorts,
      ...(hasPorts ? { sendRedirects: false } : {}),
    },
    ipv6: withAddresses(ips.map(ipFamily)),
  } satisfies LinkSettings;
}

/** The reverse path filter is left to what the underlay needs. @param families of the pod network. */
export function tunnelSettings(families: readonly IpFamily[]): LinkSettings {
  return { ipv4: { ...DEAF.ipv4, routeLocalnet: false }, ipv6: withAddresses(families) };
}

/** A device without addresses, through which limited pods send. */
export const SHAPER_SETTINGS: LinkSettings = DEAF;

/** What a pod's own end needs before it takes addresses: `default` may switch IPv6 off there. */
export function podEndSettings(ips: readonly Ip[]): LinkSettings['ipv6'] {
  return ips.some((ip) => ipFamily(ip) === 6) ? { disabled: false } : {};
}

/** @returns what of the wanted settings the link has otherwise; undefined where it is as wanted. */
export function differingSettings(
  { ipv4, ipv6 }: Pick<Link, 'ipv4' | 'ipv6'>,
  wanted: LinkSettings,
): LinkSettings | undefined {
  const differing = { ipv4: differingFields(wanted.ipv4, ipv4), ipv6: differingFields(wanted.ipv6, ipv6) };
  const count = Object.keys(differing.ipv4).length + Object.keys(differing.ipv6).length;
  return count === 0 ? undefined : differing;
}

const IPV6_NAMES: Readonly<Record<keyof Ipv6DeviceSettings, string>> = {
  disabled: 'disable_ipv6',
  acceptRa: 'accept_ra',
  acceptRedirects: 'accept_redirects',
  autoconf: 'autoconf',
  proxyNdp: 'proxy_ndp',
};

/** As files under /proc/sys, in the order in which they are to be written. */
export function ipv6Sysctls(
  linkName: string,
  settings: Partial<Ipv6DeviceSettings>,
): { name: string; value: string }[] {
  const names = Object.keys(IPV6_NAMES) as (keyof Ipv6DeviceSettings)[];
  return names.flatMap((name) => {
    const value = settings[name];
    return value === undefined
      ? []
      : [{ name: `net/ipv6/conf/${linkName}/${IPV6_NAMES[name]}`, value: String(Number(value)) }];
  });
}

function withAddresses(families: readonly IpFamily[]): LinkSettings['ipv6'] {
  return families.includes(6) ? { disabled: false, ...DEAF.ipv6 } : DEAF.ipv6;
}

/** A family that the device lacks has nothing to set. */
function differingFields<T extends object>(wanted: Partial<T>, actual: T | undefined): Partial<T> {
  if (actual === undefined) return {};
  const differing: Partial<T> = {};
  for (const name in wanted) if (wanted[name] !== actual[name]) differing[name] = wanted[name];
  return differing;
}
