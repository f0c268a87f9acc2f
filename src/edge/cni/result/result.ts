/** The result of ADD (specification, "Success"), in the version that the configuration asks for. */
import { type Ip, ipFamily } from '../../../base/ip/ip.ts';
import type { Mac } from '../../../base/ip/mac.ts';
import type { Dns } from '../capability/dns.ts';
import { type CniVersion, isAtLeast } from '../version.ts';
import type { PreviousResult, ResultInterface, ResultRoute } from './previous-result.ts';

export type AddResult = {
  host: { name: string; mac: Mac; mtu: number };
  pod: { name: string; mac: Mac; mtu: number; sandbox: string };
  /** The pod's addresses with the gateway of each. */
  addresses: readonly { ip: Ip; gateway: Ip }[];
  /** Whether the pod's default route leads through this interface. */
  isDefault: boolean;
  dns: Dns;
};

const NOTHING: PreviousResult = { interfaces: [], ips: [], routes: [], dns: {} };

/** What Fairlead made, behind what plugins before it made. */
export function formatResult(result: AddResult, version: CniVersion, previous = NOTHING): string {
  return encodeResult(extendResult(previous, result), version);
}

/** The pod's interfaces come behind those of the plugins before, so that the indexes of those stay. */
export function extendResult(previous: PreviousResult, result: AddResult): PreviousResult {
  const podInterface = previous.interfaces.length + 1;
  return {
    interfaces: [...previous.interfaces, result.host, result.pod],
    ips: [
      ...previous.ips,
      ...result.addresses.map(({ ip, gateway }) => ({
        address: `${ip}/${ipFamily(ip) === 4 ? 32 : 128}`,
        gateway,
        interface: podInterface,
      })),
    ],
    routes: [
      ...previous.routes,
      ...(result.isDefault ? result.addresses : []).map(({ ip, gateway }) => ({
        dst: ipFamily(ip) === 4 ? '0.0.0.0/0' : '::/0',
        gw: gateway,
      })),
    ],
    dns: { ...previous.dns, ...result.dns },
  };
}

/** As JSON. What a version has no key for is left out. */
export function encodeResult({ interfaces, ips, routes, dns }: PreviousResult, version: CniVersion): string {
  return JSON.stringify({
    cniVersion: version,
    interfaces: interfaces.map((entry) => encodeInterface(entry, version)),
    ips: ips.map((entry) => ({ ...encodeFamily(entry.address, version), ...entry })),
    routes: routes.map((route) => encodeRoute(route, version)),
    dns,
  });
}

function encodeInterface(entry: ResultInterface, version: CniVersion): Omit<ResultInterface, 'mtu'> {
  if (isAtLeast(version, '1.1.0')) return entry;
  const { mtu: _mtu, socketPath: _socketPath, pciID: _pciId, ...old } = entry;
  return old;
}

function encodeRoute(route: ResultRoute, version: CniVersion): ResultRoute {
  if (isAtLeast(version, '1.1.0')) return route;
  const { dst, gw } = route;
  return gw === undefined ? { dst } : { dst, gw };
}

/** Before 1.0.0 an entry names its family. */
function encodeFamily(address: string, version: CniVersion): { version?: '4' | '6' } {
  return isAtLeast(version, '1.0.0') ? {} : { version: address.includes(':') ? '6' : '4' };
}
