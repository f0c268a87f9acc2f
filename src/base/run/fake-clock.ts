/** A clock for tests: it stands still until it is turned, and what is due meanwhile happens in its order. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from './clock.ts';

export type FakeClock = Clock & {
  /** Lets so many milliseconds pass. What is due begins at its time, and gets as far as it gets without waiting for more. */
  turn(ms: number): Promise<void>;
  /** Turns in steps until the condition holds. @param what the condition in words. */
  until(what: string, condition: () => boolean | Promise<boolean>): Promise<void>;
};

/** An arbitrary one, which is printed in logs. */
const START = Date.parse('2026-01-01T00:00:00Z');
/** Rounds of the event loop in which what was begun goes on: work in slices needs one for each. */
const ROUNDS = 3;
const STEP_MS = 50;
/** Far beyond anything that works; it keeps a fault from becoming a hang. */
const LIMIT_MS = 120_000;

type Timer = { at: number; every: number | undefined; task: () => void };

export function createFakeClock(): FakeClock {
  let now = 1;
  const timers = new Set<Timer>();
  const add = (ms: number, every: number | undefined, task: () => void): Disposable => {
    const timer = { at: now + Math.max(0, ms), every, task };
    timers.add(timer);
    return { [Symbol.dispose]: () => void timers.delete(timer) };
  };
  const earliest = (): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) if (first === undefined || timer.at < first.at) first = timer;
    return first;
  };
  const goOn = async () => {
    for (let round = 0; round < ROUNDS; round++) await setImmediate();
  };
  const turn = async (ms: number) => {
    const end = now + ms;
    await goOn();
    for (let timer = earliest(); timer !== undefined && timer.at <= end; timer = earliest()) {
      now = Math.max(now, timer.at);
      if (timer.every === undefined) timers.delete(timer);
      else timer.at = now + timer.every;
      timer.task();
      await goOn();
    }
    now = end;
  };
  return {
    now: () => now,
    date: () => new Date(START + now),
    after: (ms, task) => add(ms, undefined, task),
    every: (ms, task) => add(Math.max(1, ms), Math.max(1, ms), task),
    turn,
    until: async (what, condition) => {
      const limit = now + LIMIT_MS;
      while (!(await condition())) {
        if (now > limit) throw new Error(`${LIMIT_MS / 1000} s of the clock went by in vain until ${what}`);
        await turn(STEP_MS);
      }
    },
  };
}
