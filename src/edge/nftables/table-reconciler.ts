/** Keeps one nftables table as it is wanted against all changes. One change at a time, in the order of the calls. */
import { hash } from 'node:crypto';
import { describeError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import { type Clock, MACHINE_CLOCK } from '../../base/run/clock.ts';
import { Mutex } from '../../base/run/mutex.ts';
import { changeElements, elementChanges, holdsSets, withoutAbsent, withoutGaps } from './diff.ts';
import type { ElementChange } from './elements.ts';
import type { Nftables, TableName } from './nft.ts';
import type { Table } from './objects.ts';

/** Milliseconds after our own change, or our reading, in which a change by others may already be part of what we read. */
const DOUBT_MS = 200;
/**
 * Milliseconds without a change after which it is read: a listing of 50,000 elements takes a processor for a second, which
 * is the next ADD's as long as pods come and go.
 */
const QUIET_MS = 30_000;

type Applied = {
  /** Absent where none is wanted. */
  table?: Table;
  /** Digest of how the kernel reported the table afterwards; absent when it was not asked since. */
  reported?: string;
  /** When it was applied, or read last. */
  at: number;
};

export class TableReconciler {
  readonly #nftables: Nftables;
  readonly #name: TableName;
  readonly #log: Logger;
  readonly #clock: Clock;
  /** What was applied last; absent when that is not known. */
  #applied: Applied | undefined;
  readonly #turns = new Mutex();
  #trusted = false;
  #doubtful = false;
  #timer: Disposable | undefined;
  /** Whether the kernel's table is being listed for comparing. */
  #reading = false;

  constructor(nftables: Nftables, name: TableName, log: Logger, clock: Clock = MACHINE_CLOCK) {
    this.#nftables = nftables;
    this.#name = name;
    this.#log = log;
    this.#clock = clock;
  }

  /** Whether the kernel holds what was wanted last, as far as is known. */
  get isTrusted(): boolean {
    return this.#trusted && !this.#doubtful && this.#applied !== undefined && !this.#turns.isHeld;
  }

  /** A ruleset of this namespace was changed: ours may be among them. */
  distrust(): void {
    this.#trusted = false;
    // Between our own change and our reading it back a foreign one would look like ours.
    this.#doubtful ||= this.#turns.isHeld || this.#clock.now() - (this.#applied?.at ?? 0) < DOUBT_MS;
  }

  /**
   * @param table asked when it is its turn, so that it knows what was changed before; undefined is none at all.
   * @throws what kept it from being reached.
   */
  ensure(table: () => Promise<Table | undefined> | Table | undefined): Promise<void> {
    return this.#turns.run(async () => {
      try {
        const wanted = await table();
        await (wanted === undefined ? this.#clean() : this.#keep(wanted));
      } catch (error) {
        this.#applied = undefined;
        throw error;
      }
    });
  }

  /**
   * Changes elements at once, without waiting for a resync. What was asked for before it may have been planned without
   * it, and comes before it: what it adds stays. An element that is gone already is not deleted again.
   * @returns false where the table has no such sets; then only {@link ensure} helps.
   * @throws FairleadError when the kernel does not take them: it may not hold what it should.
   */
  change(changes: readonly ElementChange[]): Promise<boolean> {
    return this.#turns.run(() => {
      const table = this.#applied?.table;
      if (table === undefined || !holdsSets(table, changes)) return false;
      const missing = withoutAbsent(table, changes);
      if (missing.length > 0) this.#nftables.change(this.#name, missing);
      this.#apply(changeElements(table, missing));
      return true;
    });
  }

  /** Whether the kernel holds these elements right now. */
  holds(changes: readonly ElementChange[]): boolean {
    return this.#nftables.holds(this.#name, changes);
  }

  async #clean(): Promise<void> {
    if (this.#applied !== undefined && this.#applied.table === undefined && this.#trusted) return;
    this.#trusted = true;
    await this.#nftables.remove(this.#name);
    this.#applied = { at: this.#clock.now() };
  }

  async #keep(table: Table): Promise<void> {
    const doubtful = this.#doubtful;
    const trusted = this.#trusted && !doubtful;
    // Before anything is read: what changes from now on is distrusted anew.
    this.#trusted = true;
    this.#doubtful = false;
    const changes =
      this.#applied?.table === undefined ? undefined : elementChanges(this.#applied.table, table);
    if (changes?.length === 0) {
      if (trusted) return;
      const reported = this.#applied?.reported;
      if (!doubtful && reported !== undefined) {
        if (digest(await this.#nftables.read(this.#name)) === reported) return;
        this.#log.warn('the nftables table was changed behind our back; it is put right', {
          table: this.#name.name,
        });
      }
    }
    await this.#bring(table, changes, trusted);
    this.#apply(table);
  }

  #apply(table: Table): void {
    this.#applied = { table, at: this.#clock.now() };
    this.#readLater();
  }

  #readLater(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.after(QUIET_MS, () => void this.#read().catch(() => undefined));
  }

  /** What others change is compared with it. Without it, a change of theirs costs a reload; nothing waits for it. */
  async #read(): Promise<void> {
    const applied = this.#applied;
    if (applied === undefined || !this.#trusted) return;
    // A listing may take longer than the next change needs to come: never two at once.
    if (this.#reading) return this.#readLater();
    this.#reading = true;
    try {
      const reported = await this.#nftables.read(this.#name);
      if (this.#applied !== applied || !this.#trusted || reported === undefined) return;
      this.#applied = { ...applied, reported: digest(reported), at: this.#clock.now() };
    } finally {
      this.#reading = false;
    }
  }

  /** A node or a pod that joins or leaves is one element more or less: no need to load the table anew. */
  async #bring(table: Table, changes: readonly ElementChange[] | undefined, trusted: boolean): Promise<void> {
    const before = this.#applied?.table;
    if (before === undefined || !trusted || changes?.length === 0) return this.#nftables.replace(table);
    try {
      if (changes === undefined) await this.#nftables.amend(before, table);
      else for (const stage of withoutGaps(changes)) this.#nftables.change(this.#name, stage);
    } catch (error) {
      this.#log.debug('changes were refused; the table is loaded anew', { reason: describeError(error) });
      await this.#nftables.replace(table);
    }
  }
}

/** A large table is megabytes of text. */
function digest(text = ''): string {
  return hash('sha256', text);
}
