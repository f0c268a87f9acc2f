/** Keeps the node's nftables table as it was planned, whoever changes it. */
import { readFileSync } from 'node:fs';
import { describeError } from '../errors/errors.ts';
import type { Logger } from '../log/logger.ts';
import { changeElements, elementChanges, holdsSets } from '../nftables/diff.ts';
import type { ElementChange } from '../nftables/elements.ts';
import type { Nftables } from '../nftables/nft.ts';
import type { Table } from '../nftables/objects.ts';
import { type NodeTableInput, planNodeTable, TABLE } from '../overlay/node-table.ts';

/** What is wanted, but for what only the kernel can tell; undefined is no table at all. */
export type FirewallInput = Omit<NodeTableInput, 'untracked'> & { conntrack: 'auto' | 'always' };

/** Milliseconds after our own change in which a change by others may already be part of what we read back. */
const DOUBT_MS = 200;

type Applied = {
  /** Absent where none is wanted. */
  table?: Table;
  /** How the kernel reported the table right after; absent when it was not asked since. */
  reported?: string;
  at: number;
};

export class Firewall {
  readonly #nftables: Nftables;
  readonly #log: Logger;
  /** What was applied last; absent when nobody can tell. */
  #applied: Applied | undefined;
  /** The change of the whole table that is under way. */
  #running: Promise<void> | undefined;
  /** Who else translates addresses; undefined until it was looked. */
  #foreignNat: readonly string[] | undefined;
  #trusted = false;
  #doubtful = false;

  constructor(nftables: Nftables, log: Logger) {
    this.#nftables = nftables;
    this.#log = log;
  }

  /** Somebody changed a ruleset of this namespace: ours may be among them. */
  distrust(): void {
    this.#trusted = false;
    this.#foreignNat = undefined;
    this.#doubtful ||= performance.now() - (this.#applied?.at ?? 0) < DOUBT_MS;
  }

  /** Legacy iptables tells nobody of its changes; that it translates at all is a line in a file. */
  get legacyNat(): boolean {
    try {
      return readFileSync('/proc/self/net/ip_tables_names', 'utf8').split('\n').includes('nat');
    } catch {
      return false;
    }
  }

  /** @returns what could not be reached, one sentence each. */
  async ensure(input: FirewallInput | undefined): Promise<string[]> {
    await this.#idle();
    this.#running = input === undefined ? this.#clean() : this.#keep(input);
    try {
      await this.#running;
      return [];
    } catch (error) {
      this.#applied = undefined;
      return [describeError(error)];
    } finally {
      this.#running = undefined;
    }
  }

  /**
   * Changes elements at once, without waiting for a resync.
   * @returns false where the table has no such sets; then only {@link ensure} helps.
   * @throws FairleadError when the kernel does not take them: it may not hold what it should.
   */
  async change(changes: readonly ElementChange[]): Promise<boolean> {
    await this.#idle();
    const table = this.#applied?.table;
    if (table === undefined || !holdsSets(table, changes)) return false;
    this.#nftables.change(TABLE, changes);
    this.#applied = { table: changeElements(table, changes), at: performance.now() };
    return true;
  }

  /** Whether the kernel holds these elements right now. */
  holds(changes: readonly ElementChange[]): boolean {
    return this.#nftables.holds(TABLE, changes);
  }

  async #idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
  }

  async #clean(): Promise<void> {
    if (this.#applied !== undefined && this.#applied.table === undefined && this.#trusted) return;
    this.#trusted = true;
    await this.#nftables.remove(TABLE);
    this.#applied = { at: performance.now() };
  }

  async #keep({ conntrack, ...input }: FirewallInput): Promise<void> {
    const untracked = conntrack === 'auto' && !this.legacyNat && (await this.#othersTranslate()).length === 0;
    const table = planNodeTable({ ...input, untracked });
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
        if ((await this.#nftables.read(TABLE)) === reported) return;
        this.#log.warn('the nftables table was changed behind our back; it is put right', {
          table: TABLE.name,
        });
      }
    }
    await this.#bring(table, trusted ? changes : undefined);
    const reported = await this.#nftables.read(TABLE);
    if (reported === undefined) throw new Error('the nftables table was deleted as soon as it was there');
    this.#applied = { table, reported, at: performance.now() };
  }

  /** A node that joins or leaves is one element more or less: no need to load the table anew. */
  async #bring(table: Table, changes: readonly ElementChange[] | undefined): Promise<void> {
    if (changes === undefined || changes.length === 0) return this.#nftables.replace(table);
    try {
      this.#nftables.change(TABLE, changes);
    } catch (error) {
      this.#log.debug('elements were refused; the table is loaded anew', { reason: describeError(error) });
      await this.#nftables.replace(table);
    }
  }

  async #othersTranslate(): Promise<readonly string[]> {
    if (this.#foreignNat !== undefined) return this.#foreignNat;
    const tables = await this.#nftables.foreignNat(TABLE);
    this.#foreignNat = tables;
    if (tables.length > 0) {
      this.#log.debug('others translate addresses here; connections between pods are tracked', { tables });
    }
    return tables;
  }
}
