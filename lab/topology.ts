/** What a lab consists of, from a few options: nodes, the networks between them, their ranges and pods. */

import type { Backend } from '../src/base/config/backend.ts';
import { FairleadError } from '../src/base/errors/errors.ts';
import { type Cidr, makeCidr, nthIp, nthSubnet, parseCidr } from '../src/base/ip/cidr.ts';
import { type Ip, type IpFamily, parseIp } from '../src/base/ip/ip.ts';
import { type Mac, macFromSeed } from '../src/base/ip/mac.ts';

export const LAB_FAMILIES = ['ipv4', 'ipv6', 'dual'] as const;
export type LabFamily = (typeof LAB_FAMILIES)[number];

export type LabOptions = {
  name: string;
  nodes: number;
  /** Networks that the nodes are spread over, with a router between them. */
  subnets: number;
  /** Pods that each node starts with. */
  pods: number;
  backend: Backend;
  /** MTU of the underlay in bytes. */
  mtu: number;
  /** `none`: every node gives its pods addresses by itself, as a container engine does without a pod network. */
  cni: 'fairlead' | 'none';
  family: LabFamily;
  /** Who assigns the nodes' ranges: the cluster, as a controller manager does, or the agents among themselves. */
  ranges: 'cluster' | 'agents';
  /** Whether the lab has a Kubernetes API from its start. */
  api: boolean;
  /** Zones that the nodes are spread over; none where 0. */
  zones: number;
  /** Whether the cluster has a DNS of its own; it needs the API. */
  dns: boolean;
  /** Whether agents serve the services of the API. */
  services: boolean;
};

export const DEFAULT_OPTIONS: LabOptions = {
  name: 'default',
  nodes: 2,
  subnets: 1,
  pods: 2,
  backend: 'auto',
  mtu: 1500,
  cni: 'fairlead',
  family: 'ipv4',
  ranges: 'cluster',
  api: false,
  zones: 0,
  dns: false,
  services: false,
};

/** What there is one of per family comes as a list, IPv4 first; where one is enough, it is the first. */
export type LabSubnet = { range: Cidr; gateway: Ip; ranges: Cidr[]; gateways: Ip[]; bridge: string };
export type LabNode = {
  name: string;
  address: Ip;
  addresses: Ip[];
  mac: Mac;
  subnet: number;
  podCidr: Cidr;
  podCidrs: Cidr[];
  namespace: string;
};
export type LabPodPlan = { name: string; node: string };

export type LabPlan = {
  options: LabOptions;
  podNetwork: Cidr[];
  subnets: LabSubnet[];
  nodes: LabNode[];
  pods: LabPodPlan[];
  underlay: { namespace: string };
  /** A host outside of the cluster (addresses for documentation: RFC 5737, RFC 3849). */
  world: { namespace: string; address: Ip; addresses: Ip[]; gateways: Ip[] };
};

const POD_NETWORK = { 4: parseCidr('10.244.0.0/16'), 6: parseCidr('fd00:10:244::/48') };
const WORLD = { 4: parseCidr('203.0.113.0/24'), 6: parseCidr('2001:db8::/64') };
const NODE_PREFIX = { 4: 24, 6: 64 } as const;

export function familiesOf({ family }: Pick<LabOptions, 'family'>): IpFamily[] {
  return family === 'dual' ? [4, 6] : [family === 'ipv4' ? 4 : 6];
}

function subnetRange(family: IpFamily, number: number): Cidr {
  return family === 4
    ? makeCidr(parseIp(`192.168.${number}.0`), 24)
    : makeCidr(parseIp(`fd00:192:168:${number}::`), 64);
}

