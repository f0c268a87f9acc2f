/** Where both nodes have an address on one link: a route, and no device. */

import { ipFamily } from '../../../base/ip/ip.ts';
import type { OpenPath, PathKind } from './path-kind.ts';
import { peerRoute } from './peer-route.ts';

export const DIRECT: PathKind<OpenPath & { mode: 'direct' }> = {
  mode: 'direct',
  toRanges: (input, _peer, ranges, { gateway }) => {
    const { linkIndex } = input.underlays.find(({ family }) => family === ipFamily(gateway))!;
    return {
      neighbors: [],
      routes: ranges.map((range) => ({ ...peerRoute(input, range, linkIndex), gateway })),
    };
  },
  toPeer: () => [],
  describe: ({ gateway }) => `the route via ${gateway}`,
  cureOfSilence: (peer) =>
    `look whether the agent of ${peer} runs, and whether something between filters addresses of pods; backend vxlan needs no such leave`,
};
