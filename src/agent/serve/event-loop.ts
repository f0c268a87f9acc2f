/** How late the agent's own work is: what runs for long lets plugins and events wait. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Milliseconds, since the agent serves. */
export type EventLoopDelay = { p50: number; p99: number; max: number };

/** Milliseconds between two looks: a stall of this length is seen, and an idle agent wakes up 20 times a second. */
const RESOLUTION_MS = 50;

export type EventLoopWatch = { read: () => EventLoopDelay; [Symbol.dispose](): void };

export function watchEventLoop(): EventLoopWatch {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  // What is measured is the time between two looks.
  const late = (nanoseconds: number) =>
    Math.max(0, Math.round(nanoseconds / 1e4 - RESOLUTION_MS * 100) / 100);
  return {
    read: () => ({
      p50: late(histogram.percentile(50)),
      p99: late(histogram.percentile(99)),
      max: late(histogram.max),
    }),
    [Symbol.dispose]: () => void histogram.disable(),
  };
}
