/**
 * Ports of the node that lead to pods: one map element per mapping, so that the thousandth costs a packet what the
 * first does. Translation is looked up once per connection, for packets to an address of the node alone.
 */

import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import { isUnspecified, type PortMapping } from '../../edge/cni/capability/port-mapping.ts';
import type { FlowFilter } from '../../edge/conntrack/flush.ts';
import type { ElementChange } from '../../edge/nftables/elements.ts';
import type { Chain, Element, NftSet, NftType, Rule } from '../../edge/nftables/objects.ts';
import { ATTACHMENT_GROUP } from '../pod/attachment.ts';

/** What a pod needs of the node: its addresses and the ports that lead there. */
export type PodPorts = { ips: readonly Ip[]; portMappings?: readonly PortMapping[] };

/** Of pods whose connections are tracked, IPv4 first. */
export const TRACKED_SETS: readonly string[] = ['tracked4', 'tracked6'];

export type HostPortInput = {
  pods: readonly PodPorts[];
  families: readonly IpFamily[];
  /** Source of what the node itself must stand in for, per family. */
  nodeIps: readonly Ip[];
};

/** The sets of one family; the names are those in the kernel. */
type Sets = { anywhere: NftSet; addressed: NftSet; hairpin: NftSet; tracked: NftSet };

/** @returns all sets with the elements of these pods; a pod without mappings has none. */
export function hostPortSets({ pods, families }: Pick<HostPortInput, 'pods' | 'families'>): NftSet[] {
  return families.flatMap((family) => Object.values(setsOf(family, pods)));
}

/** The elements of one pod alone. */
export function hostPortElements(change: ElementChange['change'], pod: PodPorts): ElementChange[] {
  return hostPortSets({ pods: [pod], families: [...new Set(pod.ips.map(ipFamily))] })
    .filter(({ elements }) => elements.length > 0)
    .map((set) => ({ change, set, elements: set.elements }));
}

/** Connections that were set up before the pod had its ports. UDP has no end that would make them go. */
export function udpFlowsBefore({ ips, portMappings = [] }: PodPorts, localIps: readonly Ip[]): FlowFilter[] {
  return portMappings.flatMap(({ protocol, hostIp, hostPort }) => {
    if (protocol !== 'udp') return [];
    const addressed = hostIp === undefined || isUnspecified(hostIp) ? localIps : [hostIp];
    return addressed
      .filter((ip) => ips.some((pod) => ipFamily(pod) === ipFamily(ip)))
      .filter((ip) => hostIp === undefined || ipFamily(hostIp) === ipFamily(ip))
      .map(
        (ip): FlowFilter => ({
          family: ipFamily(ip),
          protocol,
          original: { destination: ip, destinationPort: hostPort },
        }),
      );
  });
}

/** Connections that lead to the pod by its ports. */
export function udpFlowsOf({ ips, portMappings = [] }: PodPorts): FlowFilter[] {
  const ports = portMappings.filter(({ protocol }) => protocol === 'udp');
  return [...new Set(ports.map(({ containerPort }) => containerPort))].flatMap((sourcePort) =>
    ips.map(
      (source) => ({ family: ipFamily(source), protocol: 'udp', reply: { source, sourcePort } }) as const,
    ),
  );
}

/** DNAT of what comes from outside (and from pods), and of what the node itself sends. */
export function hostPortChains({ families }: Pick<HostPortInput, 'families'>): Chain[] {
  const lookups = families.flatMap((family): Rule[] => {
    const ip = family === 4 ? 'ip' : 'ip6';
    const { anywhere, addressed } = setsOf(family, []);
    return [
      { match: `dnat ${ip} to meta l4proto . ${ip} daddr . th dport map @${addressed.name}` },
      { match: `dnat ${ip} to meta l4proto . th dport map @${anywhere.name}` },
    ];
  });
  const local = { match: 'meta l4proto { tcp, udp, sctp } fib daddr type local jump hostports' };
  return [
    { name: 'hostports', rules: lookups },
    { name: 'hostports-in', hook: { type: 'nat', hook: 'prerouting', priority: 'dstnat' }, rules: [local] },
    { name: 'hostports-out', hook: { type: 'nat', hook: 'output', priority: '-100' }, rules: [local] },
  ];
}

