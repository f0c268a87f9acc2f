/** The kinds that the lab's API serves. */

import { configMap, event, lease, namespace, node } from '../../src/edge/kubernetes/schema/cluster.ts';
import { pod } from '../../src/edge/kubernetes/schema/pod.ts';
import { clusterNetworkPolicy, networkPolicy } from '../../src/edge/kubernetes/schema/policy.ts';
import { endpointSlice, ipAddress, service, serviceCidr } from '../../src/edge/kubernetes/schema/service.ts';
import type { ObjectType } from '../../src/edge/kubernetes/schema/type.ts';
import { ApiFailure } from './request/failure.ts';
import { COLUMNS, type Column } from './table/columns.ts';

export type Kind = {
  /** Empty for the core group. */
  group: string;
  version: string;
  kind: string;
  plural: string;
  shortNames: readonly string[];
  namespaced: boolean;
  /** Whether `status` is written through a path of its own. */
  status: boolean;
  /** Kinds that Kubernetes defines by a CustomResourceDefinition take no strategic merge patch. */
  custom: boolean;
  shape: ObjectType;
  columns: readonly Column[];
  /** Fields that a field selector may name, besides metadata.name and metadata.namespace. */
  selectable: readonly string[];
};

const CLUSTER = { namespaced: false };
const STATUS = { status: true };

export const KINDS: readonly Kind[] = [
  core('ConfigMap', 'configmaps', ['cm'], configMap),
  core('Event', 'events', ['ev'], event, {
    selectable: [
      ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
        (field) => `involvedObject.${field}`,
      ),
      'reason',
      'reportingComponent',
      'source',
      'type',
    ],
  }),
  core('Namespace', 'namespaces', ['ns'], namespace, { ...CLUSTER, ...STATUS, selectable: ['status.phase'] }),
  core('Node', 'nodes', ['no'], node, { ...CLUSTER, ...STATUS, selectable: ['spec.unschedulable'] }),
  core('Pod', 'pods', ['po'], pod, {
    ...STATUS,
    selectable: [
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.schedulerName',
      'spec.serviceAccountName',
      'spec.hostNetwork',
      'status.phase',
      'status.podIP',
      'status.nominatedNodeName',
    ],
  }),
  core('Service', 'services', ['svc'], service, { ...STATUS, selectable: ['spec.clusterIP', 'spec.type'] }),
  inGroup('coordination.k8s.io', 'v1', 'Lease', 'leases', [], lease),
  inGroup('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices', [], endpointSlice),
  inGroup('networking.k8s.io', 'v1', 'IPAddress', 'ipaddresses', ['ip'], ipAddress, CLUSTER),
  inGroup('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies', ['netpol'], networkPolicy),
  inGroup('networking.k8s.io', 'v1', 'ServiceCIDR', 'servicecidrs', [], serviceCidr, {
    ...CLUSTER,
    ...STATUS,
  }),
  inGroup(
    'policy.networking.k8s.io',
    'v1alpha2',
    'ClusterNetworkPolicy',
    'clusternetworkpolicies',
    ['cnp'],
    clusterNetworkPolicy,
    {
      ...CLUSTER,
      ...STATUS,
      custom: true,
    },
  ),
];

/** @throws where there is none, which is a mistake of the program. */
export function kindNamed(name: string): Kind {
  const found = KINDS.find(({ kind }) => kind === name);
  if (found === undefined) throw new TypeError(`there is no kind ${name}`);
  return found;
}

/** `v1`, `networking.k8s.io/v1`. */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** `pods`, `networkpolicies.networking.k8s.io`: as in messages. */
export function qualifiedPlural({ group, plural }: Kind): string {
  return group === '' ? plural : `${plural}.${group}`;
}

export function notFound(kind: Kind, name: string): ApiFailure {
  return new ApiFailure('NotFound', `${qualifiedPlural(kind)} ${JSON.stringify(name)} not found`, {
    name,
    kind: kind.plural,
    ...(kind.group === '' ? {} : { group: kind.group }),
  });
}

type More = Partial<Pick<Kind, 'namespaced' | 'status' | 'custom' | 'selectable'>>;

function core(
  kind: string,
  plural: string,
  shortNames: readonly string[],
  shape: ObjectType,
  more: More = {},
): Kind {
  return inGroup('', 'v1', kind, plural, shortNames, shape, more);
}

function inGroup(
  group: string,
  version: string,
  kind: string,
  plural: string,
  shortNames: readonly string[],
  shape: ObjectType,
  more: More = {},
): Kind {
  return {
    group,
    version,
    kind,
    plural,
    shortNames,
    shape,
    namespaced: true,
    status: false,
    custom: false,
    selectable: [],
    columns: COLUMNS[kind] ?? [],
    ...more,
  };
}
