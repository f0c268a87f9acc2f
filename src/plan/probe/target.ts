/** Whom to probe: of every peer one address per family, on the path that packets to its pods take. */
import { cidrFamily } from '../../base/ip/cidr.ts';
import type { Ip, IpFamily } from '../../base/ip/ip.ts';
import { gatewayOf } from '../ipam/allocate.ts';
import type { PeerPaths } from '../overlay/plan.ts';
import type { OpenPath } from '../overlay/silence.ts';

export type Target = {
  peer: string;
  family: IpFamily;
  /** The first address of the peer's range, which is on its loopback: its kernel answers, whether its agent runs or not. */
  address: Ip;
  path: OpenPath;
};

/** What follows from a plan that is the same object as before: of thousands of peers few change at a time. */
const known = new WeakMap<PeerPaths, readonly Target[]>();

export function targetsOf(peers: readonly PeerPaths[]): Target[] {
  const targets: Target[] = [];
  for (const peer of peers) {
    const own = known.get(peer) ?? targetsOfPeer(peer);
    known.set(peer, own);
    targets.push(...own);
  }
  return targets;
}

function targetsOfPeer({ peer, paths }: PeerPaths): Target[] {
  return paths.flatMap(({ family, path }): Target[] => {
    const range = peer.podCidrs.find((cidr) => cidrFamily(cidr) === family);
    if (range === undefined || path.mode === 'none') return [];
    return [{ peer: peer.name, family, address: gatewayOf(range), path }];
  });
}
