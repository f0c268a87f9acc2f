/**
 * The shape of Flannel, built by hand: pods on a bridge with br_netfilter, its FORWARD and masquerade rules, and
 * between nodes plain routes or its VXLAN device. By legacy iptables, which costs less per packet than its successor.
 */
import { ipBatch, namespacePath, run } from '../../lab/namespaces.ts';
import { connectHosts, createHosts, hostName } from '../shared/cluster.ts';

export async function buildFlannel(id: string, mode: 'host-gw' | 'vxlan'): Promise<void> {
  const nodes = [`${id}1`, `${id}2`] as const;
  await connectHosts(...nodes);
  for (const [index, node] of nodes.entries()) {
    await buildBridge(node, index, mode);
    await run('nsenter', [`--net=${namespacePath(hostName(node))}`, 'sh', '-ec', rules(index)]);
  }
}

/** A pod on the node's bridge. @returns its address. */
export async function attachFlannelPod(
  node: string,
  nodeIndex: number,
  podIndex: number,
  name: string,
  mtu: number,
): Promise<string> {
  await createHosts([name]);
  const address = `10.244.${nodeIndex}.${podIndex + 10}`;
  await ipBatch(hostName(node), [
    `link add ${name} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${hostName(name)}`,
    `link set ${name} master cni0 up`,
    `link set ${name} type bridge_slave hairpin on`,
  ]);
  await ipBatch(hostName(name), [
    `addr add ${address}/24 dev eth0`,
    'link set eth0 up',
    `route add default via 10.244.${nodeIndex}.1`,
  ]);
  return address;
}

async function buildBridge(node: string, index: number, mode: 'host-gw' | 'vxlan'): Promise<void> {
  const other = 1 - index;
  const otherMac = `02:fa:00:00:00:0${other + 1}`;
  const path =
    mode === 'host-gw'
      ? [`route add 10.244.${other}.0/24 via 192.168.1.${other + 2}`]
      : [
          `link add flannel.1 address 02:fa:00:00:00:0${index + 1} mtu 1450 type vxlan id 1 dstport 8472 local 192.168.1.${index + 2} dev eth0 nolearning`,
          `addr add 10.244.${index}.0/32 dev flannel.1`,
          'link set flannel.1 up',
          `neigh add 10.244.${other}.0 lladdr ${otherMac} dev flannel.1 nud permanent`,
          `route add 10.244.${other}.0/24 via 10.244.${other}.0 dev flannel.1 onlink`,
        ];
  await ipBatch(hostName(node), [
    'link add cni0 type bridge',
    `addr add 10.244.${index}.1/24 dev cni0`,
    'link set cni0 up',
    ...path,
  ]);
  if (mode === 'vxlan') {
    const enter = [`--net=${namespacePath(hostName(node))}`];
    await run('nsenter', [
      ...enter,
      'bridge',
      'fdb',
      'add',
      otherMac,
      'dev',
      'flannel.1',
      'dst',
      `192.168.1.${other + 2}`,
      'self',
      'permanent',
    ]);
  }
}

function rules(index: number): string {
  const [cluster, own] = ['10.244.0.0/16', `10.244.${index}.0/24`];
  return `
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
fw() { iptables-legacy -w "$@"; }
fw -N FLANNEL-FWD
fw -A FORWARD -j FLANNEL-FWD
fw -A FLANNEL-FWD -s ${cluster} -j ACCEPT
fw -A FLANNEL-FWD -d ${cluster} -j ACCEPT
fw -t nat -N FLANNEL-POSTRTG
fw -t nat -A POSTROUTING -j FLANNEL-POSTRTG
fw -t nat -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -j RETURN
fw -t nat -A FLANNEL-POSTRTG -s ${own} -d ${cluster} -j RETURN
fw -t nat -A FLANNEL-POSTRTG -s ${cluster} -d ${own} -j RETURN
fw -t nat -A FLANNEL-POSTRTG ! -s ${cluster} -d ${own} -j RETURN
fw -t nat -A FLANNEL-POSTRTG -s ${cluster} ! -d 224.0.0.0/4 -j MASQUERADE --random-fully
fw -t nat -A FLANNEL-POSTRTG ! -s ${cluster} -d ${cluster} -j MASQUERADE --random-fully
`;
}
