/** Time, as what counts it is given: an agent that of the machine, a test one that it turns by hand. */

export type Clock = {
  /** Milliseconds; only goes forward. */
  now(): number;
  /** The time of day. */
  date(): Date;
  /** Calls back once, after so many milliseconds. No process lives on for it. */
  after(ms: number, task: () => void): Disposable;
  /** Calls back again and again. */
  every(ms: number, task: () => void): Disposable;
};

export const MACHINE_CLOCK: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  after: (ms, task) => {
    const timer = setTimeout(task, Math.max(0, ms));
    timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  every: (ms, task) => {
    const timer = setInterval(task, ms);
    timer.unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
};
