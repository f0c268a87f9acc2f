/** Services of the cluster and their endpoints, as a node serves them. */
import type { KubeClient } from '../edge/kubernetes/client.ts';
import type { Change } from '../edge/kubernetes/collection.ts';
import { Reflector, type ReflectorTimes } from '../edge/kubernetes/reflector.ts';
import { nameOf } from '../plan/service/name.ts';
import type { ServiceObject, SliceObject } from '../plan/service/objects.ts';
import { ENDPOINT_SLICE_KIND, type EndpointSlice } from './kinds/endpoint-slice.ts';
import type { KubeNode } from './kinds/node.ts';
import { SERVED_SERVICE_KIND } from './kinds/served-service.ts';
import type { KubeStore } from './kube-store.ts';

/**
 * All services and slices are known once each was listed, and the node when its record is there: half of it would refuse
 * what is served. `since` is RFC 3339.
 */
export type ServiceState =
  | { known: false; since: string; why: string }
  | {
      known: true;
      /** The same list as before while none of them has changed. */
      services: readonly ServiceObject[];
      /** By service, `default/web`; a service whose slices are as before has the same list as before. */
      slices: ReadonlyMap<string, readonly SliceObject[]>;
      node: KubeNode;
    };

/** What came of changes since it was last asked. @property triggeredAt when they had happened in the cluster, where that is said. */
export type ServiceChanges = { services: number; slices: number; triggeredAt: readonly number[] };

export type ServiceSource = {
  readonly state: ServiceState;
  readonly problems: readonly string[];
  takeChanges(): ServiceChanges;
  /** Of the object, for Events about it. */
  uidOf(service: string): string | undefined;
  watch(onChange: () => void): { [Symbol.dispose](): void };
  close(): void;
};

/** @param store which has the nodes already. @param name of this node. */
export function openServiceSource(
  client: KubeClient,
  store: KubeStore,
  name: string,
  times?: Partial<ReflectorTimes>,
): ServiceSource {
  const listeners = new Set<() => void>();
  const since = new Date().toISOString();
  const grouped = new Map<string, readonly SliceObject[]>();
  let services: readonly ServiceObject[] | undefined;
  let pending: { services: number; slices: number; triggeredAt: number[] } = noChanges();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  const options = { client, ...(times === undefined ? {} : { times }) };
  const serviceReflector = new Reflector({
    ...options,
    kind: SERVED_SERVICE_KIND,
    onChange: (changes) => {
      services = undefined;
      pending.services += changes.size;
      tell();
    },
  });
  const sliceReflector = new Reflector({
    ...options,
    kind: ENDPOINT_SLICE_KIND,
    onChange: (changes) => {
      regroup(grouped, changes);
      pending.slices += changes.size;
      for (const { before, after } of changes.values())
        if (after?.triggeredAt !== undefined && after.triggeredAt !== before?.triggeredAt)
          pending.triggeredAt.push(after.triggeredAt);
      tell();
    },
  });
  let node: KubeNode | undefined;
  const nodes = store.watch(() => {
    const now = store.node(name);
    if (JSON.stringify(strip(now)) === JSON.stringify(strip(node))) return;
    node = now;
    tell();
  });
  return {
    get state(): ServiceState {
      node ??= store.node(name);
      const missing = [
        ...(serviceReflector.complete ? [] : ['services']),
        ...(sliceReflector.complete ? [] : ['endpoint slices']),
        ...(node === undefined ? ['this node'] : []),
      ];
      if (missing.length > 0 || node === undefined)
        return { known: false, since, why: `the cluster has not told of its ${missing.join(' and ')} yet` };
      services ??= [...serviceReflector.objects.values()].map(({ service }) => service);
      return {
        known: true,
        services,
        slices: grouped,
        node,
      };
    },
    get problems() {
      return [...serviceReflector.problems, ...sliceReflector.problems];
    },
    takeChanges: () => {
      const taken = pending;
      pending = noChanges();
      return taken;
    },
    uidOf: (service) => serviceReflector.objects.get(service)?.uid,
    watch: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    close: () => {
      nodes[Symbol.dispose]();
      for (const reflector of [serviceReflector, sliceReflector]) reflector[Symbol.dispose]();
    },
  };
}

function noChanges(): { services: number; slices: number; triggeredAt: number[] } {
  return { services: 0, slices: 0, triggeredAt: [] };
}

/** Kubelets write their records all the time. */
function strip(node: KubeNode | undefined): unknown {
  return node && { ...node, resourceVersion: '' };
}

/** Slices of a service in the order of their names, so that lists do not depend on what came first. */
function regroup(
  grouped: Map<string, readonly SliceObject[]>,
  changes: ReadonlyMap<string, Change<EndpointSlice>>,
): void {
  const touched = new Map<string, Map<string, SliceObject>>();
  const of = (slice: SliceObject) => {
    const key = nameOf({ namespace: slice.namespace, name: slice.service });
    let slices = touched.get(key);
    if (slices === undefined) {
      slices = new Map((grouped.get(key) ?? []).map((each) => [each.name, each]));
      touched.set(key, slices);
    }
    return slices;
  };
  for (const { before, after } of changes.values()) {
    if (before?.slice !== undefined) of(before.slice).delete(before.slice.name);
    if (after?.slice !== undefined) of(after.slice).set(after.slice.name, after.slice);
  }
  for (const [key, slices] of touched) {
    if (slices.size === 0) grouped.delete(key);
    else
      grouped.set(
        key,
        [...slices.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      );
  }
}
