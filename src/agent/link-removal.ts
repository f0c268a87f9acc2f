/**
 * Deletes links in groups off the event loop. Deleting one veth waits 15–30 ms for the kernel's RCU grace period,
 * deleting a hundred of one group in one message hardly longer; and nobody who asked for a DEL has to wait.
 */

import { isAbsent } from '../netlink/errno.ts';
import type { Kernel } from '../netlink/kernel.ts';
import { DOOMED_GROUP } from '../pod/attachment.ts';

export class LinkRemoval {
  readonly #kernel: Kernel;
  readonly #onRemoved: (linkIndexes: readonly number[]) => void;
  readonly #onError: (error: Error) => void;
  #waiting = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  /** @param onRemoved gets the links that are gone for sure. */
  constructor(
    kernel: Kernel,
    onRemoved: (linkIndexes: readonly number[]) => void,
    onError: (error: Error) => void,
  ) {
    this.#kernel = kernel;
    this.#onRemoved = onRemoved;
    this.#onError = onError;
  }

  /** The link is in the doomed group already; it goes with the next round. */
  add(linkIndex: number): void {
    this.#waiting.add(linkIndex);
    this.#timer ??= setTimeout(() => this.#start(), GATHER_MS);
  }

  /** Resolves when everything that waits now is gone. */
  async settled(): Promise<void> {
    if (this.#timer !== undefined) this.#start();
    await this.#round;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const links = [...this.#waiting];
    this.#waiting = new Set();
    this.#round = this.#round.then(() => this.#remove(links));
  }

  async #remove(links: readonly number[]): Promise<void> {
    if (links.length === 0) return;
    const [error] = await this.#kernel.applyAsync([{ op: 'link.deleteGroup', group: DOOMED_GROUP }]);
    if (error === undefined || isAbsent(error)) {
      this.#onRemoved(links);
      return;
    }
    this.#onError(error);
    for (const link of links) this.#waiting.add(link);
    this.#timer ??= setTimeout(() => this.#start(), RETRY_MS);
  }
}

const GATHER_MS = 5;
const RETRY_MS = 1000;
