/**
 * The network between the nodes, in a namespace of its own: a bridge per subnet, a router between them and to the
 * world. The router drops pods' addresses, as a fabric does that knows nothing of pods: what crosses it is tunnelled.
 */

import { NetworkNamespace } from '../netlink/namespace.ts';
import { NUD_PERMANENT } from '../netlink/objects.ts';
import { openKernel } from '../netlink/rtnetlink.ts';
import { createNamespaces, ipBatch, namespacePath, run } from './namespaces.ts';
import type { LabNode, LabPlan } from './topology.ts';

export async function buildUnderlay(plan: LabPlan): Promise<void> {
  const { underlay, world, nodes, subnets, options, podNetwork } = plan;
  const { mtu } = options;
  await createNamespaces([underlay.namespace, world.namespace, ...nodes.map(({ namespace }) => namespace)]);
  await quietBridges(underlay.namespace);
  await ipBatch(underlay.namespace, [
    ...subnets.flatMap(({ bridge, gateway }) => [
      `link add ${bridge} mtu ${mtu} type bridge`,
      `addr add ${gateway}/24 dev ${bridge}`,
      `link set ${bridge} up`,
    ]),
    ...nodes.flatMap(({ name, namespace, subnet, mac }) => [
      `link add ${name} mtu ${mtu} type veth peer name eth0 address ${mac} mtu ${mtu} netns ${namespace}`,
      `link set ${name} master ${subnets[subnet]!.bridge} up`,
    ]),
    `link add world mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${world.namespace}`,
    `addr add ${world.gateway}/24 dev world`,
    'link set world up',
  ]);
  await Promise.all([
    configureHost(world.namespace, `${world.address}/24`, world.gateway),
    ...nodes.map(({ namespace, address, subnet }) =>
      configureHost(namespace, `${address}/24`, subnets[subnet]!.gateway),
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
      others.map(({ address: ip, mac }) => ({
        op: 'neighbor.replace',
        neighbor: { linkIndex, ip, mac, state: NUD_PERMANENT },
      })),
    );
  }
}

const MOST_RESOLVED = 24;

async function configureHost(namespace: string, address: string, gateway: string): Promise<void> {
  await ipBatch(namespace, [
    `addr add ${address} dev eth0`,
    'link set eth0 up',
    `route add default via ${gateway}`,
  ]);
}

/** Frames between ports of one bridge are the bridge's alone; only what is routed meets the rules. */
async function quietBridges(namespace: string): Promise<void> {
  const script =
    'echo 1 > /proc/sys/net/ipv4/ip_forward; for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$f" ] || echo 0 > "$f"; done';
  await run('nsenter', [`--net=${namespacePath(namespace)}`, 'sh', '-c', script]);
}

function fabricRules(podNetwork: string): string {
  return `table ip fabric {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip saddr ${podNetwork} counter drop comment "this fabric knows no pods"
    ip daddr ${podNetwork} counter drop comment "this fabric knows no pods"
  }
}
`;
}
