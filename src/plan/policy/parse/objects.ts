/**
 * What policies are about, and what they say, as values: NetworkPolicy (networking.k8s.io/v1) and ClusterNetworkPolicy
 * (policy.networking.k8s.io/v1alpha2).
 */
import type { Cidr } from '../../../base/ip/cidr.ts';
import type { Ip } from '../../../base/ip/ip.ts';

export type Labels = Readonly<Record<string, string>>;
export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
export type Protocol = (typeof PROTOCOLS)[number];
export const DIRECTIONS = ['ingress', 'egress'] as const;
export type Direction = (typeof DIRECTIONS)[number];

export type PolicyPod = {
  namespace: string;
  name: string;
  labels: Labels;
  podIPs: readonly Ip[];
  /** It shares the addresses of its node: no policy selects it, no selector of pods means it. */
  hostNetwork: boolean;
  /** Its addresses may be another pod's by now. */
  phase: string;
  ports: readonly { name: string; port: number; protocol: Protocol }[];
  /** Where it runs, where that is known. */
  nodeName?: string;
  /** Ports of its node that lead to it; absent where there are none. */
  hostPorts?: readonly HostPort[];
  /** Whether its addresses are those of an interface on this node: then they are its own, whatever objects say. */
  attached?: boolean;
  /** Whether its deletion was asked for. */
  deleting?: boolean;
  /** Milliseconds since 1970. */
  created?: number;
};

export type HostPort = {
  protocol: Protocol;
  hostPort: number;
  containerPort: number;
  /** Absent: every address of the node. */
  hostIp?: Ip;
};

export type PolicyNamespace = { name: string; labels: Labels };

export type PolicyNode = {
  name: string;
  labels: Labels;
  ips: readonly Ip[];
  /** Whether it is this one: its pods reach it by the addresses of their links, too. */
  here?: boolean;
};

/** A Service (core/v1): no policy means it, since packets carry the address of a pod behind it when policies see them. */
export type PolicyService = {
  namespace: string;
  name: string;
  clusterIPs: readonly Ip[];
  /** Labels of the pods behind it; absent where its endpoints are written by others. */
  selector?: Labels;
  ports: readonly { protocol: Protocol; port: number; targetPort: number | string }[];
};

/** One demand on labels (metav1 LabelSelectorRequirement); a `matchLabels` entry is an `In` of one value. */
export type Requirement =
  | { key: string; operator: 'In' | 'NotIn'; values: readonly string[] }
  | { key: string; operator: 'Exists' | 'DoesNotExist' };

/** All of them must be met; none at all selects everything. */
export type Selector = readonly Requirement[];

export type PodPeer = {
  kind: 'pods';
  /** Absent: those of the policy's own namespace. */
  namespaces?: Selector;
  pods: Selector;
};
export type BlockPeer = { kind: 'block'; cidr: Cidr; except: readonly Cidr[] };
/** Nodes by their labels: all addresses that they report. */
export type NodePeer = { kind: 'nodes'; nodes: Selector };
export type Peer = PodPeer | BlockPeer | NodePeer;

export type PolicyPort = {
  protocol: Protocol;
  /** Absent: all of them. A name is looked up at the pod that is reached. */
  port?: number | string;
  /** Last of a range that begins with the number. */
  endPort?: number;
};

/** Absent peers are all, absent ports are all of every protocol. */
export type PolicyRule = { peers?: readonly Peer[]; ports?: readonly PolicyPort[] };

type Named = {
  name: string;
  /** Evaluated, counted and reported, and not enforced. */
  staged: boolean;
};

export type NetworkPolicy = Named & {
  namespace: string;
  pods: Selector;
  /** Present where the policy isolates in this direction; without rules nothing is allowed. */
  ingress?: readonly PolicyRule[];
  egress?: readonly PolicyRule[];
};

/** `pass` leaves the rest of a tier out. */
export type Action = 'accept' | 'deny' | 'pass';
/** As `admin` before all network policies, as `baseline` for pods that none of them isolates. */
export type Tier = 'admin' | 'baseline';
export type TierRule = PolicyRule & { action: Action; name?: string };

export type ClusterPolicy = Named & {
  tier: Tier;
  /** From 0; the lower one is asked first. */
  priority: number;
  subject: { namespaces: Selector; pods: Selector };
  ingress: readonly TierRule[];
  egress: readonly TierRule[];
};
