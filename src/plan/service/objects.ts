/** Services and where they lead, as values: Service (core/v1) and EndpointSlice (discovery.k8s.io/v1) as far as a node serves them. */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { Ip, IpFamily } from '../../base/ip/ip.ts';

export const SERVICE_PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
export type ServiceProtocol = (typeof SERVICE_PROTOCOLS)[number];

export type ServicePort = {
  /** Empty where the service has one port without a name. */
  name: string;
  protocol: ServiceProtocol;
  port: number;
  /** Absent where no port of the node leads here. */
  nodePort?: number;
};

export type ServiceObject = {
  namespace: string;
  name: string;
  /** RFC 3339, empty where unknown: of two services that claim one address the older one has it. */
  created: string;
  /** Why no node serves it: it is headless, a name, or another proxy's. */
  notServed?: string;
  ports: readonly ServicePort[];
  /** At most one per family; a family without one is not served at all. */
  clusterIPs: readonly Ip[];
  externalIPs: readonly Ip[];
  /** Those that the load balancer leaves to the nodes (`ipMode: VIP`). */
  loadBalancerIPs: readonly Ip[];
  /**
   * Sources that may use addresses of the load balancer. Absent: all; so in a family without ranges, where the other has
   * some. Empty: none.
   */
  sourceRanges?: readonly Cidr[];
  internalTrafficPolicy: TrafficPolicy;
  externalTrafficPolicy: TrafficPolicy;
  /** Present with sessionAffinity ClientIP: how long a client keeps its endpoint. */
  affinitySeconds?: number;
  /** Present where a load balancer asks each node for its own endpoints. */
  healthCheckNodePort?: number;
};

export type TrafficPolicy = 'Cluster' | 'Local';

/** One of the lists of endpoints of a service; any number of them make up the whole. */
export type SliceObject = {
  namespace: string;
  name: string;
  /** Whose it is: the label `kubernetes.io/service-name`. */
  service: string;
  /** Absent where the endpoints are names (`addressType: FQDN`). */
  family?: IpFamily;
  ports: readonly SlicePort[];
  endpoints: readonly SliceEndpoint[];
};

/** Joined to the port of the service that has this name and protocol; the number may differ per slice. */
export type SlicePort = { name: string; protocol: ServiceProtocol; port: number };

export type SliceEndpoint = {
  ip: Ip;
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  /** Absent: never local. */
  nodeName?: string;
  forNodes: readonly string[];
  forZones: readonly string[];
};
