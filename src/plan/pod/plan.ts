/**
 * The plan of one attachment: a routed veth (no bridge), a host route per address, and permanent neighbors both
 * ways, so that no ARP is ever needed. Everything hangs on the veth: deleting its host end undoes all of it.
 */

import { hostCidr, parseCidr } from '../../base/ip/cidr.ts';
import { type Ip, ipFamily } from '../../base/ip/ip.ts';
import { type Mac, macFromSeed } from '../../base/ip/mac.ts';
import { ROUTE_METRIC, ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import type { Operation } from '../../edge/netlink/kernel.ts';
import {
  type Ipv4DeviceSettings,
  MAIN_TABLE,
  type Neighbor,
  NUD_PERMANENT,
  type Route,
  SCOPE_LINK,
  SCOPE_UNIVERSE,
} from '../../edge/netlink/objects.ts';
import { formatPortNames } from '../hostport/record.ts';
import { ATTACHMENT_GROUP, type Attachment, attachmentId, hostLinkName } from './attachment.ts';
import { type Shaping, shapePod, shapingOperations } from './bandwidth.ts';
import { formatBandwidthNames } from './bandwidth-record.ts';

export type PodPlanInput = {
  attachment: Attachment;
  /** The alias that records it. */
  record: string;
  /** Free interface indexes in the host's and in the pod's namespace. */
  hostIndex: number;
  podIndex: number;
  /** A further one in the host's, where what the pod sends is limited. */
  shaperIndex?: number;
  /** An open descriptor of the pod's namespace. */
  podNamespaceFd: number;
  /** The node's address in the range of each of the pod's addresses, in the same order. */
  gateways: readonly Ip[];
  /** Source of the node's own packets to the pod, per family. */
  nodeIps: readonly Ip[];
  /** Bytes. */
  mtu: number;
  /**
   * `main`: the pod's default route. `own-table`: the pod has one through another interface; packets from this
   * address find their way back through this one by a rule.
   */
  routing: 'main' | 'own-table';
};

/** Operations in the order in which they run. The last host operation writes the record: before it, nothing counts. */
export type PodPlan = { create: Operation; shapers: Operation[]; inPod: Operation[]; commit: Operation[] };

/** Both ends' MAC addresses follow from the attachment, unless one was asked for. */
export function podMac(attachment: Attachment): Mac {
  return attachment.mac ?? macFromSeed(`pod ${attachmentId(attachment)}`);
}

export function hostMac(attachment: Attachment): Mac {
  return macFromSeed(`host ${attachmentId(attachment)}`);
}

export function planPod(input: PodPlanInput): PodPlan {
  const { attachment, hostIndex, podIndex, mtu } = input;
  const { links, ...queues }: Shaping = shapePod(attachment, {
    linkIndex: hostIndex,
    shaperIndex: input.shaperIndex ?? 0,
    mtu,
  });
  const mac = podMac(attachment);
  return {
    create: {
      op: 'link.create',
      link: {
        index: hostIndex,
        name: hostLinkName(attachment),
        mac: hostMac(attachment),
        mtu,
        group: ATTACHMENT_GROUP,
        up: true,
        kind: {
          type: 'veth',
          peer: { name: attachment.ifname, index: podIndex, mac, mtu, namespaceFd: input.podNamespaceFd },
        },
      },
    },
    shapers: links.map((link): Operation => ({ op: 'link.create', link })),
    inPod: planInPod(input),
    commit: [
      ...hostNeighbors(attachment, hostIndex).map(
        (neighbor): Operation => ({ op: 'neighbor.replace', neighbor }),
      ),
      ...hostRoutes(attachment, hostIndex, input.nodeIps).map(
        (route): Operation => ({ op: 'route.replace', route }),
      ),
      ...shapingOperations(queues),
      ...recordNames(attachment, hostIndex),
      // A strict reverse path filter on the pod's link: a pod can send from its own addresses alone.
      {
        op: 'link.change',
        change: { index: hostIndex, alias: input.record, ipv4: hostSettings(attachment) },
      },
    ],
  };
}

/** The host's routes to a pod; also part of the node's desired state, so that a lost one comes back. */
export function hostRoutes(attachment: Attachment, hostIndex: number, nodeIps: readonly Ip[]): Route[] {
  return attachment.ips.map((ip) => {
    const source = nodeIps.find((nodeIp) => ipFamily(nodeIp) === ipFamily(ip));
    return {
      destination: hostCidr(ip),
      table: MAIN_TABLE,
      protocol: ROUTE_PROTOCOL,
      type: 'unicast',
      scope: ipFamily(ip) === 4 ? SCOPE_LINK : SCOPE_UNIVERSE,
      linkIndex: hostIndex,
      metric: ROUTE_METRIC,
      ...(source === undefined ? {} : { source }),
    };
  });
}

/** The host's permanent neighbor entries for a pod. */
export function hostNeighbors(attachment: Attachment, hostIndex: number): Neighbor[] {
  const mac = podMac(attachment);
  return attachment.ips.map((ip) => ({ linkIndex: hostIndex, ip, mac, state: NUD_PERMANENT }));
}

/** What the alias has no room for. */
function recordNames(attachment: Attachment, index: number): Operation[] {
  const linkName = hostLinkName(attachment);
  const names = [
    ...formatPortNames(linkName, attachment.portMappings ?? []),
    ...formatBandwidthNames(linkName, attachment.bandwidth ?? {}),
  ];
  return names.length === 0 ? [] : [{ op: 'link.addNames', index, names }];
}

/** Ports of 127.0.0.1 lead to the pod too; and a pod that reaches itself by the node shall not be told a shortcut. */
function hostSettings({ portMappings = [] }: Attachment): Partial<Ipv4DeviceSettings> {
  if (portMappings.length === 0) return { rpFilter: 1 };
  return { rpFilter: 1, routeLocalnet: true, sendRedirects: false };
}

function planInPod(input: PodPlanInput): Operation[] {
  const { attachment, podIndex, gateways, routing } = input;
  const table = routing === 'main' ? MAIN_TABLE : OWN_TABLE_BASE + podIndex;
  const operations: Operation[] = [{ op: 'link.change', change: { index: podIndex, up: true } }];
  for (const [position, ip] of attachment.ips.entries()) {
    const gateway = gateways[position]!;
    const family = ipFamily(ip);
    const common = {
      table,
      protocol: ROUTE_PROTOCOL,
      type: 'unicast',
      linkIndex: podIndex,
      source: ip,
    } as const;
    operations.push(
      {
        op: 'address.replace',
        address: { linkIndex: podIndex, ip, prefixLength: family === 4 ? 32 : 128, scope: SCOPE_UNIVERSE },
      },
      {
        op: 'neighbor.replace',
        neighbor: { linkIndex: podIndex, ip: gateway, mac: hostMac(attachment), state: NUD_PERMANENT },
      },
      {
        op: 'route.replace',
        route: {
          ...common,
          destination: hostCidr(gateway),
          scope: family === 4 ? SCOPE_LINK : SCOPE_UNIVERSE,
        },
      },
      {
        op: 'route.replace',
        route: {
          ...common,
          destination: parseCidr(family === 4 ? '0.0.0.0/0' : '::/0'),
          scope: SCOPE_UNIVERSE,
          gateway,
        },
      },
    );
    if (routing === 'own-table') {
      operations.push({
        op: 'rule.add',
        rule: { family, priority: RULE_PRIORITY_IN_POD, table, protocol: ROUTE_PROTOCOL, from: hostCidr(ip) },
      });
    }
  }
  return operations;
}

/** Below the main table's 32766, above what people usually choose by hand. */
const RULE_PRIORITY_IN_POD = 7010;
/** Tables of second and further interfaces in a pod: this plus the interface's index. */
const OWN_TABLE_BASE = 7010;
