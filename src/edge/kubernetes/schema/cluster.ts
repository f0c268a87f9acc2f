/** Shapes of what a cluster consists of: Node, Namespace, Lease, Event, ConfigMap. */
import { conditions, kindShape, objectReference } from './meta.ts';
import {
  each,
  flag,
  free,
  integer,
  list,
  listBy,
  listMergedBy,
  map,
  microTime,
  type ObjectType,
  object,
  setOf,
  text,
  textOrNumber,
  time,
} from './type.ts';

const taint = object({ ...each(text, 'key', 'value', 'effect'), timeAdded: time }, ['key', 'effect']);

export const node: ObjectType = kindShape({
  spec: object({
    ...each(text, 'podCIDR', 'providerID', 'externalID'),
    podCIDRs: setOf(text),
    unschedulable: flag,
    taints: listMergedBy(taint, 'key'),
    configSource: free,
  }),
  status: object({
    capacity: map(textOrNumber),
    allocatable: map(textOrNumber),
    phase: text,
    conditions,
    addresses: listBy(object(each(text, 'type', 'address'), ['type', 'address']), 'type'),
    daemonEndpoints: free,
    nodeInfo: object({
      ...each(
        text,
        'machineID',
        'systemUUID',
        'bootID',
        'kernelVersion',
        'osImage',
        'containerRuntimeVersion',
      ),
      ...each(text, 'kubeletVersion', 'kubeProxyVersion', 'operatingSystem', 'architecture'),
      swap: free,
    }),
    images: list(free),
    volumesInUse: list(text),
    volumesAttached: list(free),
    ...each(free, 'config', 'features'),
    runtimeHandlers: list(free),
    declaredFeatures: list(text),
  }),
});

export const namespace: ObjectType = kindShape({
  spec: object({ finalizers: list(text) }),
  status: object({ phase: text, conditions }),
});

export const lease: ObjectType = kindShape({
  spec: object({
    ...each(text, 'holderIdentity', 'strategy', 'preferredHolder'),
    ...each(integer, 'leaseDurationSeconds', 'leaseTransitions'),
    ...each(microTime, 'acquireTime', 'renewTime'),
  }),
});

export const event: ObjectType = kindShape(
  {
    involvedObject: objectReference,
    related: objectReference,
    ...each(text, 'reason', 'message', 'type', 'action', 'reportingComponent', 'reportingInstance'),
    source: object(each(text, 'component', 'host')),
    ...each(time, 'firstTimestamp', 'lastTimestamp'),
    count: integer,
    eventTime: microTime,
    series: object({ count: integer, lastObservedTime: microTime }),
  },
  ['involvedObject'],
);

export const configMap: ObjectType = kindShape({ data: map(text), binaryData: map(text), immutable: flag });
