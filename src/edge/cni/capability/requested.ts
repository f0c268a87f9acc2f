/**
 * Addresses that a call asks for. The strongest source that names any counts alone: the capabilities in
 * runtimeConfig, then args.cni, then CNI_ARGS.
 */
import { familyBits, type Ip, ipFamily, isIp, parseIp } from '../../../base/ip/ip.ts';
import { isMac, isUnicastMac, type Mac, parseMac } from '../../../base/ip/mac.ts';
import type { Environment } from '../environment.ts';
import { defined, type JsonObject, listAt, refuseField, textAt } from '../json.ts';

export type Requested = {
  /** At most one per family. */
  ips: readonly Ip[];
  mac?: Mac;
};

export function parseRequested(runtimeConfig: JsonObject, cniArgs: JsonObject, args: Environment): Requested {
  return {
    ips: requestedIps(runtimeConfig, cniArgs, args),
    ...defined({ mac: requestedMac(runtimeConfig, cniArgs, args) }),
  };
}

function requestedIps(runtimeConfig: JsonObject, cniArgs: JsonObject, args: Environment): Ip[] {
  const sources: (readonly [string, readonly unknown[]])[] = [
    ['runtimeConfig.ips', listAt(runtimeConfig, 'ips', 'runtimeConfig.ips')],
    ['args.cni.ips', listAt(cniArgs, 'ips', 'args.cni.ips')],
    ['CNI_ARGS IP', args['IP'] ? args['IP'].split(',') : []],
  ];
  const [field, texts] = sources.find(([, list]) => list.length > 0) ?? ['ips', []];
  const ips = texts.map((text) => parseRequestedIp(field, text));
  for (const family of [4, 6] as const) {
    if (ips.filter((ip) => ipFamily(ip) === family).length > 1)
      throw refuseField(field, texts, 'ask for at most one address per family');
  }
  return ips;
}

/** With or without a prefix length, which says nothing that Fairlead does not know. */
function parseRequestedIp(field: string, text: unknown): Ip {
  const [address, length, ...rest] = typeof text === 'string' ? text.split('/') : [];
  if (address !== undefined && rest.length === 0 && isIp(address)) {
    const ip = parseIp(address);
    if (length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= familyBits(ipFamily(ip))))
      return ip;
  }
  throw refuseField(field, text, 'write an address such as 10.244.0.7');
}

function requestedMac(runtimeConfig: JsonObject, cniArgs: JsonObject, args: Environment): Mac | undefined {
  const text =
    textAt(runtimeConfig, 'mac', 'runtimeConfig.mac') ||
    textAt(cniArgs, 'mac', 'args.cni.mac') ||
    args['MAC'];
  if (!text) return undefined;
  if (isMac(text) && isUnicastMac(parseMac(text))) return parseMac(text);
  throw refuseField('mac', text, 'write a unicast address such as 02:42:0a:f4:00:07');
}
