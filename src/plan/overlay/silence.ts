/** What to say of a path on which nobody answers. */
import type { Path } from './path.ts';

export type OpenPath = Exclude<Path, { mode: 'none' }>;

/** As in “no answer through the route via 192.168.1.3”. */
export function nameOfPath(path: OpenPath): string {
  return path.mode === 'vxlan' ? `the VXLAN tunnel to ${path.endpoint}` : `the route via ${path.gateway}`;
}

export function cureOfSilence(peer: string, { mode }: OpenPath): string {
  return mode === 'vxlan'
    ? `let UDP to vxlan.port pass between the nodes, and look whether the agent of ${peer} runs (fairlead status there)`
    : `look whether the agent of ${peer} runs, and whether something between filters addresses of pods; backend vxlan needs no such leave`;
}
