/**
 * Deletes links in groups off the event loop. Deleting one veth waits 15–30 ms for the kernel's RCU grace period,
 * deleting a hundred of one group in one message hardly longer; and no DEL has to wait.
 */

import { type Clock, MACHINE_CLOCK } from '../../base/run/clock.ts';
import { isAbsent } from '../../edge/netlink/codec/errno.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import { DELETING_GROUP } from '../../plan/pod/attachment.ts';

export class LinkRemoval {
  readonly #kernel: Kernel;
  readonly #onRemoved: (linkIndexes: readonly number[]) => void;
  readonly #onError: (error: Error) => void;
  readonly #clock: Clock;
  #waiting = new Set<number>();
  /** When the first of those that wait began to. */
  #since = 0;
  #timer: Disposable | undefined;
  #round: Promise<void> = Promise.resolve();

  /** @param onRemoved gets the links that are gone for sure. */
  constructor(
    kernel: Kernel,
    onRemoved: (linkIndexes: readonly number[]) => void,
    onError: (error: Error) => void,
    clock: Clock = MACHINE_CLOCK,
  ) {
    this.#kernel = kernel;
    this.#onRemoved = onRemoved;
    this.#onError = onError;
    this.#clock = clock;
  }

  /** The link is in the doomed group already; it goes with the next round. */
  add(linkIndex: number): void {
    if (this.#waiting.size === 0) this.#since = this.#clock.now();
    this.#waiting.add(linkIndex);
    this.postpone();
  }

  /** Pods come and go right now: deletions hold the kernel's lock of all links, so they wait a little longer. */
  postpone(): void {
    if (this.#waiting.size === 0) return;
    this.#timer?.[Symbol.dispose]();
    const left = this.#since + LONGEST_WAIT_MS - this.#clock.now();
    this.#timer = this.#clock.after(Math.min(QUIET_MS, left), () => this.#start());
  }

  /** Resolves when everything that waits now is gone. */
  async settled(): Promise<void> {
    if (this.#timer !== undefined) this.#start();
    await this.#round;
  }

  #start(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const links = [...this.#waiting];
    this.#waiting = new Set();
    this.#round = this.#round.then(() => this.#remove(links));
  }

  async #remove(links: readonly number[]): Promise<void> {
    if (links.length === 0) return;
    const [error] = await this.#kernel.applyAsync([{ op: 'link.deleteGroup', group: DELETING_GROUP }]);
    if (error === undefined || isAbsent(error)) {
      this.#onRemoved(links);
      return;
    }
    this.#onError(error);
    for (const link of links) this.#waiting.add(link);
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.after(RETRY_MS, () => this.#start());
  }
}

/** Milliseconds without a pod coming or going, and those after which it is time all the same. */
const QUIET_MS = 50;
const LONGEST_WAIT_MS = 1000;
const RETRY_MS = 1000;
