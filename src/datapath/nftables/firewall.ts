/** The node's own table: ports of the node, masquerade, and what bypasses connection tracking. */
import { readFileSync } from 'node:fs';
import { describeError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Clock } from '../../base/run/clock.ts';
import type { ElementChange } from '../../edge/nftables/elements.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import { TableReconciler } from '../../edge/nftables/table-reconciler.ts';
import { createNodeTablePlanner, type NodeTableInput, TABLE } from './node-table.ts';
import { SERVICE_TABLES } from './service/objects.ts';

const OWN_SERVICES: ReadonlySet<string> = new Set(SERVICE_TABLES.map((name) => `inet ${name}`));

/** What is wanted, but for what only the kernel can tell; undefined is no table at all. */
export type FirewallInput = Omit<NodeTableInput, 'untracked'> & { conntrack: 'auto' | 'always' };

export class Firewall {
  readonly #nftables: Nftables;
  readonly #keeper: TableReconciler;
  readonly #log: Logger;
  readonly #planTable = createNodeTablePlanner();
  /** Who else translates addresses; undefined until it was looked. */
  #foreignNat: readonly string[] | undefined;

  constructor(nftables: Nftables, log: Logger, clock: Clock) {
    this.#nftables = nftables;
    this.#keeper = new TableReconciler(nftables, TABLE, log, clock);
    this.#log = log;
  }

  /** Whether the kernel holds what was wanted last, as far as is known. */
  get isTrusted(): boolean {
    return this.#keeper.isTrusted;
  }

  /** A ruleset of this namespace was changed: ours may be among them. */
  distrust(): void {
    this.othersChanged();
    this.#keeper.distrust();
  }

  /** Others changed tables of their own: they may translate addresses now, or no longer. */
  othersChanged(): void {
    this.#foreignNat = undefined;
  }

  /** Legacy iptables sends no notification of its changes; that it translates at all is a line in a file. */
  get legacyNat(): boolean {
    try {
      return readFileSync('/proc/self/net/ip_tables_names', 'utf8').split('\n').includes('nat');
    } catch {
      return false;
    }
  }

  /**
   * @param input asked when everything else is known, at the moment of the plan.
   * @returns what could not be reached, one sentence each.
   */
  async ensure(input: () => FirewallInput | undefined): Promise<string[]> {
    try {
      await this.#keeper.ensure(async () => {
        if (input() === undefined) return undefined;
        const othersTranslate = (await this.#othersTranslate()).length > 0;
        const wanted = input();
        return wanted === undefined ? undefined : this.#plan(wanted, othersTranslate);
      });
      return [];
    } catch (error) {
      return [describeError(error)];
    }
  }

  change(changes: readonly ElementChange[]): Promise<boolean> {
    return this.#keeper.change(changes);
  }

  /** Whether the kernel holds these elements right now. */
  holds(changes: readonly ElementChange[]): boolean {
    return this.#keeper.holds(changes);
  }

  #plan({ conntrack, ...input }: FirewallInput, othersTranslate: boolean) {
    const untracked = conntrack === 'auto' && !this.legacyNat && !othersTranslate;
    return this.#planTable({ ...input, untracked });
  }

  async #othersTranslate(): Promise<readonly string[]> {
    if (this.#foreignNat !== undefined) return this.#foreignNat;
    const translating = await this.#nftables.foreignNat(TABLE);
    // What services need tracked is tracked whatever this table exempts.
    const tables = translating.filter((table) => !OWN_SERVICES.has(table));
    this.#foreignNat = tables;
    if (tables.length > 0) {
      this.#log.debug('others translate addresses here; connections between pods are tracked', { tables });
    }
    return tables;
  }
}
