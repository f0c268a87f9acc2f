/** What the node's firewall shall be; until that is known, the one that is in force stays. */

import type { Configuration } from '../../base/config/configuration.ts';
import { type Cidr, cidrContains } from '../../base/ip/cidr.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { Accepted } from '../../cluster/ranges/acceptance.ts';
import type { FirewallInput } from '../../datapath/nftables/firewall.ts';
import type { Inherited } from '../../datapath/nftables/inherited.ts';
import type { NftSet } from '../../edge/nftables/objects.ts';
import type { AttachmentTable } from './attachments.ts';
import type { NodeView } from './node-view.ts';

export type WantedFirewall =
  | { known: false; since: Date; why: string }
  /** No table at all where `input` is undefined. */
  | { known: true; input: FirewallInput | undefined };

export type FirewallSources = {
  accepted: Accepted;
  configuration: Configuration;
  attachments: AttachmentTable['now'];
  /** Undefined while the node does not know its range; `startedAt` is since when then. */
  view: NodeView | undefined;
  startedAt: Date;
  /** Addresses whose connections are tracked. */
  tracked: readonly Ip[];
  inherited: Inherited;
  /** Addresses of services, which no port of the node is at. */
  services: readonly Cidr[];
  /** Who may speak to the tunnel; absent where there is none. */
  tunnel?: readonly NftSet[];
};

export function wantFirewall(sources: FirewallSources): WantedFirewall {
  const { accepted, configuration, attachments, view, startedAt, tracked, inherited, services, tunnel } =
    sources;
  const { podNetwork, masquerade, conntrack } = configuration;
  if (!attachments.known) return attachments;
  if (view === undefined)
    return { known: false, since: startedAt, why: 'this node does not know its own range yet' };
  const { ranges, nodeIps } = view;
  const pods = [...attachments.live.values()];
  const hasPorts = pods.some(({ portMappings }) => portMappings !== undefined);
  const translates = masquerade.enabled || hasPorts || tracked.length > 0;
  if (ranges.length === 0) return { known: true, input: undefined };
  const { port, vni } = configuration.vxlan;
  const input: FirewallInput = {
    ranges,
    podNetwork,
    strays: pods
      .flatMap(({ ips }) => ips)
      .filter((ip) => ![...podNetwork, ...ranges].some((range) => cidrContains(range, ip))),
    nodes: accepted.nodes,
    exclude: [...masquerade.exclude, ...inherited.inside],
    masquerade: masquerade.enabled,
    tracked,
    conntrack,
    ...(translates ? { hostPorts: { pods, nodeIps, services } } : {}),
    ...(tunnel === undefined ? {} : { tunnel: { port, vni, localIps: nodeIps, sets: tunnel } }),
  };
  return { known: true, input };
}
