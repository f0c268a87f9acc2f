/** One way to reach a peer, as a value: another one is a file beside these, a mode of `Path`, and a line in `kinds.ts`. */

import type { Backend } from '../../../base/config/backend.ts';
import type { Cidr } from '../../../base/ip/cidr.ts';
import type { IpFamily } from '../../../base/ip/ip.ts';
import type { FdbEntry } from '../../../edge/netlink/objects.ts';
import type { Entries, NetworkState } from '../../../edge/netlink/state/state.ts';
import type { ClusterNode } from '../../node/cluster-node.ts';
import type { Path } from '../path.ts';
import type { OverlayInput } from '../plan.ts';
import type { Underlay } from '../underlay.ts';

/** One that leads somewhere. */
export type OpenPath = Exclude<Path, { mode: 'none' }>;

export type PathKind<P extends OpenPath = OpenPath> = {
  mode: P['mode'];
  /** Absent where packets leave by the underlay as they are. */
  device?: PathDevice<P>;
  /** What leads to ranges of a peer, all of one family. */
  toRanges(input: OverlayInput, peer: ClusterNode, ranges: readonly Cidr[], path: P): Omit<Entries, 'fdb'>;
  /** What a peer has once, however many of its ranges are reached so. */
  toPeer(input: OverlayInput, paths: readonly P[]): FdbEntry[];
  /** As in “no answer through the route via 192.168.1.3”. */
  describe(path: P): string;
  /** What to look at where a peer does not answer. */
  cureOfSilence(peer: string): string;
};

/** A device of the node's own for all paths of the kind, one per underlay that carries them. */
export type PathDevice<P extends OpenPath> = {
  /** Bytes that each packet loses, by the family of the underlay. */
  overhead: Readonly<Record<IpFamily, number>>;
  /** The family of the underlay that carries the path. */
  carrier(path: P): IpFamily;
  /** Whether it is there even without a peer, so that the MTU does not change when the first one joins. */
  isKept(backend: Backend): boolean;
  plan(input: OverlayInput, underlay: Underlay): NetworkState;
};
