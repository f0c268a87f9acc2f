/** Watches: changes of one kind as lines of JSON, from a version on, for as long as the reader keeps up. */
import type { Api } from './api.ts';
import { apiVersionOf } from './kinds.ts';
import type { View } from './read.ts';
import { ApiFailure, failureStatus } from './request/failure.ts';
import { isSelected, type Query, type Target } from './request/request.ts';
import type { ApiObject } from './storage/object.ts';
import type { Change } from './storage/store.ts';
import { makeTable } from './table/table.ts';

/** Where the lines go. */
export type Reader = {
  write: (line: string) => void;
  /** Bytes that were written and not taken yet. */
  waiting: () => number;
  end: () => void;
  /** Breaks the connection off. */
  abort: () => void;
};

/** Bytes that may wait for a slow reader before it is cut off; it resumes from the last version that it saw. */
const MOST_WAITING = 4 << 20;
const BOOKMARK_MS = 30_000;
/** Without a wish of the client. */
const DEFAULT_SECONDS = 1800;

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

/** @returns what ends the watch when the reader has gone. @throws ApiFailure before anything is written. */
export function openWatch(
  api: Api,
  { kind, namespace, name }: Target,
  query: Query,
  view: View,
  reader: Reader,
): Disposable {
  if (query.sendInitialEvents)
    throw new ApiFailure(
      'Invalid',
      'sendInitialEvents: Forbidden: this API does not stream lists; list first, then watch',
    );
  const { resourceVersion: from = 0 } = query;
  if (from > api.store.version)
    throw new ApiFailure('Timeout', `Too large resource version: ${from}, current: ${api.store.version}`);
  const wanted = (object: ApiObject) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (name === undefined || object.metadata.name === name) &&
    isSelected(query, object);

  let columnsSent = false;
  const send = (type: EventType, object: object, version: string) => {
    let shown = object;
    if (view === 'table') {
      const rows = type === 'BOOKMARK' ? [] : [object as ApiObject];
      const table = makeTable(kind, rows, { resourceVersion: version }, query.rowContent, api.now());
      shown = columnsSent ? { ...table, columnDefinitions: null } : table;
      columnsSent = true;
    }
    reader.write(`${JSON.stringify({ type, object: shown })}\n`);
    if (reader.waiting() > MOST_WAITING) reader.abort();
  };
  const tell = (change: Change) => {
    if (change.kind !== kind) return;
    const type = eventType(change, wanted);
    if (type !== undefined) send(type, change.object, change.object.metadata.resourceVersion);
  };
  const bookmark = () => {
    const version = String(api.store.version);
    send(
      'BOOKMARK',
      { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata: { resourceVersion: version } },
      version,
    );
  };

  const missed = from === 0 ? [] : api.store.since(from);
  if (missed === undefined) {
    const expired = new ApiFailure(
      'Expired',
      `too old resource version: ${from} (${api.store.version}); list again`,
    );
    reader.write(`${JSON.stringify({ type: 'ERROR', object: failureStatus(expired).body })}\n`);
    reader.end();
    return { [Symbol.dispose]: () => undefined };
  }
  if (from === 0)
    for (const object of api.store.list(kind, namespace))
      if (wanted(object)) send('ADDED', object, object.metadata.resourceVersion);
  for (const change of missed) tell(change);

  const subscription = api.store.watch(tell);
  const bookmarks = query.bookmarks ? setInterval(bookmark, BOOKMARK_MS) : undefined;
  const close = () => {
    subscription[Symbol.dispose]();
    clearInterval(bookmarks);
    clearTimeout(end);
  };
  const end = setTimeout(
    () => {
      if (query.bookmarks) bookmark();
      close();
      reader.end();
    },
    (query.timeoutSeconds ?? DEFAULT_SECONDS) * 1000,
  );
  return { [Symbol.dispose]: close };
}

/** What a change means to one who sees only what is selected: objects come and go by their labels too. */
function eventType(change: Change, wanted: (object: ApiObject) => boolean): EventType | undefined {
  const now = change.type !== 'DELETED' && wanted(change.object);
  const before = change.before !== undefined && wanted(change.before);
  if (now) return before ? 'MODIFIED' : 'ADDED';
  return before ? 'DELETED' : undefined;
}
