import { type Clock, MACHINE_CLOCK } from './clock.ts';

/**
 * Runs one task at a time, as often as it is asked for but never more often than the interval allows: any number
 * of triggers while it waits or runs become one further run. A failed run is tried again, later each time.
 */
export type RunnerOptions = {
  /** @param reasons why it runs: those of all triggers since the last run. */
  task: (reasons: readonly string[]) => Promise<void> | void;
  onError: (error: unknown, retryAfterMs: number) => void;
  /** Milliseconds between a trigger and its run, in which further triggers join it. */
  delayMs?: number;
  /** Milliseconds after which the task runs without a trigger; 0 never. */
  periodMs?: number;
  clock?: Clock;
};

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 10_000;

export class Runner {
  readonly #options: Required<RunnerOptions>;
  #reasons = new Set<string>();
  /** When the earliest run that was asked for is due. */
  #asked = Infinity;
  #timer: Disposable | undefined;
  #running: Promise<void> | undefined;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;

  constructor(options: RunnerOptions) {
    this.#options = { delayMs: 10, periodMs: 0, clock: MACHINE_CLOCK, ...options };
  }

  /**
   * Asks for a run.
   * @param delayMs at the latest after so long; a run that is due earlier serves it too.
   */
  trigger(reason: string, delayMs: number = this.#options.delayMs): void {
    this.#reasons.add(reason);
    const now = this.#options.clock.now();
    this.#asked = Math.min(this.#asked, now + delayMs);
    if (this.#running === undefined) this.#schedule(this.#asked - now);
  }

  /** Runs now, behind a run that is on its way; rejects with what the task threw. */
  async runNow(reason: string): Promise<void> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    this.#reasons.add(reason);
    await this.#run();
  }

  /** Resolves when the run that is on its way has ended; nothing runs afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.[Symbol.dispose]();
    await this.#running?.catch(() => undefined);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#options.clock.after(ms, () => {
      if (this.#reasons.size === 0) this.#reasons.add('period');
      this.#run().catch(() => undefined);
    });
  }

  async #run(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    const reasons = [...this.#reasons];
    this.#reasons = new Set();
    this.#asked = Infinity;
    // Behind a resolved promise, so that what the task itself triggers finds it running already.
    this.#running = Promise.resolve().then(() => this.#options.task(reasons));
    try {
      await this.#running;
      this.#retryMs = FIRST_RETRY_MS;
      this.#next(this.#options.periodMs);
    } catch (error) {
      this.#options.onError(error, this.#retryMs);
      this.#reasons.add('retry');
      this.#next(this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
      throw error;
    } finally {
      this.#running = undefined;
    }
  }

  /** What was asked for meanwhile comes first. */
  #next(ms: number): void {
    if (this.#asked < Infinity) this.#schedule(this.#asked - this.#options.clock.now());
    else if (ms > 0) this.#schedule(ms);
  }
}
