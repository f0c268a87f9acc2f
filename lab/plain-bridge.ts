/**
 * Pods without a pod network: each node has a bridge with the same range and hands out its addresses by itself, as a
 * container engine does that was never told of other nodes. Pods of one node meet; the rest is what goes wrong then.
 */

import { nthIp } from '../src/base/ip/cidr.ts';
import type { Ip } from '../src/base/ip/ip.ts';
import { gatewayOf } from '../src/plan/ipam/allocate.ts';
import { ipBatch, namespacePath, run } from './namespaces.ts';
import { type LabPod, readPods } from './state.ts';
import type { LabNode, LabPlan } from './topology.ts';

const BRIDGE = 'bridge0';

export async function buildPlainBridges(plan: LabPlan): Promise<void> {
  await Promise.all(
    plan.nodes.map(async ({ namespace, podCidr }) => {
      await ipBatch(namespace, [
        `link add ${BRIDGE} type bridge`,
        `addr add ${gatewayOf(podCidr)}/24 dev ${BRIDGE}`,
        `link set ${BRIDGE} up`,
      ]);
      const enter = [`--net=${namespacePath(namespace)}`];
      await run('nsenter', [...enter, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
      const rules = `table ip engine { chain post { type nat hook postrouting priority srcnat; ip saddr ${podCidr} oifname != "${BRIDGE}" masquerade; }; }\n`;
      await run('nsenter', [...enter, 'nft', '-f', '-'], rules);
    }),
  );
}

export async function attachPlainly(
  plan: LabPlan,
  pod: LabPod,
  node: LabNode,
): Promise<{ ips: Ip[]; mtu: number }> {
  const used = new Set(
    readPods(plan.options.name)
      .filter((other) => other.node === node.name)
      .flatMap(({ ips }) => ips ?? []),
  );
  let index = 2;
  while (used.has(nthIp(node.podCidr, index))) index++;
  const ip = nthIp(node.podCidr, index);
  await ipBatch(node.namespace, [
    `link add pod${index} type veth peer name eth0 netns ${pod.namespace}`,
    `link set pod${index} master ${BRIDGE} up`,
  ]);
  await ipBatch(pod.namespace, [
    `addr add ${ip}/24 dev eth0`,
    'link set eth0 up',
    `route add default via ${gatewayOf(node.podCidr)}`,
  ]);
  return { ips: [ip], mtu: 1500 };
}
