/** The node's view of all peers: which devices, routes, neighbors, forwarding entries and rules its kernel shall hold. */
import { isDeepStrictEqual } from 'node:util';
import type { Backend } from '../../base/config/backend.ts';
import { type Cidr, cidrFamily } from '../../base/ip/cidr.ts';
import { familyBits, type Ip, type IpFamily } from '../../base/ip/ip.ts';
import { runToEnd, type Slices } from '../../base/run/slices.ts';
import { ROUTE_METRIC, ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import { MAIN_TABLE, type Route, SCOPE_LINK, SCOPE_UNIVERSE } from '../../edge/netlink/objects.ts';
import { EMPTY_STATE, type Entries, mergeStates, type NetworkState } from '../../edge/netlink/state/state.ts';
import { gatewayOf } from '../ipam/allocate.ts';
import type { ClusterNode } from '../node/cluster-node.ts';
import { PATH_KINDS } from './kind/kinds.ts';
import type { OpenPath, PathDevice } from './kind/path-kind.ts';
import { choosePath, type Path } from './path.ts';
import { planPeer } from './peer.ts';
import { inhabitedRanges } from './pod-network.ts';
import type { Underlay } from './underlay.ts';

export type OverlayInput = {
  /** This node and its peers, with those of their ranges that were accepted (no two of them overlap). */
  self: ClusterNode;
  peers: readonly ClusterNode[];
  podNetwork: readonly Cidr[];
  /** At most one per family, at least one. */
  underlays: readonly Underlay[];
  /** All addresses of this node: a peer with one of them is none. */
  localIps: ReadonlySet<Ip>;
  backend: Backend;
  vxlan: { port: number; vni: number };
  /** Indexes of the VXLAN devices, by the family that carries them: those they have, or free ones for them to get. */
  tunnelIndexes: Readonly<Record<IpFamily, number>>;
  loopbackIndex: number;
};

/** How a peer's pods are reached, by the family of their addresses. */
export type PeerPaths = { peer: ClusterNode; paths: readonly { family: IpFamily; path: Path }[] };

/** With what leads there. */
export type PeerPlan = PeerPaths & { entries: Entries };

export type OverlayPlan = {
  /** What the node has for itself: its addresses, its ends of the tunnels. */
  own: NetworkState;
  peers: readonly PeerPlan[];
  /** Largest packet that a pod can send to every pod, in bytes. */
  mtu: number;
};

/** What follows from a peer; the ranges are those of the pod network that hold addresses of the peer itself. */
type Known = { plan: PeerPlan; ranges: readonly Cidr[] };

export function planOverlay(input: OverlayInput): OverlayPlan {
  return runToEnd(createOverlayPlanner()(input));
}

/**
 * {@link planOverlay} for one who plans again whenever a few of many peers have changed: the plan of a peer that is the
 * same object as before is so too, for a node that is as it was; and so is what the node has for itself.
 */
export function createOverlayPlanner(): (input: OverlayInput) => Slices<OverlayPlan> {
  let known = new WeakMap<ClusterNode, Known>();
  /** Of them those that have an address of this node, whose addresses come and go. */
  let claiming = new WeakSet<ClusterNode>();
  let knownSelf = '';
  let own: NetworkState = EMPTY_STATE;
  return function* (input) {
    const { underlays, backend, tunnelIndexes } = input;
    // All that the plan of a peer depends on beside the peer.
    const self = JSON.stringify([underlays, backend, tunnelIndexes, input.podNetwork]);
    if (self !== knownSelf) [known, claiming] = [new WeakMap(), new WeakSet()];
    knownSelf = self;
    const peers: PeerPlan[] = [];
    const inhabited = new Set<Cidr>();
    for (const peer of input.peers) {
      const claims = peer.internalIps.some((ip) => input.localIps.has(ip));
      let found = claims === claiming.has(peer) ? known.get(peer) : undefined;
      if (found === undefined) {
        if (claims) claiming.add(peer);
        else claiming.delete(peer);
        const ranges = inhabitedRanges(input.podNetwork, [peer], []).map(({ range }) => range);
        found = { plan: planPeer(input, choosePaths(input, peer)), ranges };
        known.set(peer, found);
        yield;
      }
      peers.push(found.plan);
      for (const range of found.ranges) inhabited.add(range);
    }
    const carried = devicesOf(input, peers);
    const planned = mergeStates(
      planSelf(input, inhabited),
      ...carried.map(({ device, underlay }) => device.plan(input, underlay)),
    );
    own = isDeepStrictEqual(own, planned) ? own : planned;
    return { own, peers, mtu: Math.min(...underlays.map((underlay) => mtuOver(underlay, carried))) };
  };
}

function choosePaths(input: OverlayInput, peer: ClusterNode): PeerPaths {
  const families = [...new Set(peer.podCidrs.map(cidrFamily))];
  return {
    peer,
    paths: families.map((family) => ({ family, path: choosePath(peer, family, input, input.backend) })),
  };
}

type Carried = { device: PathDevice<OpenPath>; underlay: Underlay };

/** The devices that there shall be: those that some path goes through, and those that are kept without any. */
function devicesOf(input: OverlayInput, peers: readonly PeerPaths[]): Carried[] {
  return PATH_KINDS.flatMap(({ mode, device }) => {
    if (device === undefined) return [];
    const kept = device.isKept(input.backend) ? preferredCarriers(input) : NO_FAMILIES;
    const isUsed = ({ family }: Underlay) =>
      peers.some(({ paths }) =>
        paths.some(({ path }) => path.mode === mode && device.carrier(path) === family),
      );
    return input.underlays
      .filter((underlay) => kept.has(underlay.family) || isUsed(underlay))
      .map((underlay) => ({ device, underlay }));
  });
}

const NO_FAMILIES: ReadonlySet<IpFamily> = new Set();

/** Of the largest packet that each path over the underlay takes. */
function mtuOver({ family, mtu }: Underlay, carried: readonly Carried[]): number {
  const overheads = carried.flatMap(({ device, underlay }) =>
    underlay.family === family ? [device.overhead[family]] : [],
  );
  return mtu - Math.max(0, ...overheads);
}

/** The families that carry tunnels to a peer that has all the addresses that this node has. */
function preferredCarriers({ podNetwork, underlays }: OverlayInput): Set<IpFamily> {
  const own = underlays.map(({ family }) => family);
  return new Set(
    podNetwork.map(cidrFamily).flatMap((family) => own.find((carrier) => carrier === family) ?? own[0] ?? []),
  );
}

/** @param inhabited ranges of the pod network in which peers have their own addresses. */
function planSelf(
  { self, podNetwork, underlays, loopbackIndex }: OverlayInput,
  inhabited: ReadonlySet<Cidr>,
): NetworkState {
  const ofSelf = new Set(inhabitedRanges(podNetwork, [self], underlays).map(({ range }) => range));
  const uninhabited = podNetwork.filter((range) => !inhabited.has(range) && !ofSelf.has(range));
  return {
    ...EMPTY_STATE,
    // Scope link: never chosen as the source of a packet that leaves the node. IPv6 takes its scope from the address.
    addresses: self.podCidrs.map((range) => ({
      linkIndex: loopbackIndex,
      ip: gatewayOf(range),
      prefixLength: familyBits(cidrFamily(range)),
      scope: cidrFamily(range) === 4 ? SCOPE_LINK : SCOPE_UNIVERSE,
    })),
    // What no pod has is answered at once, here, instead of leaving by the default route.
    routes: [...new Set([...uninhabited, ...self.podCidrs])].map(unreachable),
  };
}

function unreachable(destination: Cidr): Route {
  return {
    destination,
    table: MAIN_TABLE,
    protocol: ROUTE_PROTOCOL,
    type: 'unreachable',
    scope: SCOPE_UNIVERSE,
    // Behind every other route to the same range.
    metric: ROUTE_METRIC + 1,
  };
}
