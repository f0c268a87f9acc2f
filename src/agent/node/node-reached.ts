/** What the latest resync reached of the node's part in the pod network. */

import { describeError } from '../../base/errors/errors.ts';
import type { RangeRefusal } from '../../cluster/ranges/refusals.ts';
import type { Resync, ResyncInput, ResyncResult } from '../kernel/resync.ts';

export type NodeReached = Partial<ResyncResult> & {
  /** What is wrong, one sentence each. */
  problems: readonly string[];
  refusals: readonly RangeRefusal[];
  resync?: { at: string; milliseconds: number; operations: number; reasons: readonly string[] };
};

/** Where the kernel cannot be read, what the last resync reached counts: what does not hang on it goes on. */
export async function bringKernel(
  kernel: Pick<Resync, 'run'>,
  input: ResyncInput,
  former: NodeReached,
): Promise<{ result: ResyncResult; problems: string[] }> {
  try {
    return { result: await kernel.run(input), problems: [] };
  } catch (error) {
    const problem = `the kernel could not be read or changed: ${describeError(error)}; it is tried again`;
    const { underlays = [], links = [], addresses = [], foreign = [], overlay, resync } = former;
    const unplanned = resync === undefined ? problem : former.problem;
    const result: ResyncResult = {
      underlays,
      links,
      addresses,
      foreign,
      loosened: [],
      isFresh: false,
      reached: { applied: 0, failures: [] },
      ...(overlay === undefined ? {} : { overlay }),
      ...(unplanned === undefined ? {} : { problem: unplanned }),
    };
    return { result, problems: [problem] };
  }
}
