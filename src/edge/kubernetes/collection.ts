/** The objects of one kind as they are known, trimmed; what in them is odd; and what changed since it was last asked. */
import { isDeepStrictEqual } from 'node:util';
import { describeError } from '../../base/errors/errors.ts';
import { type Kind, type KubeObject, keyOf, type Trimmed } from './object.ts';

/** Of one object: `before` is absent for a new one, `after` for one that is gone. */
export type Change<T> = { before?: T; after?: T };

/** Sentences; the rest is counted. */
const MOST_PROBLEMS = 100;
/** Characters. */
const LONGEST_PROBLEM = 500;

export class Collection<T extends KubeObject> {
  readonly #kind: Kind<T>;
  readonly #objects = new Map<string, T>();
  readonly #problems = new Map<string, string>();
  /** By key the object before the first change; undefined for none. */
  readonly #changed = new Map<string, T | undefined>();
  /** Keys that the list in progress has named so far. */
  #listed: Set<string> | undefined;
  #problemsChanged = false;

  constructor(kind: Kind<T>) {
    this.#kind = kind;
  }

  /** By `namespace/name`, or by name where the kind lies in no namespace. */
  get objects(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  get problems(): string[] {
    const all = [...this.#problems.values()];
    if (all.length <= MOST_PROBLEMS) return all;
    const more = `${all.length - MOST_PROBLEMS} more objects of kind ${this.#kind.name} are odd`;
    return [...all.slice(0, MOST_PROBLEMS), more];
  }

  /** What is put from now on is a whole list. */
  beginList(): void {
    this.#listed = new Set();
  }

  /** The list is complete: what it did not name is gone. */
  endList(): void {
    const listed = this.#listed ?? new Set();
    this.#listed = undefined;
    for (const key of this.#objects.keys()) if (!listed.has(key)) this.#set(key, undefined);
    for (const key of this.#problems.keys()) if (!listed.has(key)) this.#report(key, undefined);
  }

  /** A new or changed object. One that cannot be read takes the place of its former self: as a problem. */
  put(value: unknown): void {
    const key = keyOf(value);
    // Those without a name share one place: there is no telling them apart.
    const place = key ?? '';
    this.#listed?.add(place);
    const trimmed = this.#trim(value);
    const subject = `${this.#kind.name} ${key ?? 'without a name'}`;
    if (!('object' in trimmed)) {
      this.#set(place, undefined);
      this.#report(place, `${subject}: ${trimmed.problem}; it is ignored until it is mended`);
      return;
    }
    this.#set(place, trimmed.object);
    this.#report(place, trimmed.problem === undefined ? undefined : `${subject}: ${trimmed.problem}`);
  }

  remove(value: unknown): void {
    const key = keyOf(value) ?? '';
    this.#set(key, undefined);
    this.#report(key, undefined);
  }

  /**
   * What is different from when this was last asked: an update that changed nothing of what is read is no change.
   * @returns undefined when objects and problems are as they were.
   */
  takeChanges(): ReadonlyMap<string, Change<T>> | undefined {
    const changes = new Map<string, Change<T>>();
    for (const [key, before] of this.#changed) {
      const after = this.#objects.get(key);
      if (before === after || (before !== undefined && after !== undefined && isSame(before, after)))
        continue;
      changes.set(key, {
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
      });
    }
    const anything = changes.size > 0 || this.#problemsChanged;
    this.#changed.clear();
    this.#problemsChanged = false;
    return anything ? changes : undefined;
  }

  #trim(value: unknown): Trimmed<T> {
    try {
      return this.#kind.trim(value);
    } catch (error) {
      return { problem: `cannot be read: ${describeError(error)}` };
    }
  }

  #set(key: string, object: T | undefined): void {
    const before = this.#objects.get(key);
    // A list names all that is known already: those stay the objects that they are.
    if (before?.uid === object?.uid && before?.resourceVersion === object?.resourceVersion) return;
    if (before !== undefined && object !== undefined && isSame(before, object)) {
      // An update of what nobody reads: what was made of the object stays good, so it stays the object that it is.
      before.resourceVersion = object.resourceVersion;
      return;
    }
    if (!this.#changed.has(key)) this.#changed.set(key, before);
    if (object === undefined) this.#objects.delete(key);
    else this.#objects.set(key, object);
  }

  #report(key: string, problem: string | undefined): void {
    const text =
      problem === undefined || problem.length <= LONGEST_PROBLEM
        ? problem
        : `${problem.slice(0, LONGEST_PROBLEM)}…`;
    if (this.#problems.get(key) === text) return;
    this.#problemsChanged = true;
    if (text === undefined) this.#problems.delete(key);
    else this.#problems.set(key, text);
  }
}

function isSame(a: KubeObject, b: KubeObject): boolean {
  return isDeepStrictEqual({ ...a, resourceVersion: '' }, { ...b, resourceVersion: '' });
}
