/** A CNI call, wholly validated: nothing behind this looks at environment or JSON again. */
import type { PodName } from '../pod/attachment.ts';
import { decodeConfiguration, type NetworkConfiguration, parseConfiguration } from './configuration.ts';
import {
  type Environment,
  parseArgs,
  parseCommand,
  parseContainerId,
  parseIfname,
  requireVariables,
} from './environment.ts';
import { CniError } from './errors.ts';
import { type CniVersion, isAtLeast } from './version.ts';

export type Attaching = {
  containerId: string;
  ifname: string;
  /** Path of the pod's network namespace. */
  netns: string;
  pod?: PodName;
  configuration: NetworkConfiguration;
};

export type CniRequest =
  | ({ command: 'ADD' | 'CHECK' } & Attaching)
  /** The namespace may be gone. */
  | ({ command: 'DEL' } & Omit<Attaching, 'netns'>)
  | { command: 'GC' | 'STATUS'; configuration: NetworkConfiguration }
  | { command: 'VERSION' };

/** The first version in which a configuration can ask for a command. */
const SINCE: Partial<Record<string, CniVersion>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' };

export function parseRequest(environment: Environment, stdin: string): CniRequest {
  const command = parseCommand(environment);
  if (command === 'VERSION') return { command };
  requireVariables(command, environment);
  const args = parseArgs(environment['CNI_ARGS'] ?? '');
  const configuration = parseConfiguration(decodeConfiguration(stdin), args);
  const since = SINCE[command];
  if (since !== undefined && !isAtLeast(configuration.cniVersion, since)) {
    throw new CniError(
      'INCOMPATIBLE_VERSION',
      `cniVersion: ${configuration.cniVersion} has no ${command}; use ${since} or later`,
    );
  }
  if (command === 'STATUS') return { command, configuration };
  if (command === 'GC') {
    if (configuration.validAttachments === undefined) {
      throw new CniError(
        'INVALID_CONFIGURATION',
        'cni.dev/valid-attachments: is missing, and without it every attachment would be invalid; list what shall stay',
      );
    }
    return { command, configuration };
  }
  const name = podName(args);
  const attaching = {
    containerId: parseContainerId(environment['CNI_CONTAINERID'] ?? ''),
    ifname: parseIfname(environment['CNI_IFNAME'] ?? ''),
    configuration,
    ...(name === undefined ? {} : { pod: name }),
  };
  if (command === 'DEL') return { command, ...attaching };
  if (command === 'CHECK' && configuration.prevResult === undefined) {
    throw new CniError(
      'INVALID_CONFIGURATION',
      'prevResult: is missing; CHECK compares with the result of the ADD',
    );
  }
  return { command, ...attaching, netns: environment['CNI_NETNS'] ?? '' };
}

function podName(args: Readonly<Record<string, string>>): PodName | undefined {
  const { K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name } = args;
  // The names stand in an interface's alias, between spaces.
  return namespace && name && /^[a-z0-9.-]+$/.test(namespace + name) ? { namespace, name } : undefined;
}
