/**
 * From what is known to the state of every part: pure, the one place where parts share anything. A new capability adds
 * its state here, and is set by its part.
 */

import type { Configuration } from '../base/config/configuration.ts';
import { cidrFamily } from '../base/ip/cidr.ts';
import type { Ip } from '../base/ip/ip.ts';
import type { DatapathState, NodeFirewall } from '../datapath/datapath.ts';
import { serviceAddresses } from '../plan/hostport/services.ts';
import type { Compiled } from '../plan/policy/compile/compile.ts';
import type { ResyncInput } from './kernel/resync.ts';
import type { Attachments } from './node/attachments.ts';
import type { LinksState } from './settings/links.ts';
import type { SettingsState } from './settings/node-settings.ts';
import type { ClusterView, NodeFacts } from './world.ts';

export type States = {
  /** Settings of the node that pods need. */
  settings: SettingsState;
  /** What routes, tunnels, neighbors and rules are planned from, with what the kernel says at that moment. */
  network: Pick<ResyncInput, 'self' | 'peers' | 'settings'>;
  /** Links of Fairlead's own, which are set as they are to be. */
  links: LinksState;
  datapath: DatapathState;
};

export function derive(
  view: ClusterView,
  node: NodeFacts,
  attachments: Attachments,
  configuration: Configuration,
): States {
  const families = configuration.podNetwork.map(cidrFamily);
  return {
    settings: { families, nodeIps: deriveNodeIps(view, node, configuration) },
    network: { self: view.self, peers: view.peers, settings: configuration },
    links: {
      attachments: attachments.known ? [...attachments.live.values()] : [],
      families,
    },
    datapath: {
      node: deriveFirewall(view, node, attachments, configuration),
      policies: attachments.known ? view.policies : attachments,
      tracking: view.policies.known ? trackedBy(view.policies.effective) : [],
    },
  };
}

/** As the configuration or its record says, and before the cluster is known as the last view does. */
function deriveNodeIps({ self }: ClusterView, node: NodeFacts, { node: own }: Configuration): readonly Ip[] {
  if (own.addresses.length > 0) return own.addresses;
  if (self !== undefined && self.internalIps.length > 0) return self.internalIps;
  return node.view.known ? node.view.view.nodeIps : [];
}

/** Pods that some policy isolates: what they send and receive must be tracked, so that answers are known as such. */
function trackedBy({ pods }: Compiled): readonly Ip[] {
  return pods.flatMap(({ pod }) => pod.podIPs);
}

function deriveFirewall(
  { nodes, self, serviceNetwork }: ClusterView,
  { name, kernel, view: own }: NodeFacts,
  attachments: Attachments,
  { podNetwork, masquerade, conntrack, vxlan }: Configuration,
): DatapathState['node'] {
  // A kernel that was never read may have a tunnel.
  if (!kernel.known) return kernel;
  if (!attachments.known) return attachments;
  if (!own.known) return own;
  const { ranges, nodeIps } = own.view;
  if (ranges.length === 0) return { known: true, firewall: undefined };
  const { links, addresses, hasTunnel, isPlanned } = kernel;
  const firewall: NodeFirewall = {
    name,
    ranges,
    podNetwork,
    nodes,
    inherits: !isPlanned,
    sourceNat: masquerade,
    conntrack,
    hostPorts: {
      pods: [...attachments.live.values()],
      nodeIps,
      services: serviceAddresses({ links, addresses, serviceNetwork, nodeIps: self?.internalIps ?? [] }),
    },
    ...(hasTunnel ? { tunnel: vxlan } : {}),
  };
  return { known: true, firewall };
}
