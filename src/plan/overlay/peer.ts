/** What leads to one peer's pods, by each of its paths. */

import { cidrFamily } from '../../base/ip/cidr.ts';
import { kindOf, PATH_KINDS } from './kind/kinds.ts';
import type { OpenPath } from './kind/path-kind.ts';
import type { OverlayInput, PeerPaths, PeerPlan } from './plan.ts';

export function planPeer(input: OverlayInput, { peer, paths }: PeerPaths): PeerPlan {
  const open = paths.flatMap(({ family, path }) => (path.mode === 'none' ? [] : [{ family, path }]));
  const leading = open.map(({ family, path }) =>
    kindOf(path).toRanges(
      input,
      peer,
      peer.podCidrs.filter((range) => cidrFamily(range) === family),
      path,
    ),
  );
  const entries = {
    routes: leading.flatMap(({ routes }) => routes),
    neighbors: leading.flatMap(({ neighbors }) => neighbors),
    fdb: PATH_KINDS.flatMap((kind) =>
      kind.toPeer(input, open.map(({ path }) => path).filter(isOf(kind.mode))),
    ),
  };
  return { peer, paths, entries };
}

function isOf(mode: OpenPath['mode']): (path: OpenPath) => boolean {
  return (path) => path.mode === mode;
}
