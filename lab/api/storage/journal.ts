/**
 * What keeps the objects over a restart: a snapshot, written by rename, and a journal of the changes since, a line
 * each. A line is complete or it never counted: its writer had not been answered.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomically } from '../../../src/base/files/atomic-file.ts';
import { type Kind, kindNamed } from '../kinds.ts';
import type { ApiObject } from './object.ts';
import { type Change, createStore, keyOf, type Store } from './store.ts';

/** Lines after which a new snapshot takes the place of the journal. */
const MOST_LINES = 2000;

type Line = Pick<Change, 'type' | 'version'> & { kind: string; object: ApiObject };
type Snapshot = { version: number; objects: { kind: string; object: ApiObject }[] };

/** A store whose changes are in the directory before watchers are told of them. */
export function openStore(directory: string): Store {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [snapshotPath, journalPath] = [join(directory, 'snapshot.json'), join(directory, 'journal.ndjson')];
  const { version, tables } = load(snapshotPath, journalPath);
  const all = () => [...tables].map(([key, object]) => ({ kind: key.split(' ', 1)[0]!, object }));
  let lines = 0;
  let count = version;
  const compact = () => {
    const snapshot: Snapshot = { version: count, objects: all() };
    writeAtomically(snapshotPath, JSON.stringify(snapshot), 0o600);
    writeAtomically(journalPath, '', 0o600);
    lines = 0;
  };
  compact();
  const start = all().map(({ kind, object }): [Kind, ApiObject] => [kindNamed(kind), object]);
  return createStore({ version, objects: start }, (change) => {
    const line: Line = {
      type: change.type,
      version: change.version,
      kind: change.kind.kind,
      object: change.object,
    };
    appendFileSync(journalPath, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    enter(tables, line);
    count = change.version;
    lines += 1;
    if (lines > MOST_LINES) compact();
  });
}

function load(
  snapshotPath: string,
  journalPath: string,
): { version: number; tables: Map<string, ApiObject> } {
  const tables = new Map<string, ApiObject>();
  const snapshot: Snapshot = existsSync(snapshotPath)
    ? (JSON.parse(readFileSync(snapshotPath, 'utf8')) as Snapshot)
    : { version: 0, objects: [] };
  for (const { kind, object } of snapshot.objects) tables.set(tableKey(kind, object), object);
  let { version } = snapshot;
  const text = existsSync(journalPath) ? readFileSync(journalPath, 'utf8') : '';
  // What follows the last line end was cut off by a crash.
  for (const row of text.split('\n').slice(0, -1)) {
    const line = JSON.parse(row) as Line;
    if (line.version <= version) continue;
    enter(tables, line);
    version = line.version;
  }
  return { version, tables };
}

function enter(tables: Map<string, ApiObject>, { type, kind, object }: Line): void {
  if (type === 'DELETED') tables.delete(tableKey(kind, object));
  else tables.set(tableKey(kind, object), object);
}

function tableKey(kind: string, object: ApiObject): string {
  return `${kind} ${keyOf(object)}`;
}
