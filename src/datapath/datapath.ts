/**
 * What the kernel does with the packets of pods, as one part with one state. nftables brings it about now
 * (`nftables/datapath.ts`); another implementation stands beside it, behind this interface.
 */

import type { Cidr } from '../base/ip/cidr.ts';
import type { Ip } from '../base/ip/ip.ts';
import type { Known } from '../base/known.ts';
import type { Part } from '../base/run/part.ts';
import type { PodPorts } from '../plan/hostport/plan.ts';
import type { ClusterNode } from '../plan/node/cluster-node.ts';
import type { Compiled } from '../plan/policy/compile/compile.ts';
import type { Outcome } from '../plan/policy/compile/outcome.ts';

/** What can be set, and become stale, by itself. Services will be a third. */
export type Aspect = 'node' | 'policies';

export type DatapathState = {
  /** Not known: what the agent before left stays in force. */
  node: Known<{ firewall: NodeFirewall | undefined }>;
  /** What is said about pods of this node. Not known: what the agent before enforced stays in force. */
  policies: Known<{ effective: Compiled }>;
  /**
   * Addresses of pods whose connections are tracked for the policies of this state. Answers are known as such before
   * anything is dropped, and until nothing is: between two states the connections of both are.
   */
  tracking: readonly Ip[];
};

/** Guards, masquerade, and ports of the node; undefined in the state above is none of it. */
export type NodeFirewall = {
  /** This node, and its ranges. */
  name: string;
  ranges: readonly Cidr[];
  podNetwork: readonly Cidr[];
  /** All nodes that are known, this one among them: a packet to a node keeps its source. */
  nodes: readonly ClusterNode[];
  /** Whether what the agent before knew of the cluster counts beside these: as long as this one knows less. */
  inherits: boolean;
  sourceNat: {
    /** Whether pods that talk to the outside carry the node's address. */
    enabled: boolean;
    exclude: readonly Cidr[];
  };
  /** Whether connections between pods are tracked even where nothing needs them to be. */
  conntrack: 'auto' | 'always';
  hostPorts: { pods: readonly PodPorts[]; nodeIps: readonly Ip[]; services: readonly Cidr[] };
  /** Present where there is a tunnel: only nodes speak to it. */
  tunnel?: { port: number; vni: number };
};

/** Packets that began, or tried to begin, a connection, by how they ended up. */
export type PolicyCount = { outcome: Outcome; packets: number };

/** What was noticed: one of ours that may be changed, or others' rulesets, on which ours may depend. */
export type StaleCause = Aspect | 'services' | 'others';

export type Datapath = Part<DatapathState, Aspect> & {
  /** Whether the kernel holds what was set last, as far as is known. */
  isTrusted(aspect: Aspect): boolean;
  /** Opens or closes the ports of one pod at once. @throws where the kernel does not take them; then none is. */
  changePorts(change: 'add' | 'delete', pod: PodPorts): Promise<void>;
  /** Whether the kernel holds the ports of a pod right now. */
  hasPorts(pod: PodPorts): boolean;
  /** Calls back for what others change. It is stale already then: what remains is to `set` again. */
  watch(
    onStale: (causes: readonly StaleCause[]) => void,
    onProblem: (problem: string) => void,
  ): Disposable & { readonly problem: string | undefined };
  counts(): Promise<PolicyCount[]>;
  /** What the kernel reports a packet by. */
  outcome(name: string): Outcome | undefined;
  /** Packets that claimed to be what they are not. */
  spoofDrops(now: () => Date): Promise<SpoofDrops>;
  /** What of others lets nothing of pods pass, one sentence each. */
  foreignProblems(): Promise<readonly string[]>;
};

export type SpoofKind = 'spoofed-source' | 'tunnel-stranger' | 'tunnel-inner-source' | 'router-advertisement';

/** Packets since the guards were loaded; kinds that are not counted are absent. */
export type SpoofDrops = Known<{ packets: Readonly<Partial<Record<SpoofKind, number>>> }>;
