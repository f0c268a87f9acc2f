/** From what the node's firewall shall be to what its table is planned from, with what the agent before left. */

import { cidrContains } from '../../base/ip/cidr.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { NodeFirewall } from '../datapath.ts';
import type { FirewallInput } from './firewall.ts';
import { type Inherited, NOTHING_INHERITED } from './inherited.ts';
import { createTunnelSets } from './tunnel-guard.ts';

export type NodeInput = (firewall: NodeFirewall, tracked: readonly Ip[]) => FirewallInput;

/** For one that plans again and again: what follows from nodes that are the same objects is the same. */
export function createNodeInput(inherited: Inherited): NodeInput {
  const tunnelSets = createTunnelSets();
  return (firewall, tracked) => {
    const { name, ranges, podNetwork, nodes, inherits, sourceNat, conntrack, hostPorts, tunnel } = firewall;
    const former = inherits ? inherited : NOTHING_INHERITED;
    const hasPorts = hostPorts.pods.some(({ portMappings }) => portMappings !== undefined);
    return {
      ranges,
      podNetwork,
      strays: hostPorts.pods
        .flatMap(({ ips }) => ips)
        .filter((ip) => ![...podNetwork, ...ranges].some((range) => cidrContains(range, ip))),
      nodes,
      exclude: [...sourceNat.exclude, ...former.inside],
      masquerade: sourceNat.enabled,
      tracked,
      conntrack,
      ...(sourceNat.enabled || hasPorts || tracked.length > 0 ? { hostPorts } : {}),
      ...(tunnel === undefined
        ? {}
        : {
            tunnel: {
              ...tunnel,
              localIps: hostPorts.nodeIps,
              sets: inherits ? former.tunnel : tunnelSets(nodes, name),
            },
          }),
    };
  };
}
