/** Where an address leads in this cluster, seen from one node: at a pod, at a node, outside, or nowhere. */

import { type Cidr, cidrContains, parseCidr } from '../../../base/ip/cidr.ts';
import { familyBits, type Ip, ipFamily, ipFromBigInt, ipToBigInt } from '../../../base/ip/ip.ts';
import { isUnspecified, type PortMapping } from '../../../edge/cni/capability/port-mapping.ts';
import { gatewayOf } from '../../ipam/allocate.ts';
import { nameOf } from '../compile/clause.ts';
import { compareClaims, hasNetwork } from '../compile/population.ts';
import type { PolicyNode, PolicyPod } from '../parse/objects.ts';

export type Place =
  /** The pod's name is absent where its runtime told none. */
  | { at: 'pod'; pod?: string; node?: string }
  /** An address of the node itself; `pod` where one in the network of the node was named. */
  | { at: 'node'; node: string; pod?: string }
  /** In the range of a node, and no pod has it. */
  | { at: 'no-pod'; node: string }
  /** In the pod network, and in the range of no node. */
  | { at: 'no-node' }
  /** Never leaves the network in which it is used. */
  | { at: 'loopback' }
  /** Ends at the first link: nothing forwards it. */
  | { at: 'multicast' | 'broadcast' | 'link-local' }
  /** Outside, and the node on which packets begin has no route there. */
  | { at: 'no-route'; node: string }
  | { at: 'outside' };

/** A node as far as addresses go. */
export type PlacedNode = PolicyNode & {
  internalIps: readonly Ip[];
  /** Of its pods; the first address of each is its own. */
  podCidrs: readonly Cidr[];
};

/** What the kernel of the answering node holds: truer than what the cluster tells of it. */
export type LocalView = {
  node: string;
  addresses: readonly { ip: Ip; prefixLength: number }[];
  /** Whether its routes lead to an address outside; absent where that depends on more than the destination. */
  isRouted?: (ip: Ip) => boolean;
  attached: readonly {
    pod?: { namespace: string; name: string };
    ips: readonly Ip[];
    portMappings?: readonly PortMapping[];
  }[];
};

export type Places = {
  local: LocalView;
  pods: readonly PolicyPod[];
  nodes: readonly PlacedNode[];
  podNetwork: readonly Cidr[];
};

const LOOPBACK = ranges('127.0.0.0/8', '0.0.0.0/32', '::1/128', '::/128');
const MULTICAST = ranges('224.0.0.0/4', 'ff00::/8');
/** Of IPv4 they are routed like others: that of a cloud's metadata is one. */
const LINK_LOCAL = ranges('fe80::/10');
const EVERYONE = '255.255.255.255';

/** @param from the node on which the packet is routed first; undefined outside of the cluster. */
export function placeOf(places: Places, ip: Ip, from: string | undefined): Place {
  const { local, pods, nodes, podNetwork } = places;
  if (isIn(LOOPBACK, ip)) return { at: 'loopback' };
  if (isIn(MULTICAST, ip)) return { at: 'multicast' };
  const attached = local.attached.find(({ ips }) => ips.includes(ip));
  if (attached !== undefined) {
    const { pod } = attached;
    return { at: 'pod', ...(pod === undefined ? {} : { pod: nameOf(pod) }), node: local.node };
  }
  // Addresses that it never reports are its own all the same, to what it routes itself.
  if (from === local.node && local.addresses.some((one) => one.ip === ip))
    return { at: 'node', node: local.node };
  if (isIn(LINK_LOCAL, ip)) return { at: 'link-local' };
  const node = nodes.find(
    ({ ips, podCidrs }) => ips.includes(ip) || podCidrs.some((one) => gatewayOf(one) === ip),
  );
  if (node !== undefined) return { at: 'node', node: node.name };
  if (ip === EVERYONE || (from === local.node && local.addresses.some((own) => broadcastOf(own) === ip)))
    return { at: 'broadcast' };
  // What runs here is attached here: the cluster may be told of an end only later.
  const pod = pods
    .filter((one) => one.nodeName !== local.node && hasNetwork(one) && one.podIPs.includes(ip))
    .toSorted(compareClaims)
    .at(-1);
  if (pod !== undefined)
    return {
      at: 'pod',
      pod: nameOf(pod),
      ...(pod.nodeName === undefined || pod.nodeName === '' ? {} : { node: pod.nodeName }),
    };
  const owner = nodes.find((one) => one.podCidrs.some((range) => cidrContains(range, ip)));
  if (owner !== undefined) return { at: 'no-pod', node: owner.name };
  if (podNetwork.some((range) => cidrContains(range, ip))) return { at: 'no-node' };
  const isLost = from === local.node && local.isRouted?.(ip) === false;
  return isLost ? { at: 'no-route', node: local.node } : { at: 'outside' };
}

/** On which node what is sent from there is routed first. */
export function nodeOf(place: Place): string | undefined {
  return place.at === 'pod' || place.at === 'node' ? place.node : undefined;
}

/** As it stands in the cluster: what the node's own kernel says of ports counts where that is known. */
export type Translation = { pod?: string; node: string; ip: Ip; port: number };

/** Where a port of a node leads, if a pod has it. @param to address of the node; its loopback from itself alone. */
export function findHostPort(
  { local, pods }: Pick<Places, 'local' | 'pods'>,
  node: string,
  to: { ip: Ip; protocol: string; port: number | undefined },
): Translation | undefined {
  const owners =
    node === local.node
      ? local.attached.map(({ pod, ips, portMappings = [] }) => ({
          pod: pod === undefined ? undefined : nameOf(pod),
          ips,
          mappings: portMappings.map((one) => ({ ...one, protocol: one.protocol.toUpperCase() })),
        }))
      : pods
          .filter((pod) => pod.nodeName === node && hasNetwork(pod))
          .map((pod) => ({ pod: nameOf(pod), ips: pod.podIPs, mappings: pod.hostPorts ?? [] }));
  const family = ipFamily(to.ip);
  const leads = (isAddressed: boolean): Translation | undefined => {
    for (const { pod, ips, mappings } of owners) {
      const ip = ips.find((one) => ipFamily(one) === family);
      const mapping = mappings.find(
        ({ protocol, hostPort, hostIp }) =>
          protocol === to.protocol &&
          hostPort === to.port &&
          (isAddressed
            ? hostIp === to.ip
            : hostIp === undefined || (isUnspecified(hostIp) && ipFamily(hostIp) === family)),
      );
      if (ip !== undefined && mapping !== undefined)
        return { ...(pod === undefined ? {} : { pod }), node, ip, port: mapping.containerPort };
    }
    return undefined;
  };
  // One address of the node's is more particular than all of them.
  return leads(true) ?? leads(false);
}

function broadcastOf({ ip, prefixLength }: { ip: Ip; prefixLength: number }): Ip | undefined {
  const family = ipFamily(ip);
  const bits = familyBits(family) - prefixLength;
  if (family === 6 || bits < 2) return undefined;
  return ipFromBigInt(ipToBigInt(ip) | ((1n << BigInt(bits)) - 1n), family);
}

function isIn(among: readonly Cidr[], ip: Ip): boolean {
  return among.some((range) => cidrContains(range, ip));
}

function ranges(...texts: readonly string[]): Cidr[] {
  return texts.map((text) => parseCidr(text));
}
