/**
 * Which transactions of a namespace's ruleset were our own. Each one counts the generation up by one and is notified with
 * it and with the port of the netlink socket that sent it (NFT_MSG_NEWGEN, linux/netfilter/nf_tables.h). The process id in
 * it is one of the initial PID namespace, which says nothing in a container. So the generation is asked for before and
 * after each run of our own: what lies between is that run, and whatever others did meanwhile. The port tells those apart;
 * by itself it would not do, since a process of another container may have the same number at another time.
 */

/** As it was notified. @property tables names of those that it changed; absent where that is not known. */
export type Notified = { generation: number; port: number; tables?: ReadonlySet<string> };

/** One transaction of our own. @property to absent while it is under way. @property owned absent until it is found out. */
type Run = { from: number; to?: number; port?: number; owned?: number | 'unknown' };

export type LedgerCallback = (tables?: ReadonlySet<string>) => void;

/** From the beginning of a run to its end. @property end without arguments where it has changed nothing. */
export type OwnRun = { readonly port: (port: number) => void; readonly end: (generation?: number) => void };

export class TransactionLedger {
  readonly #onForeign: LedgerCallback;
  #runs: Run[] = [];
  #waiting: Notified[] = [];
  /** Whose all generations up to this one were is settled. */
  #settled: number;
  /** The latest one that was notified. */
  #seen: number;
  /** Notifications up to this generation were lost. */
  #lost: number | undefined;

  /**
   * @param generation the one at the time when the notifications begin.
   * @param onForeign called for each transaction of others with the tables that it changed; without them where
   * notifications were lost and more happened than we did.
   */
  constructor(generation: number, onForeign: LedgerCallback) {
    this.#settled = generation;
    this.#seen = generation;
    this.#onForeign = onForeign;
  }

  /** @param generation the one before it. */
  begin(generation: number): OwnRun {
    const run: Run = { from: generation };
    this.#runs.push(run);
    return {
      port: (port) => {
        run.port = port;
      },
      end: (after = run.from) => {
        run.to = after;
        if (after === run.from) this.#runs = this.#runs.filter((other) => other !== run);
        this.#settle();
      },
    };
  }

  /** Whether a run of ours is under way that sends by this port. */
  isOurs(port: number): boolean {
    return this.#runs.some((run) => run.port === port);
  }

  notified(transaction: Notified): void {
    this.#seen = Math.max(this.#seen, transaction.generation);
    if (transaction.generation > this.#settled) this.#waiting.push(transaction);
    this.#settle();
  }

  /** @param generation the one after some notifications were lost. */
  lost(generation: number): void {
    this.#seen = Math.max(this.#seen, generation);
    this.#lost = Math.max(this.#lost ?? 0, generation);
    this.#settle();
  }

  #settle(): void {
    if (this.#lost !== undefined && !this.#settleLost(this.#lost)) return;
    for (const run of this.#runs) this.#resolve(run);
    const foreign: Notified[] = [];
    while (this.#waiting.length > 0) {
      const transaction = this.#waiting[0]!;
      const { generation } = transaction;
      const around = this.#runs.filter(({ from, to = Infinity }) => from < generation && generation <= to);
      // What is under way may turn out to be this one.
      if (around.some(({ owned }) => owned === undefined)) break;
      this.#waiting.shift();
      this.#settled = generation;
      if (!around.some(({ owned }) => owned === generation)) foreign.push(transaction);
    }
    this.#forget();
    for (const { tables } of foreign) this.#onForeign(tables);
  }

  /** Finds out which of the generations of a run that has ended is its own, when all of them were notified. */
  #resolve(run: Run): void {
    const { from, to, port, owned } = run;
    if (to === undefined || to > this.#seen || owned !== undefined) return;
    if (to - from === 1) {
      run.owned = to;
      return;
    }
    const alike = this.#waiting.filter(
      (one) => one.generation > from && one.generation <= to && one.port === port,
    );
    run.owned = alike.length === 1 ? alike[0]!.generation : 'unknown';
  }

  /**
   * Without notifications it is counted: as many generations as we made are ours.
   * @returns false while that cannot be told yet.
   */
  #settleLost(lost: number): boolean {
    const straddling = this.#runs.filter(({ from }) => from < lost);
    if (straddling.some(({ to }) => to === undefined)) return false;
    const until = Math.max(lost, ...straddling.map(({ to }) => to!));
    if (until > lost) {
      this.#lost = until;
      this.#seen = Math.max(this.#seen, until);
      return this.#settleLost(until);
    }
    const own = straddling.filter(
      ({ to, owned }) => to! > this.#settled && (typeof owned !== 'number' || owned > this.#settled),
    );
    const happened = until - this.#settled;
    this.#lost = undefined;
    this.#settled = Math.max(this.#settled, until);
    this.#waiting = this.#waiting.filter(({ generation }) => generation > until);
    this.#forget();
    if (happened > own.length) this.#onForeign();
    return true;
  }

  #forget(): void {
    this.#runs = this.#runs.filter(({ to = Infinity }) => to > this.#settled);
  }
}
