/** Shapes of Service and EndpointSlice, and of what addresses of services come from and belong to. */
import { conditions, kindShape, objectReference } from './meta.ts';
import {
  atomic,
  each,
  flag,
  free,
  integer,
  list,
  listBy,
  map,
  type ObjectType,
  object,
  text,
  textOrNumber,
} from './type.ts';

const servicePort = object(
  {
    ...each(text, 'name', 'protocol', 'appProtocol'),
    ...each(integer, 'port', 'nodePort'),
    targetPort: textOrNumber,
  },
  ['port'],
);

export const service: ObjectType = kindShape({
  spec: object({
    ...each(text, 'type', 'clusterIP', 'sessionAffinity', 'loadBalancerIP', 'externalName', 'ipFamilyPolicy'),
    ...each(
      text,
      'externalTrafficPolicy',
      'internalTrafficPolicy',
      'loadBalancerClass',
      'trafficDistribution',
    ),
    ...each(flag, 'publishNotReadyAddresses', 'allocateLoadBalancerNodePorts'),
    healthCheckNodePort: integer,
    ports: listBy(servicePort, 'port', 'protocol'),
    selector: { type: 'map', of: text },
    ...each(list(text), 'clusterIPs', 'externalIPs', 'loadBalancerSourceRanges', 'ipFamilies'),
    sessionAffinityConfig: free,
  }),
  status: object({ loadBalancer: object({ ingress: list(free) }), conditions }),
});

const endpoint = object(
  {
    addresses: list(text),
    conditions: object(each(flag, 'ready', 'serving', 'terminating')),
    ...each(text, 'hostname', 'nodeName', 'zone'),
    targetRef: objectReference,
    deprecatedTopology: map(text),
    hints: free,
  },
  ['addresses'],
);

export const endpointSlice: ObjectType = kindShape(
  {
    addressType: text,
    endpoints: list(endpoint),
    ports: list(atomic(object({ ...each(text, 'name', 'protocol', 'appProtocol'), port: integer }))),
  },
  ['addressType', 'endpoints'],
);

export const serviceCidr: ObjectType = kindShape({
  spec: object({ cidrs: list(text) }),
  status: object({ conditions }),
});

export const ipAddress: ObjectType = kindShape({
  spec: object({
    parentRef: object(each(text, 'group', 'resource', 'namespace', 'name'), ['resource', 'name']),
  }),
});
