/** The network configuration on standard input (specification, "Plugin configuration objects"), as far as Fairlead uses it. */
import { type Bandwidth, parseBandwidth } from './capability/bandwidth.ts';
import { type Dns, parseDns, parseRuntimeDns } from './capability/dns.ts';
import { type PortMapping, parsePortMappings } from './capability/port-mapping.ts';
import { parseRequested, type Requested } from './capability/requested.ts';
import type { Environment } from './environment.ts';
import {
  defined,
  integerAt,
  isObject,
  type JsonObject,
  listAt,
  objectAt,
  own,
  refuseField,
  textAt,
} from './json.ts';
import { noticesOf } from './result/notice.ts';
import { type PreviousResult, parsePreviousResult } from './result/previous-result.ts';
import { type CniVersion, parseVersion } from './version.ts';

export type AttachmentReference = { containerId: string; ifname: string };

/** All that DEL and GC need: a slip elsewhere in the configuration must not keep anything from being released. */
export type NetworkIdentity = {
  cniVersion: CniVersion;
  name: string;
  /** What is valid, for GC: everything else of this network is not. Absent where the call is no GC. */
  validAttachments?: readonly AttachmentReference[];
};

export type NetworkConfiguration = NetworkIdentity & {
  /** MTU of the pod's interface in bytes; absent: what fits the path. */
  mtu?: number;
  dns: Dns;
  prevResult?: PreviousResult;
  requested: Requested;
  portMappings: readonly PortMapping[];
  bandwidth?: Bandwidth;
  /** One sentence per key that has no effect. */
  notices: readonly string[];
};

/** Bytes. */
const MTU_BOUNDS = [68, 65535] as const;
/** Characters. */
const LONGEST_NAME = 64;

export function parseIdentity(configuration: JsonObject): NetworkIdentity {
  return {
    cniVersion: parseVersion(own(configuration, 'cniVersion')),
    name: parseName(own(configuration, 'name')),
  };
}

export function parseConfiguration(configuration: JsonObject, args: Environment): NetworkConfiguration {
  const identity = parseIdentity(configuration);
  const runtimeConfig = objectAt(configuration, 'runtimeConfig');
  const cniArgs = objectAt(objectAt(configuration, 'args'), 'cni', 'args.cni');
  return {
    ...identity,
    dns: {
      ...parseDns(objectAt(configuration, 'dns'), 'dns'),
      ...parseRuntimeDns(objectAt(runtimeConfig, 'dns', 'runtimeConfig.dns'), 'runtimeConfig.dns'),
    },
    requested: parseRequested(runtimeConfig, cniArgs, args),
    portMappings: parsePortMappings(runtimeConfig),
    notices: noticesOf(configuration, runtimeConfig),
    ...defined({
      mtu: integerAt(configuration, 'mtu', MTU_BOUNDS),
      prevResult: parsePreviousResult(own(configuration, 'prevResult')),
      bandwidth: parseBandwidth(runtimeConfig),
    }),
  };
}

/**
 * The attachments that GC shall keep. Null is an empty list, as runtimes in Go write it.
 * @returns undefined when the configuration names none at all, which is not the same as an empty list.
 */
export function parseValidAttachments(configuration: JsonObject): AttachmentReference[] | undefined {
  // The second name is that of an earlier text of the specification; runtimes send both.
  const field = ['cni.dev/valid-attachments', 'cni.dev/attachments'].find((name) =>
    Object.hasOwn(configuration, name),
  );
  if (field === undefined) return undefined;
  return listAt(configuration, field).map((item) => {
    const containerId = isObject(item) ? textAt(item, 'containerID', `${field}.containerID`) : undefined;
    const ifname = isObject(item) ? textAt(item, 'ifname', `${field}.ifname`) : undefined;
    // An entry that cannot be read might be the one that keeps a pod alive: nothing is released on a guess.
    if (!containerId || !ifname) throw refuseField(field, item, 'list objects with containerID and ifname');
    return { containerId, ifname };
  });
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
