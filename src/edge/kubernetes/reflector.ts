/** Keeps the objects of one kind as the API has them: lists, watches, and begins anew after whatever goes wrong. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { describeError } from '../../base/errors/errors.ts';
import { fieldsAt, textAt } from '../../base/fields/fields.ts';
import { API_BACKOFF, type Backoff, retryDelay } from '../../base/run/backoff.ts';
import { ApiError, garbage, isStatus } from './api-error.ts';
import type { KubeClient } from './client.ts';
import { type Change, Collection } from './collection.ts';
import { isServed } from './discovery.ts';
import { listAll } from './list.ts';
import type { Kind, KubeObject } from './object.ts';
import { UnreadableWatch, type WatchEvent, watchFrom } from './watch.ts';

/** `since` is RFC 3339. What is known stays known while it fails. */
export type ReflectorState =
  | { phase: 'listing'; since: string }
  | { phase: 'synced'; since: string }
  | { phase: 'failing'; since: string; reason: string };

export type ReflectorTimes = {
  backoff: Backoff;
  /** Milliseconds without an event or bookmark after which a watch is begun anew: more than a server's minute. */
  watchIdleMs: number;
  /** Milliseconds without a byte of a list. */
  listIdleMs: number;
  /** Milliseconds at least between two calls: the first change is told at once, those that follow together. */
  settleMs: number;
  /** Milliseconds after which it is looked for a kind that was not installed. */
  absentMs: number;
  /** Milliseconds: a watch that ends sooner, without having sent anything, is a failure. */
  shortestWatchMs: number;
};

export type ReflectorOptions<T extends KubeObject> = {
  client: KubeClient;
  kind: Kind<T>;
  /** Called after changes of objects, problems or state; the first time when the first list is complete. */
  onChange: (changes: ReadonlyMap<string, Change<T>>) => void;
  times?: Partial<ReflectorTimes>;
  /** Objects of one page. */
  pageSize?: number;
};

const TIMES: ReflectorTimes = {
  backoff: API_BACKOFF,
  watchIdleMs: 150_000,
  listIdleMs: 30_000,
  settleMs: 20,
  absentMs: 30_000,
  shortestWatchMs: 1000,
};

