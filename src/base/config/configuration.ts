/** The configuration as typed values, and what a change of it means. */

import type { Cidr } from '../ip/cidr.ts';
import type { Ip } from '../ip/ip.ts';
import type { LogSettings } from '../log/logger.ts';
import type { Backend } from './backend.ts';
import { KEYS } from './keys.ts';
import type { ListSettings } from './network-list.ts';

export type Configuration = {
  podNetwork: readonly Cidr[];
  /** Bits. */
  nodePrefixLength: number;
  nodePrefixLength6: number;
  backend: Backend;
  vxlan: { port: number; vni: number };
  /** Bytes. */
  mtu: 'auto' | number;
  masquerade: { enabled: boolean; exclude: readonly Cidr[] };
  conntrack: 'auto' | 'always';
  node: { name: string; addresses: readonly Ip[] };
  cluster: {
    source: 'directory' | 'kubernetes';
    directory: string;
    kubeconfig: string;
    startupTaint: string;
    reportNamespace: string;
    assignRanges: 'auto' | 'never';
    serviceNetwork: readonly Cidr[];
  };
  paths: { socketDirectory: string; stateDirectory: string; sysctlDirectory: string };
  /** Files of the container runtime; empty folders are left alone. */
  cni: Pick<ListSettings, 'networkName' | 'listVersion' | 'capabilities'> & {
    binDirectory: string;
    confDirectory: string;
    fileName: string;
    /** A name, or `namespace/name`. */
    daemonSet: string;
  };
  host: { systemdDirectory: string; networkManagerDirectory: string };
  resyncSeconds: number;
  policy: { events: boolean };
  services: {
    mode: 'auto' | 'on' | 'off';
    /** Empty: primary ones. */
    nodePortAddresses: readonly Cidr[];
    masqueradeAll: boolean;
    healthAddress: string;
  };
  probes: { intervalSeconds: number };
  metrics: { address: string; policyNames: boolean };
  log: LogSettings;
};

export type ConfigurationChange = {
  /** Keys that take effect now. */
  live: string[];
  /** Keys that wait for a restart, with the reason. */
  restart: { path: string; reason: string }[];
};

export function compareConfigurations(before: Configuration, after: Configuration): ConfigurationChange {
  const change: ConfigurationChange = { live: [], restart: [] };
  for (const { path, reload } of KEYS) {
    if (JSON.stringify(valueAt(before, path)) === JSON.stringify(valueAt(after, path))) continue;
    if (reload === 'live') change.live.push(path);
    else change.restart.push({ path, reason: reload.restart });
  }
  return change;
}

function valueAt(configuration: Configuration, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], configuration);
}