/** Where the node must answer for the client: a pod that reached itself, and what came from 127.0.0.1. */
export function hostPortSources({ families, nodeIps }: Omit<HostPortInput, 'pods'>): Rule[] {
  return families.flatMap((family): Rule[] => {
    const ip = family === 4 ? 'ip' : 'ip6';
    const nodeIp = nodeIps.find((candidate) => ipFamily(candidate) === family);
    const source = `${nodeIp === undefined ? 'masquerade' : `snat ${ip} to ${nodeIp}`} fully-random`;
    const { hairpin } = setsOf(family, []);
    const itself: Rule = {
      match: `ct status dnat ${ip} saddr . ${ip} daddr @${hairpin.name} ${source}`,
      comment: 'a pod to itself by a port of the node',
    };
    if (family === 6) return [itself];
    const localhost: Rule = {
      match: `oifgroup ${ATTACHMENT_GROUP} ip saddr 127.0.0.0/8 ${source}`,
      comment: 'localhost to a pod by a port of the node',
    };
    return [itself, localhost];
  });
}

/** For the chain that exempts packets between pods from tracking: answers of these pods must be translated back. */
export function hostPortTracking({ families }: Pick<HostPortInput, 'families'>): Rule[] {
  return families.flatMap((family) => {
    const ip = family === 4 ? 'ip' : 'ip6';
    const { tracked } = setsOf(family, []);
    return ['saddr', 'daddr'].map((side) => ({ match: `${ip} ${side} @${tracked.name} accept` }));
  });
}

/**
 * For the earliest chain. A pod that localhost may reach has route_localnet on its link, by which it could reach
 * what listens on the node's localhost (CVE-2020-8558); answers have not been translated back yet here.
 */
export const LOCALHOST_GUARD: Rule = {
  match: `iifgroup ${ATTACHMENT_GROUP} ip daddr 127.0.0.0/8 drop`,
  comment: "the node's localhost is not the pods'",
};

function setsOf(family: IpFamily, pods: readonly PodPorts[]): Sets {
  const address: NftType = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const value: readonly NftType[] = [address, 'inet_service'];
  const served = pods.flatMap(({ ips, portMappings = [] }) => {
    const pod = ips.find((ip) => ipFamily(ip) === family);
    const mappings = portMappings.filter(({ hostIp }) => hostIp === undefined || ipFamily(hostIp) === family);
    return pod === undefined || mappings.length === 0 ? [] : [{ pod, mappings }];
  });
  const elements = (isAddressed: boolean): Element[] =>
    served.flatMap(({ pod, mappings }) =>
      mappings
        .filter(({ hostIp }) => (hostIp !== undefined && !isUnspecified(hostIp)) === isAddressed)
        .map(({ protocol, hostIp, hostPort, containerPort }) => ({
          key: [protocol, ...(isAddressed ? [hostIp!] : []), String(hostPort)],
          value: [pod, String(containerPort)],
        })),
    );
  return {
    anywhere: {
      name: `hostports${family}`,
      key: ['inet_proto', 'inet_service'],
      value,
      elements: elements(false),
    },
    addressed: {
      name: `hostports${family}-by-address`,
      key: ['inet_proto', address, 'inet_service'],
      value,
      elements: elements(true),
    },
    hairpin: {
      name: `hairpin${family}`,
      key: [address, address],
      elements: served.map(({ pod }) => ({ key: [pod, pod] })),
    },
    tracked: {
      name: `tracked${family}`,
      key: [address],
      elements: served.map(({ pod }) => ({ key: [pod] })),
    },
  };
}
