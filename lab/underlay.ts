/**
 * The network between the nodes, in a namespace of its own: a bridge per subnet, a router between them and to the
 * world. The router drops pods' addresses, as a fabric does that knows nothing of pods: what crosses it is tunnelled.
 */

import { type Cidr, cidrFamily } from '../src/base/ip/cidr.ts';
import { type Ip, ipFamily } from '../src/base/ip/ip.ts';
import { linkLocalOf, macFromSeed } from '../src/base/ip/mac.ts';
import { NetworkNamespace } from '../src/edge/netlink/namespace.ts';
import { NUD_PERMANENT } from '../src/edge/netlink/objects.ts';
import { openKernel } from '../src/edge/netlink/rtnetlink.ts';
import { createNamespaces, ipBatch, namespacePath, run } from './namespaces.ts';
import type { LabNode, LabPlan } from './topology.ts';

export async function buildUnderlay(plan: LabPlan): Promise<void> {
  const { underlay, world, nodes, subnets, options, podNetwork } = plan;
  const { mtu } = options;
  await createNamespaces([underlay.namespace, world.namespace, ...nodes.map(({ namespace }) => namespace)]);
  await quietBridges(underlay.namespace);
  await ipBatch(underlay.namespace, [
    ...subnets.flatMap(({ bridge, gateways }) => [
      // A switch that waits for group reports would lose the first neighbor solicitations.
      `link add ${bridge} mtu ${mtu} type bridge mcast_snooping 0`,
      ...gateways.map((gateway) => addAddress(gateway, bridge)),
      ...settleLink(underlay.namespace, bridge),
      `link set ${bridge} up`,
    ]),
    ...nodes.flatMap(({ name, namespace, subnet, mac }) => [
      `link add ${name} mtu ${mtu} type veth peer name eth0 address ${mac} mtu ${mtu} netns ${namespace}`,
      `link set ${name} master ${subnets[subnet]!.bridge} up`,
    ]),
    `link add world mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${world.namespace}`,
    ...world.gateways.map((gateway) => addAddress(gateway, 'world')),
    ...settleLink(underlay.namespace, 'world'),
    'link set world up',
  ]);
  await Promise.all([
    configureHost(world.namespace, world.addresses, world.gateways),
    ...nodes.map(({ namespace, addresses, subnet }) =>
      configureHost(namespace, addresses, subnets[subnet]!.gateways),
    ),
  ]);
  await run(
    'nsenter',
    [`--net=${namespacePath(underlay.namespace)}`, 'nft', '-f', '-'],
    fabricRules(podNetwork),
  );
  if (nodes.length > MOST_RESOLVED) introduceNodes(nodes);
}

/**
 * All namespaces of a machine share one ARP table of 1,024 entries (gc_thresh3); permanent entries do not count. So
 * nodes of a large lab know each other from the start, where machines of their own would ask.
 */
function introduceNodes(nodes: readonly LabNode[]): void {
  for (const node of nodes) {
    using namespace = NetworkNamespace.open(namespacePath(node.namespace));
    using kernel = openKernel(namespace);
    const linkIndex = kernel.link('eth0')!.index;
    const others = nodes.filter((other) => other.subnet === node.subnet && other !== node);
    kernel.apply(
      others.flatMap(({ addresses, mac }) =>
        addresses.map((ip) => ({
          op: 'neighbor.replace',
          neighbor: { linkIndex, ip, mac, state: NUD_PERMANENT },
        })),
      ),
    );
  }
}

const MOST_RESOLVED = 24;

async function configureHost(
  namespace: string,
  addresses: readonly Ip[],
  gateways: readonly Ip[],
): Promise<void> {
  await ipBatch(namespace, [
    ...addresses.map((address) => addAddress(address, 'eth0')),
    ...settleLink(namespace, 'eth0'),
    'link set eth0 up',
    ...gateways.map((gateway) => `route add default via ${gateway}`),
  ]);
}

/** A link-local address that solicits neighbors at once; the kernel's own would wait for a second. */
function settleLink(namespace: string, link: string): string[] {
  const ip = linkLocalOf(macFromSeed(`${namespace} ${link}`));
  return [`link set ${link} addrgenmode none`, `addr add ${ip}/64 dev ${link} nodad`];
}

/** Usable at once: no other has it. */
function addAddress(ip: Ip, link: string): string {
  return ipFamily(ip) === 4 ? `addr add ${ip}/24 dev ${link}` : `addr add ${ip}/64 dev ${link} nodad`;
}

/** Frames between ports of one bridge are the bridge's alone; only what is routed meets the rules. */
async function quietBridges(namespace: string): Promise<void> {
  const script =
    'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding; for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$f" ] || echo 0 > "$f"; done';
  await run('nsenter', [`--net=${namespacePath(namespace)}`, 'sh', '-c', script]);
}

function fabricRules(podNetwork: readonly Cidr[]): string {
  const rules = podNetwork.flatMap((range) =>
    ['saddr', 'daddr'].map(
      (side) =>
        `${cidrFamily(range) === 4 ? 'ip' : 'ip6'} ${side} ${range} counter drop comment "this fabric knows no pods"`,
    ),
  );
  return `table inet fabric {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ${rules.join('\n    ')}
  }
}
`;
}
