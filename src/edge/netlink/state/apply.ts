/** Applies operations and says what was reached: what is so already counts as reached. */
import { isAbsent, isPresent } from '../codec/errno.ts';
import type { Kernel, NetlinkError, Operation, Outcome } from '../kernel.ts';

export type Reached = {
  /** How many operations changed the kernel. */
  applied: number;
  failures: { operation: Operation; error: NetlinkError }[];
};

/** One failure does not stop the others: a peer that cannot be programmed must not cost its neighbors theirs. */
export function applyOperations(kernel: Kernel, operations: readonly Operation[]): Reached {
  return judge(operations, kernel.apply(operations));
}

/** More than these keep all else waiting; they take 2 ms. */
const MOST_AT_ONCE = 200;

/** The same, in turns with others where there are many. */
export async function applySliced(kernel: Kernel, operations: readonly Operation[]): Promise<Reached> {
  if (operations.length <= MOST_AT_ONCE) return applyOperations(kernel, operations);
  return judge(operations, await kernel.applyAsync(operations));
}

function judge(operations: readonly Operation[], outcomes: readonly Outcome[]): Reached {
  const failures = operations.flatMap((operation, index) => {
    const error = outcomes[index];
    return error === undefined || isAlreadySo(operation, error) ? [] : [{ operation, error }];
  });
  return { applied: operations.length - failures.length, failures };
}

/** Deleting what is gone and adding what is there have reached what they were meant to. */
export function isAlreadySo(operation: Operation, error: NetlinkError): boolean {
  return operation.op.includes('.delete') ? isAbsent(error) : operation.op === 'rule.add' && isPresent(error);
}
