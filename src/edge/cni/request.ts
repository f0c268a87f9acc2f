/** A CNI call, wholly validated: nothing behind this looks at environment or JSON again. */
import { assertNever } from '../../base/errors/errors.ts';
import type { PodName } from '../../plan/pod/attachment.ts';
import {
  type NetworkConfiguration,
  type NetworkIdentity,
  parseConfiguration,
  parseIdentity,
  parseValidAttachments,
} from './configuration.ts';
import {
  type Environment,
  mayBeOwnNamespace,
  parseArgs,
  parseCommand,
  parseContainerId,
  parseIfname,
  requireVariables,
} from './environment.ts';
import { CniError } from './errors.ts';
import { decodeObject, type JsonObject } from './json.ts';
import { type CniVersion, isAtLeast } from './version.ts';

export type AttachmentName = { containerId: string; ifname: string };

export type Attaching = AttachmentName & {
  /** Path of the pod's network namespace. */
  netns: string;
  /** What to do where it is the node's own: the specification's Go library has a variable for its tests. */
  ownNamespace: 'refused' | 'allowed';
  pod?: PodName;
  configuration: NetworkConfiguration;
};

export type CniRequest =
  | ({ command: 'ADD' | 'CHECK' } & Attaching)
  /** The namespace may be gone, and whatever else the configuration says may be wrong. */
  | ({ command: 'DEL'; configuration: NetworkIdentity } & AttachmentName)
  | { command: 'GC'; configuration: NetworkIdentity & Required<Pick<NetworkIdentity, 'validAttachments'>> }
  | { command: 'STATUS'; configuration: NetworkConfiguration }
  | { command: 'VERSION' };

/** The first version in which a configuration can ask for a command. */
const SINCE: Partial<Record<string, CniVersion>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' };

/** @throws CniError, and nothing else, for whatever comes. */
export function parseRequest(environment: Environment, stdin: string): CniRequest {
  const command = parseCommand(environment);
  if (command === 'VERSION') return { command };
  requireVariables(command, environment);
  const input = decodeObject(stdin);
  const identity = parseIdentity(input);
  requireVersion(command, identity.cniVersion);
  switch (command) {
    case 'GC':
      return { command, configuration: { ...identity, validAttachments: requireAttachments(input) } };
    case 'STATUS':
      return { command, configuration: parseConfiguration(input, {}) };
    case 'DEL':
      return { command, ...parseName(environment), configuration: identity };
    case 'ADD':
      return { command, ...parseAttaching(environment, input) };
    case 'CHECK': {
      const attaching = parseAttaching(environment, input);
      if (attaching.configuration.prevResult !== undefined) return { command, ...attaching };
      throw new CniError(
        'INVALID_CONFIGURATION',
        'prevResult: is missing; give the result of the ADD, with which CHECK compares',
      );
    }
    default:
      return assertNever(command);
  }
}

function parseAttaching(environment: Environment, input: JsonObject): Attaching {
  const args = parseArgs(environment['CNI_ARGS'] ?? '');
  const pod = podName(args);
  return {
    ...parseName(environment),
    netns: environment['CNI_NETNS'] ?? '',
    ownNamespace: mayBeOwnNamespace(environment) ? 'allowed' : 'refused',
    configuration: parseConfiguration(input, args),
    ...(pod === undefined ? {} : { pod }),
  };
}

function parseName(environment: Environment): AttachmentName {
  return {
    containerId: parseContainerId(environment['CNI_CONTAINERID'] ?? ''),
    ifname: parseIfname(environment['CNI_IFNAME'] ?? ''),
  };
}

function requireVersion(command: string, version: CniVersion): void {
  const since = SINCE[command];
  if (since === undefined || isAtLeast(version, since)) return;
  throw new CniError(
    'INCOMPATIBLE_VERSION',
    `cniVersion: ${version} has no ${command}; use ${since} or later`,
  );
}

function requireAttachments(input: JsonObject): NonNullable<NetworkIdentity['validAttachments']> {
  const attachments = parseValidAttachments(input);
  if (attachments !== undefined) return attachments;
  throw new CniError(
    'INVALID_CONFIGURATION',
    'cni.dev/valid-attachments: is missing, and without it every attachment would be invalid; list what shall stay',
  );
}

/** As far as the runtime says so, and in the form of Kubernetes' names: they stand in an interface's alias. */
function podName(args: Environment): PodName | undefined {
  const { K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name } = args;
  return namespace && name && /^[a-z0-9.-]+$/.test(namespace + name) ? { namespace, name } : undefined;
}
