/** What a configuration says and Fairlead does not do, for the log. */
import { nearestName } from '../../../base/errors/nearest.ts';
import type { JsonObject } from '../json.ts';

const OWN_KEYS = ['agentSocket', 'stateDirectory', 'mtu'];
/** Keys of the specification and its conventions. */
const KNOWN_KEYS = new Set([
  ...OWN_KEYS,
  'cniVersion',
  'cniVersions',
  'name',
  'type',
  'capabilities',
  'runtimeConfig',
  'args',
  'dns',
  'prevResult',
  'cni.dev/valid-attachments',
  'cni.dev/attachments',
  'disableCheck',
  'disableGC',
  'loadOnlyInlinedPlugins',
]);
const IGNORED_KEYS: Readonly<Record<string, string>> = {
  ipam: 'the agent gives addresses of the node’s range',
  ipMasq: 'masquerade.enabled of the agent’s configuration says so for all pods',
};
const KNOWN_CAPABILITIES = new Set(['portMappings', 'bandwidth', 'ips', 'mac', 'dns']);
const IGNORED_CAPABILITIES: Readonly<Record<string, string>> = {
  ipRanges: 'the agent gives addresses of the node’s range',
  aliases: 'Fairlead serves no names',
  cgroupPath: 'Fairlead needs no control group',
  deviceID: 'a pod’s interface is a veth',
  infinibandGUID: 'a pod’s interface is a veth',
  'io.kubernetes.cri.pod-annotations': 'Fairlead reads no annotations from here',
};

/** One sentence per key that has no effect. Unknown keys are allowed; one that looks like ours is probably a slip. */
export function noticesOf(configuration: JsonObject, runtimeConfig: JsonObject): string[] {
  return [
    ...Object.keys(configuration).flatMap((key) => noticeOfKey(key)),
    ...Object.keys(runtimeConfig)
      .filter((key) => !KNOWN_CAPABILITIES.has(key))
      .map(
        (key) =>
          `runtimeConfig.${shorten(key)} has no effect: ${reasonIn(IGNORED_CAPABILITIES, key) ?? 'Fairlead does not know it'}`,
      ),
  ];
}

function noticeOfKey(key: string): string[] {
  if (KNOWN_KEYS.has(key)) return [];
  const reason = reasonIn(IGNORED_KEYS, key);
  if (reason !== undefined) return [`${key} has no effect: ${reason}`];
  const meant = nearestName(key, OWN_KEYS);
  return meant === undefined
    ? []
    : [`${shorten(key)} has no effect: Fairlead does not know it; perhaps ${meant} was meant`];
}

function reasonIn(reasons: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(reasons, key) ? reasons[key] : undefined;
}

function shorten(key: string): string {
  return key.length > 64 ? `${key.slice(0, 64)}…` : key;
}
