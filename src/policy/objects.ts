/** What policies are about, and what they say, as values (networking.k8s.io/v1 NetworkPolicy). */
import type { Cidr } from '../ip/cidr.ts';
import type { Ip } from '../ip/ip.ts';

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
};

export type PolicyNamespace = { name: string; labels: Labels };

/** One demand on labels (metav1 LabelSelectorRequirement); a `matchLabels` entry is an `In` of one value. */
export type Requirement =
  | { key: string; operator: 'In' | 'NotIn'; values: readonly string[] }
  | { key: string; operator: 'Exists' | 'DoesNotExist' };

/** All of them must be met; none at all selects everything. */
export type Selector = readonly Requirement[];

export type Peer =
  | {
      kind: 'pods';
      /** Absent: those of the policy's own namespace. */
      namespaces?: Selector;
      pods: Selector;
    }
  | { kind: 'block'; cidr: Cidr; except: readonly Cidr[] };

export type PolicyPort = {
  protocol: Protocol;
  /** Absent: all of them. A name is looked up at the pod that is reached. */
  port?: number | string;
  /** Last of a range that begins with the number. */
  endPort?: number;
};

/** Absent peers are all, absent ports are all of every protocol. */
export type PolicyRule = { peers?: readonly Peer[]; ports?: readonly PolicyPort[] };

export type NetworkPolicy = {
  namespace: string;
  name: string;
  pods: Selector;
  /** Present where the policy isolates in this direction; without rules nothing is allowed. */
  ingress?: readonly PolicyRule[];
  egress?: readonly PolicyRule[];
};
