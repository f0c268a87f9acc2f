/** One task at a time, in the order in which they were asked for. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();
  #held = 0;

  /** Whether a task runs, or waits for its turn. */
  get isHeld(): boolean {
    return this.#held > 0;
  }

  /** @param task begins when all before it have ended, however they did. */
  run<T>(task: () => Promise<T> | T): Promise<T> {
    this.#held++;
    const result = this.#last.then(task).finally(() => this.#held--);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
