/** Keeps the node's nftables table as it was planned, whoever changes it. */
import { readFileSync } from 'node:fs';
import { describeError } from '../errors/errors.ts';
import type { Logger } from '../log/logger.ts';
import { elementChanges } from '../nftables/diff.ts';
import type { Nftables } from '../nftables/nft.ts';
import type { Table } from '../nftables/objects.ts';
import { formatTable } from '../nftables/transaction.ts';
import { type NodeTableInput, planNodeTable, TABLE } from '../overlay/node-table.ts';

/** What is wanted, but for what only the kernel can tell; undefined is no table at all. */
export type FirewallInput = Omit<NodeTableInput, 'untracked'> & { conntrack: 'auto' | 'always' };

/** Milliseconds after our own change in which a change by others may already be part of what we read back. */
const DOUBT_MS = 200;

export class Firewall {
  readonly #nftables: Nftables;
  readonly #log: Logger;
  /** The text that was applied last, how the kernel reported the table right after, and when. */
  #applied: { wanted: string; table?: Table; reported: string; at: number } | undefined;
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
    try {
      await (input === undefined ? this.#clean() : this.#keep(input));
      return [];
    } catch (error) {
      this.#applied = undefined;
      return [describeError(error)];
    }
  }

  async #clean(): Promise<void> {
    if (this.#applied?.wanted === '' && this.#trusted) return;
    this.#trusted = true;
    await this.#nftables.remove(TABLE);
    this.#applied = { wanted: '', reported: '', at: performance.now() };
  }

  async #keep({ conntrack, ...input }: FirewallInput): Promise<void> {
    const untracked = conntrack === 'auto' && !this.legacyNat && (await this.#othersTranslate()).length === 0;
    const table = planNodeTable({ ...input, untracked });
    const wanted = formatTable(table);
    const doubtful = this.#doubtful;
    const trusted = this.#trusted && !doubtful;
    // Before anything is read: what changes from now on is distrusted anew.
    this.#trusted = true;
    this.#doubtful = false;
    if (this.#applied?.wanted === wanted) {
      if (trusted) return;
      if (!doubtful && (await this.#nftables.read(TABLE)) === this.#applied.reported) return;
      if (!doubtful) {
        this.#log.warn('the nftables table was changed behind our back; it is put right', {
          table: TABLE.name,
        });
      }
    }
    await this.#bring(table, trusted);
    const reported = await this.#nftables.read(TABLE);
    if (reported === undefined) throw new Error('the nftables table was deleted as soon as it was there');
    this.#applied = { wanted, table, reported, at: performance.now() };
  }

  /** A node that joins or leaves is one element more or less: no need to load the table anew. */
  async #bring(table: Table, trusted: boolean): Promise<void> {
    const before = trusted ? this.#applied?.table : undefined;
    const changes = before === undefined ? undefined : elementChanges(before, table);
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