export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #times: ReflectorTimes;
  readonly #collection: Collection<T>;
  readonly #abort = new AbortController();
  #state: ReflectorState = { phase: 'listing', since: new Date().toISOString() };
  #complete = false;
  /** From where to watch; undefined: a list comes first. */
  #resourceVersion: string | undefined;
  /** The first list may be what the server has in memory; after a loss only the newest will do. */
  #listVersion: '' | '0' = '0';
  #pageSize: number | undefined;
  #failures = 0;
  /** Whether the latest failure was that the version is too old. */
  #expired = false;
  #timer: NodeJS.Timeout | undefined;
  /** When a call was made last, on the clock of `performance`. */
  #toldAt = -Infinity;
  #stateChanged = false;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#collection = new Collection(options.kind);
    this.#pageSize = options.pageSize ?? 500;
    void this.#run();
  }

  /** By `namespace/name`; of use only once {@link complete}. */
  get objects(): ReadonlyMap<string, T> {
    return this.#collection.objects;
  }

  /** Of the latest update of an object, for compare-and-swap: see {@link Collection.versionOf}. */
  versionOf(object: T): string {
    return this.#collection.versionOf(object);
  }

  /** Whether all objects were listed once. */
  get complete(): boolean {
    return this.#complete;
  }

  get state(): ReflectorState {
    return this.#state;
  }

  /** What is odd in the objects, and why they may be out of date; one sentence each. */
  get problems(): string[] {
    const { kind } = this.#options;
    const late =
      this.#state.phase === 'failing'
        ? [
            `objects of kind ${kind.name} are not up to date since ${this.#state.since}: ${this.#state.reason}`,
          ]
        : [];
    return [...late, ...this.#collection.problems];
  }

  /** Our own write, so that it is known before its event comes. */
  learn(value: unknown): void {
    this.#collection.put(value);
    this.#settle();
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        this.#resourceVersion ??= await this.#list();
        await this.#watch(this.#resourceVersion);
      } catch (error) {
        if (signal.aborted) return;
        const failed = await this.#judge(error);
        if (signal.aborted) return;
        if (failed === undefined) {
          this.#miss();
          await pause(this.#times.absentMs, signal);
          continue;
        }
        this.#recover(failed);
        // After a long time away the server answers, but knows our version no more: it need not be left alone for that.
        const expired = isStatus(failed, 410);
        if (expired && !this.#expired) this.#failures = 0;
        this.#expired = expired;
        const asked = failed instanceof ApiError ? failed.retryAfterMs : undefined;
        await pause(retryDelay(this.#times.backoff, this.#failures++, asked), signal);
      }
    }
  }

  async #list(): Promise<string> {
    const { client, kind } = this.#options;
    this.#collection.beginList();
    const version = await listAll(client, {
      path: kind.path,
      ...(kind.query === undefined ? {} : { query: kind.query }),
      resourceVersion: this.#listVersion,
      pageSize: this.#pageSize,
      signal: this.#abort.signal,
      idleMs: this.#times.listIdleMs,
      onItem: (item) => this.#collection.put(item),
    });
    this.#collection.endList();
    this.#complete = true;
    this.#enter({ phase: 'synced', since: new Date().toISOString() });
    return version;
  }

  /** @returns undefined where there is no fault: the cluster says that it does not have the kind. */
  async #judge(error: unknown): Promise<unknown> {
    const { client, kind } = this.#options;
    if (kind.optional !== true || !isStatus(error, 404)) return error;
    try {
      return (await isServed(client, kind.path, this.#abort.signal)) ? error : undefined;
    } catch (unsaid) {
      return unsaid;
    }
  }

  /** The kind is not installed: none is all of them. */
  #miss(): void {
    this.#resourceVersion = undefined;
    this.#listVersion = '';
    this.#collection.beginList();
    this.#collection.endList();
    this.#complete = true;
    this.#enter({ phase: 'synced', since: new Date().toISOString() });
    this.#settle();
  }

  /** Ends with the stream, to go on from where it ended. */
  async #watch(resourceVersion: string): Promise<void> {
    const { client, kind } = this.#options;
    const { watchIdleMs, shortestWatchMs } = this.#times;
    const started = performance.now();
    let events = 0;
    const end = await watchFrom(client, {
      path: kind.path,
      ...(kind.query === undefined ? {} : { query: kind.query }),
      resourceVersion,
      signal: this.#abort.signal,
      idleMs: watchIdleMs,
      onOpen: () => this.#enter({ phase: 'synced', since: new Date().toISOString() }),
      onEvent: (event) => {
        events++;
        this.#failures = 0;
        this.#receive(event);
      },
    });
    const lasted = performance.now() - started;
    if (end === 'ended' && events === 0 && lasted < shortestWatchMs)
      throw garbage(client.describe(kind), 'the server ends the watch as soon as it began');
    this.#failures = 0;
    this.#expired = false;
  }

  #receive({ type, object }: WatchEvent): void {
    const version = textAt(fieldsAt(object, 'metadata'), 'resourceVersion') ?? '';
    if (version !== '') this.#resourceVersion = version;
    if (type === 'BOOKMARK') return;
    if (type === 'DELETED') this.#collection.remove(object);
    else this.#collection.put(object);
    this.#settle();
  }

  /** From here it goes on by watching, unless something may have been missed. */
  #recover(error: unknown): void {
    const listing = this.#resourceVersion === undefined;
    // 504 is "Too large resource version": the server has not caught up with what another one told us.
    if (isStatus(error, 400, 410, 504) || error instanceof UnreadableWatch) {
      // Pages expire under a slow reader: then all in one.
      if (listing && isStatus(error, 410)) this.#pageSize = undefined;
      this.#resourceVersion = undefined;
      this.#listVersion = '';
    } else if (listing) {
      this.#pageSize = this.#options.pageSize ?? 500;
    }
    const since = this.#state.phase === 'failing' ? this.#state.since : new Date().toISOString();
    this.#enter({ phase: 'failing', since, reason: describeError(error) });
  }

  #enter(state: ReflectorState): void {
    if (state.phase === 'synced' && this.#state.phase === 'synced') return;
    if (isDeepStrictEqual(state, this.#state)) return;
    this.#stateChanged = true;
    this.#state = state;
    this.#settle();
  }

  /** Half a first list is not shown, but that it fails is. */
  #settle(): void {
    const tell = () => {
      this.#timer = undefined;
      const changes = this.#complete ? this.#collection.takeChanges() : undefined;
      if (changes === undefined && !this.#stateChanged) return;
      this.#stateChanged = false;
      this.#toldAt = performance.now();
      this.#options.onChange(changes ?? new Map());
    };
    this.#timer ??= setTimeout(tell, Math.max(0, this.#toldAt + this.#times.settleMs - performance.now()));
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
