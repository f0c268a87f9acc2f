/** What Fairlead owns, or shall own, in one network namespace: the same shape for desired and actual. */
import type { Address, FdbEntry, Neighbor, NewLink, Qdisc, Redirect, Route, Rule } from '../objects.ts';

export type NetworkState<L = NewLink> = {
  /** Devices of the overlay, and shapers; the veths of pods are made and removed by their attachments alone. */
  links: readonly L[];
  addresses: readonly Address[];
  routes: readonly Route[];
  neighbors: readonly Neighbor[];
  fdb: readonly FdbEntry[];
  rules: readonly Rule[];
  /** Limits of pods. Other queues on their links are left alone: a plugin that comes later may have put them there. */
  qdiscs: readonly Qdisc[];
  redirects: readonly Redirect[];
};

/** What there is thousands of: some for each peer, some for each pod. */
export type Entries = Pick<NetworkState, 'routes' | 'neighbors' | 'fdb'>;

export const EMPTY_STATE: NetworkState<never> = {
  links: [],
  addresses: [],
  routes: [],
  neighbors: [],
  fdb: [],
  rules: [],
  qdiscs: [],
  redirects: [],
};

/** All of both. */
export function mergeStates(...states: readonly NetworkState[]): NetworkState {
  return {
    links: states.flatMap((state) => state.links),
    addresses: states.flatMap((state) => state.addresses),
    routes: states.flatMap((state) => state.routes),
    neighbors: states.flatMap((state) => state.neighbors),
    fdb: states.flatMap((state) => state.fdb),
    rules: states.flatMap((state) => state.rules),
    qdiscs: states.flatMap((state) => state.qdiscs),
    redirects: states.flatMap((state) => state.redirects),
  };
}

export function mergeEntries(parts: readonly Entries[]): Entries {
  return {
    routes: parts.flatMap(({ routes }) => routes),
    neighbors: parts.flatMap(({ neighbors }) => neighbors),
    fdb: parts.flatMap(({ fdb }) => fdb),
  };
}
