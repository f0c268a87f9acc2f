/** The network configuration on standard input (specification, "Plugin configuration objects"), as far as Fairlead uses it. */
import { describeError } from '../errors/errors.ts';
import { type Ip, ipFamily, parseIp } from '../ip/ip.ts';
import { isUnicastMac, type Mac, parseMac } from '../ip/mac.ts';
import { CniError } from './errors.ts';
import { integerAt, isObject, type JsonObject, listAt, objectAt, own, refuseField, textAt } from './json.ts';
import { type PreviousResult, parsePreviousResult } from './previous-result.ts';
import { type CniVersion, parseVersion } from './version.ts';

export type Dns = { nameservers?: string[]; domain?: string; search?: string[]; options?: string[] };

export type AttachmentReference = { containerId: string; ifname: string };

export type NetworkConfiguration = {
  cniVersion: CniVersion;
  name: string;
  /** MTU of the pod's interface in bytes; absent: what fits the path. */
  mtu?: number;
  dns: Dns;
  prevResult?: PreviousResult;
  /** What is valid, for GC: everything else of this network is not. Absent where the call is no GC. */
  validAttachments?: readonly AttachmentReference[];
  /** Addresses and MAC that were asked for, from the strongest source that has them. */
  requested: { ips: readonly Ip[]; mac?: Mac };
};

/** Bytes. */
const MTU_BOUNDS = [68, 65535] as const;
const LONGEST_NAME = 64;

/** @throws CniError 6 for what is no JSON object. */
export function decodeConfiguration(stdin: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(stdin);
  } catch (error) {
    throw new CniError(
      'UNDECODABLE',
      `the network configuration on standard input is not JSON: ${describeError(error)}; give the plugin's own entry of the list`,
    );
  }
  if (!isObject(value)) {
    throw new CniError(
      'UNDECODABLE',
      'the network configuration on standard input is not a JSON object; give the plugin’s own entry of the list',
    );
  }
  return value;
}

export function parseConfiguration(
  configuration: JsonObject,
  args: Readonly<Record<string, string>>,
): NetworkConfiguration {
  const cniVersion = parseVersion(own(configuration, 'cniVersion'));
  const name = parseName(own(configuration, 'name'));
  const runtimeConfig = objectAt(configuration, 'runtimeConfig');
  const cniArgs = objectAt(objectAt(configuration, 'args'), 'cni', 'args.cni');
  const mtu = integerAt(configuration, 'mtu', MTU_BOUNDS);
  const mac = requestedMac(runtimeConfig, cniArgs, args);
  const previous = own(configuration, 'prevResult');
  return {
    cniVersion,
    name,
    dns: parseDns({
      ...objectAt(configuration, 'dns'),
      ...objectAt(runtimeConfig, 'dns', 'runtimeConfig.dns'),
    }),
    requested: { ips: requestedIps(runtimeConfig, cniArgs, args), ...(mac === undefined ? {} : { mac }) },
    ...(mtu === undefined ? {} : { mtu }),
    ...(previous === undefined || previous === null ? {} : { prevResult: parsePreviousResult(previous) }),
    ...(Object.hasOwn(configuration, 'cni.dev/valid-attachments')
      ? { validAttachments: parseAttachments(configuration) }
      : {}),
  };
}

function parseName(name: unknown): string {
  if (typeof name === 'string' && name.length <= LONGEST_NAME && /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
    return name;
  throw refuseField(
    'name',
    name,
    `name the network, with letters, digits, and inside also _ . -, at most ${LONGEST_NAME} of them`,
  );
}

/** The strongest source counts alone: runtimeConfig, then args.cni, then CNI_ARGS. */
function requestedIps(
  runtimeConfig: JsonObject,
  cniArgs: JsonObject,
  args: Readonly<Record<string, string>>,
): Ip[] {
  const [field, texts] = Object.hasOwn(runtimeConfig, 'ips')
    ? ['runtimeConfig.ips', listAt(runtimeConfig, 'ips')]
    : Object.hasOwn(cniArgs, 'ips')
      ? ['args.cni.ips', listAt(cniArgs, 'ips')]
      : ['CNI_ARGS IP', args['IP'] === undefined ? [] : args['IP'].split(',')];
  const ips = texts.map((text) => parseRequestedIp(field as string, text));
  for (const family of [4, 6] as const) {
    if (ips.filter((ip) => ipFamily(ip) === family).length > 1) {
      throw refuseField(field as string, texts, 'ask for at most one address per family');
    }
  }
  return ips;
}

/** With or without a prefix length, which says nothing that Fairlead does not know. */
function parseRequestedIp(field: string, text: unknown): Ip {
  try {
    return parseIp(String(text).replace(/\/\d{1,3}$/, ''));
  } catch {
    throw refuseField(field, text, 'write an address such as 10.244.0.7');
  }
}

function requestedMac(
  runtimeConfig: JsonObject,
  cniArgs: JsonObject,
  args: Readonly<Record<string, string>>,
): Mac | undefined {
  const text =
    textAt(runtimeConfig, 'mac', 'runtimeConfig.mac') ??
    textAt(cniArgs, 'mac', 'args.cni.mac') ??
    args['MAC'];
  if (text === undefined || text === '') return undefined;
  let mac: Mac | undefined;
  try {
    mac = parseMac(text);
  } catch {
    mac = undefined;
  }
  if (mac === undefined || !isUnicastMac(mac))
    throw refuseField('mac', text, 'write a unicast address such as 02:42:0a:f4:00:07');
  return mac;
}

function parseDns(dns: JsonObject): Dns {
  const texts = (name: string) => {
    const list = listAt(dns, name, `dns.${name}`);
    if (!list.every((item) => typeof item === 'string'))
      throw refuseField(`dns.${name}`, list, 'write a list of texts');
    return list.length === 0 ? {} : { [name]: list };
  };
  const domain = textAt(dns, 'domain', 'dns.domain');
  return {
    ...texts('nameservers'),
    ...(domain === undefined ? {} : { domain }),
    ...texts('search'),
    ...texts('options'),
  };
}

function parseAttachments(configuration: JsonObject): AttachmentReference[] {
  const field = 'cni.dev/valid-attachments';
  return listAt(configuration, field).map((item) => {
    const containerId = isObject(item) ? textAt(item, 'containerID') : undefined;
    const ifname = isObject(item) ? textAt(item, 'ifname') : undefined;
    // An entry that cannot be read might be the one that keeps a pod alive: nothing is released on a guess.
    if (!containerId || !ifname) throw refuseField(field, item, 'list objects with containerID and ifname');
    return { containerId, ifname };
  });
}
