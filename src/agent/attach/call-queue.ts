/** CNI calls on one attachment run one after the other, in the order in which they came; those on others do not wait. */

/** What a call is told when a later DEL of its attachment has made it pointless. */
export type Cancellation = { readonly cancelled: boolean; readonly whenCancelled: Promise<void> };

export type CallQueue = {
  /** Runs the task behind all that came before it for this attachment. */
  run<T>(id: string, task: () => Promise<T>): Promise<T>;
  /** As {@link run}, for a task that {@link cancel} may tell to give up: it ends by itself, and leaves nothing. */
  runCancellable<T>(id: string, task: (cancellation: Cancellation) => Promise<T>): Promise<T>;
  /** Tells the cancellable calls that run or wait for this attachment now. */
  cancel(id: string): void;
};

export function createCallQueue(): CallQueue {
  const lasts = new Map<string, Promise<void>>();
  const cancels = new Map<string, Set<() => void>>();
  const run = async <T>(id: string, task: () => Promise<T>): Promise<T> => {
    const turn = (lasts.get(id) ?? Promise.resolve()).then(task);
    const end = turn.then(
      () => undefined,
      () => undefined,
    );
    lasts.set(id, end);
    try {
      return await turn;
    } finally {
      if (lasts.get(id) === end) lasts.delete(id);
    }
  };
  return {
    run,
    runCancellable: async (id, task) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancellation = { cancelled: false, whenCancelled: promise };
      const cancel = () => {
        cancellation.cancelled = true;
        resolve();
      };
      const present = cancels.get(id) ?? new Set();
      cancels.set(id, present.add(cancel));
      try {
        return await run(id, () => task(cancellation));
      } finally {
        present.delete(cancel);
        if (present.size === 0 && cancels.get(id) === present) cancels.delete(id);
      }
    },
    cancel: (id) => {
      for (const cancel of cancels.get(id) ?? []) cancel();
    },
  };
}
