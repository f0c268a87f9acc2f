/**
 * What an agent's edges go through in tests: any call of them may be refused, and from any one on the agent may be gone,
 * as where its process is killed: what it has begun in the kernel stays, and it does nothing more.
 */
import type { Clock } from '../../base/run/clock.ts';

/** Why a call fails; undefined lets it pass. @param what as `kernel.apply route.replace`, `nftables.replace`. */
export type Refuse = (what: string) => Error | undefined;

export type Life = {
  readonly isOver: boolean;
  /** Resolves when it is over. */
  readonly end: Promise<void>;
  /** @param calls after so many more calls of its edges. */
  kill(calls?: number): void;
  /** @throws where the call is refused, or the agent is gone. */
  pass(what: string): void;
  /** The same for what is waited for: of an agent that is gone, forever. */
  passLater<T>(what: string, call: () => Promise<T>): Promise<T>;
  /** Calls back only as long as it lives. */
  tell<A extends unknown[]>(callback: (...args: A) => void): (...args: A) => void;
  clock(machine: Clock): Clock;
};

class Gone extends Error {
  constructor() {
    super('this agent was killed');
  }
}

export function createLife(refuse: Refuse): Life {
  const { promise: end, resolve } = Promise.withResolvers<void>();
  let isOver = false;
  let left = Infinity;
  const kill = (calls = 0) => {
    left = calls;
    if (left > 0) return;
    isOver = true;
    resolve();
  };
  const pass = (what: string) => {
    if (!isOver && --left <= 0) kill();
    if (isOver) throw new Gone();
    const refusal = refuse(what);
    if (refusal !== undefined) throw refusal;
  };
  const tell =
    <A extends unknown[]>(callback: (...args: A) => void) =>
    (...args: A) => {
      if (!isOver) callback(...args);
    };
  return {
    get isOver() {
      return isOver;
    },
    end,
    kill,
    pass,
    passLater: async (what, call) => {
      try {
        pass(what);
        const result = await call();
        if (!isOver) return result;
      } catch (error) {
        if (!isOver) throw error;
      }
      return new Promise(() => undefined);
    },
    tell,
    clock: (machine) => ({
      now: () => machine.now(),
      date: () => machine.date(),
      after: (ms, task) => machine.after(ms, tell(task)),
      every: (ms, task) => machine.every(ms, tell(task)),
    }),
  };
}
