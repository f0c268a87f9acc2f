/** What a node does with packets to services: resolved, so that a renderer decides nothing. */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { Ip, IpFamily } from '../../base/ip/ip.ts';
import type { ServiceProtocol } from './objects.ts';

export type ServiceTable = {
  families: readonly IpFamily[];
  services: readonly PlannedService[];
  /** Addresses of this node at which its NodePorts answer. */
  nodePortIps: readonly Ip[];
  /** Ranges of service addresses: what no service has is dropped, never routed. */
  serviceRanges: readonly Cidr[];
  /** What cannot be served, or only in part. */
  problems: readonly ServiceProblem[];
};

export type PlannedService = {
  /** `default/web`. */
  name: string;
  /** Its cluster addresses of the families that are served: ports of them that it has not are refused. */
  clusterIps: readonly Ip[];
  ports: readonly PlannedPort[];
  health?: HealthPort;
  problems: readonly string[];
};

/** One port of a service in one family: these share endpoints and affinity. */
export type PlannedPort = {
  name: string;
  protocol: ServiceProtocol;
  port: number;
  family: IpFamily;
  lists: Readonly<Record<ListName, readonly Endpoint[]>>;
  /** Whether there is an endpoint of any use in the whole cluster. */
  usable: boolean;
  /** All that serve, whatever policies and topology say: a UDP flow to another one is stale. */
  serving: readonly Endpoint[];
  affinitySeconds?: number;
  frontends: readonly Frontend[];
};

/** `cluster`: from all nodes, as the hints have it. `local`: those of this node. */
export type ListName = 'cluster' | 'local';

export type Endpoint = { ip: Ip; port: number; local: boolean };

/** Addresses of one port by which it is reached. */
export type Frontend = {
  kind: 'clusterIP' | 'externalIP' | 'loadBalancer' | 'nodePort';
  /** Absent for a NodePort: each of the node's addresses for them. */
  ip?: Ip;
  port: number;
  /** For pods of this node and for the node itself. */
  inside: Way;
  /** For all others. */
  outside: Way;
  /** Whose source gives way to the node's: all but pods of this node, all, or the node itself alone. */
  masquerade: 'nonPods' | 'all' | 'node';
  /** Present where only these sources may use it. */
  sourceRanges?: readonly Cidr[];
};

export type Way = { list: ListName } | { refused: 'reject' | 'drop'; why: string };

export type HealthPort = { port: number; localEndpoints: number };

export type ServiceProblem = { service: string; problem: string };
