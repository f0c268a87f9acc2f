/** Options that the lab's commands share. */

import { nearestName } from '../../src/base/errors/nearest.ts';
import { type Options, usageError } from '../../src/cli/command.ts';
import { DEFAULT_OPTIONS, LAB_FAMILIES, type LabFamily, type LabOptions } from '../topology.ts';

export const NAME_OPTION = { name: { type: 'string' } } as const;
export const NAME_HELP = {
  name: 'name of the lab (default: default); labs of different names run side by side',
};

export function labName({ name }: Options): string {
  return typeof name === 'string' ? name : DEFAULT_OPTIONS.name;
}

export const UP_OPTIONS = {
  ...NAME_OPTION,
  nodes: { type: 'string' },
  subnets: { type: 'string' },
  pods: { type: 'string' },
  backend: { type: 'string' },
  mtu: { type: 'string' },
  cni: { type: 'string' },
  family: { type: 'string' },
  ranges: { type: 'string' },
  api: { type: 'boolean' },
  zones: { type: 'string' },
  dns: { type: 'boolean' },
  services: { type: 'boolean' },
} as const;

export const UP_HELP = {
  ...NAME_HELP,
  nodes: 'how many nodes (default 2, up to 128)',
  subnets: 'how many networks they are spread over, with a router between (default 1)',
  pods: 'how many pods each node starts with (default 2)',
  backend: 'auto, vxlan or host-gw (default auto)',
  mtu: 'MTU of the network between the nodes in bytes (default 1500)',
  cni: 'fairlead, or none: what happens without a pod network (default fairlead)',
  family: 'addresses of nodes and pods: ipv4, ipv6 or dual (default ipv4)',
  ranges: 'who assigns the ranges of the nodes: cluster or agents (default cluster)',
  api: 'start the Kubernetes API too, for kubectl',
  zones: 'how many zones the nodes are spread over, by label (default 0: none)',
  dns: 'start a cluster DNS too, and let pods ask it (needs --api)',
  services: 'let agents serve the services of the cluster (needs --api)',
};

export function parseUpOptions(options: Options): LabOptions {
  const number = (name: 'nodes' | 'subnets' | 'pods' | 'mtu' | 'zones') => {
    const text = options[name];
    return text === undefined
      ? DEFAULT_OPTIONS[name]
      : /^\d{1,6}$/.test(String(text))
        ? Number(text)
        : Number.NaN;
  };
  return {
    name: labName(options),
    nodes: number('nodes'),
    subnets: number('subnets'),
    pods: number('pods'),
    mtu: number('mtu'),
    backend: choice(options, 'backend', ['auto', 'vxlan', 'host-gw']),
    cni: choice(options, 'cni', ['fairlead', 'none']),
    family: choice(options, 'family', LAB_FAMILIES),
    ranges: choice(options, 'ranges', ['cluster', 'agents']),
    api: options['api'] === true,
    zones: number('zones'),
    dns: options['dns'] === true,
    services: options['services'] === true,
  };
}

/** What `--family` asks for of a lab that is up; all that it has where nothing is asked. */
export function parseFamily(options: Options, lab: LabFamily): LabFamily {
  const family = options['family'] === undefined ? lab : choice(options, 'family', LAB_FAMILIES);
  if (lab === 'dual' || lab === family) return family;
  throw usageError(
    `--family: ${family} cannot be proven, the lab is ${lab}; bring one up with 'fairlead lab up --family ${family}'`,
  );
}

function choice<K extends 'backend' | 'cni' | 'family' | 'ranges'>(
  options: Options,
  name: K,
  of: readonly LabOptions[K][],
): LabOptions[K] {
  const said = options[name];
  if (said === undefined) return DEFAULT_OPTIONS[name];
  const found = of.find((candidate) => candidate === said);
  if (found !== undefined) return found;
  const nearest = nearestName(String(said), of);
  throw usageError(
    `--${name}: ${JSON.stringify(said)} does not fit; use ${of.join(', ')}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
  );
}
