/** All kinds of paths. */

import { DIRECT } from './direct.ts';
import type { OpenPath, PathKind } from './path-kind.ts';
import { VXLAN } from './vxlan.ts';

export const PATH_KINDS: readonly PathKind[] = [DIRECT, VXLAN];

/** The kind of a path: it is given paths of its own mode alone. */
export function kindOf({ mode }: OpenPath): PathKind {
  return PATH_KINDS.find((kind) => kind.mode === mode)!;
}