export function planLab(options: LabOptions): LabPlan {
  checkOptions(options);
  const { name, nodes, subnets, pods } = options;
  const families = familiesOf(options);
  const networks = Array.from({ length: subnets }, (_, index): LabSubnet => {
    const ranges = families.map((family) => subnetRange(family, index + 1));
    const gateways = ranges.map((range) => nthIp(range, 1));
    return { range: ranges[0]!, gateway: gateways[0]!, ranges, gateways, bridge: `subnet${index + 1}` };
  });
  const plannedNodes = Array.from({ length: nodes }, (_, index): LabNode => {
    const subnet = index % subnets;
    // The textbook's addresses: 192.168.1.2, 192.168.1.3 …
    const addresses = networks[subnet]!.ranges.map((range) => nthIp(range, 2 + Math.floor(index / subnets)));
    // Without a pod network every node begins with the same range: it knows of no others.
    const slice = options.cni === 'none' ? 0 : index;
    const podCidrs = families.map((family) => nthSubnet(POD_NETWORK[family], NODE_PREFIX[family], slice));
    return {
      name: `node-${index + 1}`,
      address: addresses[0]!,
      addresses,
      mac: macFromSeed(`lab ${name} node ${index + 1}`),
      subnet,
      podCidr: podCidrs[0]!,
      podCidrs,
      namespace: namespaceName(name, `node-${index + 1}`),
    };
  });
  return {
    options,
    podNetwork: families.map((family) => POD_NETWORK[family]),
    subnets: networks,
    nodes: plannedNodes,
    pods: plannedNodes.flatMap((node, index) =>
      Array.from({ length: pods }, (_, pod) => ({ name: `pod-${index * pods + pod + 1}`, node: node.name })),
    ),
    underlay: { namespace: namespaceName(name, 'underlay') },
    world: {
      namespace: namespaceName(name, 'world'),
      address: nthIp(WORLD[families[0]!], 10),
      addresses: families.map((family) => nthIp(WORLD[family], 10)),
      gateways: families.map((family) => nthIp(WORLD[family], 1)),
    },
  };
}

/** The label `topology.kubernetes.io/zone` of a node; undefined in a lab without zones. */
export function zoneOf({ options, nodes }: LabPlan, node: string): string | undefined {
  const index = nodes.findIndex(({ name }) => name === node);
  return options.zones > 0 && index >= 0 ? `zone-${(index % options.zones) + 1}` : undefined;
}

/** Every namespace of a lab begins with its prefix, and no other lab's does: lab names have no dash. */
export function namespaceName(lab: string, thing: string): string {
  return `${namespacePrefix(lab)}${thing}`;
}

export function namespacePrefix(lab: string): string {
  return `fl-${lab}-`;
}

export function checkLabName(name: string): void {
  if (!/^[a-z0-9]{1,16}$/.test(name)) {
    throw refuse(`--name: ${JSON.stringify(name)} does not fit; use 1 to 16 lower-case letters and digits`);
  }
}

/** Also a word in file names and namespace names. */
export function checkPodName(name: string): void {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
    throw refuse(
      `pod name: ${JSON.stringify(name)} does not fit; use up to 63 lower-case letters, digits and dashes`,
    );
  }
}

function checkOptions(options: LabOptions): void {
  const { name, nodes, subnets, pods, mtu, cni, family, zones } = options;
  checkLabName(name);
  checkNumber('--nodes', nodes, 1, 128);
  checkNumber('--subnets', subnets, 1, 16);
  checkNumber('--pods', pods, 0, 100);
  checkNumber('--mtu', mtu, 1280, 65535);
  checkNumber('--zones', zones, 0, 16);
  if (options.services && !options.api)
    throw refuse('--services: they are objects in the API; use --api with it');
  if (options.dns && !options.api)
    throw refuse('--dns: the names are those of objects in the API; use --api with it');
  if (cni === 'none' && family !== 'ipv4')
    throw refuse('--cni: none is IPv4 alone; use --family ipv4 with it');
  if (subnets > nodes)
    throw refuse(
      `--subnets: ${subnets} networks for ${nodes} nodes leave some empty; use at most one per node`,
    );
}

function checkNumber(option: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw refuse(
      `${option}: ${Number.isNaN(value) ? 'not a number' : value} does not fit; use ${least} to ${most}`,
    );
  }
}

function refuse(message: string): FairleadError {
  return new FairleadError('FL_USAGE', message);
}
