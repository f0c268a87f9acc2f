/** Keeps the node's nftables table as it was planned, whoever changes it. */
import { describeError } from '../errors/errors.ts';
import type { Logger } from '../log/logger.ts';
import type { Nftables } from '../nftables/nft.ts';
import { formatTable } from '../nftables/transaction.ts';
import { type MasqueradeInput, planMasquerade, TABLE } from '../overlay/masquerade.ts';

export class Masquerade {
  readonly #nftables: Nftables;
  readonly #log: Logger;
  /** The text that was applied last, and how the kernel reported the table right after. */
  #applied: { wanted: string; reported: string | undefined } | undefined;
  #trusted = false;

  constructor(nftables: Nftables, log: Logger) {
    this.#nftables = nftables;
    this.#log = log;
  }

  /** Look at the kernel's table again, although what is wanted has not changed. */
  distrust(): void {
    this.#trusted = false;
  }

  /** @returns what could not be reached, one sentence each. */
  async ensure(input: MasqueradeInput | undefined): Promise<string[]> {
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
    await this.#nftables.remove(TABLE);
    this.#applied = { wanted: '', reported: undefined };
    this.#trusted = true;
  }

  async #keep(input: MasqueradeInput): Promise<void> {
    const table = planMasquerade(input);
    const wanted = formatTable(table);
    if (this.#applied?.wanted === wanted) {
      if (this.#trusted) return;
      this.#trusted = true;
      if ((await this.#nftables.read(TABLE)) === this.#applied.reported) return;
      this.#log.warn('the nftables table was changed behind our back; it is put right', {
        table: TABLE.name,
      });
    }
    this.#trusted = true;
    await this.#nftables.replace(table);
    this.#applied = { wanted, reported: await this.#nftables.read(TABLE) };
  }
}
