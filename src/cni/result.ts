/** The result of ADD (specification, "Success"), in the version that the configuration asks for. */
import type { Ip } from '../ip/ip.ts';
import { ipFamily } from '../ip/ip.ts';
import type { Mac } from '../ip/mac.ts';
import type { Dns } from './configuration.ts';
import type { PreviousResult, ResultRoute } from './previous-result.ts';
import { type CniVersion, isAtLeast } from './version.ts';

export type AddResult = {
  host: { name: string; mac: Mac; mtu: number };
  pod: { name: string; mac: Mac; mtu: number; sandbox: string };
  /** The pod's addresses with the gateway of each. */
  addresses: readonly { ip: Ip; gateway: Ip }[];
  /** Whether the pod's default route leads through this interface. */
  isDefault: boolean;
  dns: Dns;
};

/** The pod's own interfaces come behind those of the plugins before. */
export function formatResult(result: AddResult, version: CniVersion, previous?: PreviousResult): string {
  const shift = previous?.interfaces.length ?? 0;
  const withMtu = (link: { name: string; mac: Mac; mtu: number; sandbox?: string }) => {
    const { mtu, ...rest } = link;
    return isAtLeast(version, '1.1.0') ? { ...rest, mtu } : rest;
  };
  const ips = result.addresses.map(({ ip, gateway }) => ({
    ...ipVersion(version, ip),
    address: `${ip}/${ipFamily(ip) === 4 ? 32 : 128}`,
    gateway,
    interface: shift + 1,
  }));
  const routes: ResultRoute[] = result.isDefault
    ? result.addresses.map(({ ip, gateway }) => ({
        dst: ipFamily(ip) === 4 ? '0.0.0.0/0' : '::/0',
        gw: gateway,
      }))
    : [];
  return JSON.stringify({
    cniVersion: version,
    interfaces: [...(previous?.interfaces ?? []), withMtu(result.host), withMtu(result.pod)],
    ips: [
      ...(previous?.ips ?? []).map((entry) => ({ ...ipVersion(version, entry.address as Ip), ...entry })),
      ...ips,
    ],
    routes: [...(previous?.routes ?? []), ...routes],
    dns: { ...previous?.dns, ...result.dns },
  });
}

/** Before 1.0.0 an entry names its family. */
function ipVersion(version: CniVersion, ip: Ip): { version?: '4' | '6' } {
  return isAtLeast(version, '1.0.0') ? {} : { version: ipFamily(ip) === 4 ? '4' : '6' };
}
