/** One stream of changes (Kubernetes API concepts, "Efficient detection of changes"), from a resource version on. */
import { describeError } from '../../base/errors/errors.ts';
import { type Fields, isFields, textAt } from '../../base/fields/fields.ts';
import { paced } from '../../base/run/paced.ts';
import { ApiError, excerpt, garbage, SilenceError } from './api-error.ts';
import type { KubeClient } from './client.ts';
import { LineSplitter } from './lines.ts';

export type WatchEvent = {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: Fields;
};

export type WatchOptions = {
  path: string;
  query?: Readonly<Record<string, string>>;
  resourceVersion: string;
  signal: AbortSignal;
  /** Milliseconds without a byte after which the stream is given up; a server sends a bookmark every minute. */
  idleMs: number;
  /** The server answered: what it sends from now on is all that changes. */
  onOpen: () => void;
  onEvent: (event: WatchEvent) => void;
};

/** Bytes of one event; etcd keeps no object above 1.5 MiB. */
const LARGEST_EVENT = 8 * 1024 * 1024;
/** Seconds after which the server shall end the stream, and as much again by chance: streams move on to new servers. */
const STREAM_SECONDS = 300;

/** What came could not be read: it is not known what was missed. */
export class UnreadableWatch extends Error {}

/**
 * Resolves when the server ended the stream, or when nothing came for too long: a connection whose other end is gone
 * looks just like one on which nothing happens.
 * @throws ApiError for a refusal (410: the version is too old), UnreadableWatch for garbage.
 */
export async function watchFrom(client: KubeClient, options: WatchOptions): Promise<'ended' | 'silent'> {
  const { path, resourceVersion, signal, idleMs } = options;
  const what = client.describe({ path });
  const request = {
    path,
    query: {
      ...options.query,
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(Math.round(STREAM_SECONDS * (1 + Math.random()))),
    },
    signal,
    totalMs: Infinity,
  };
  const body = await client.open({ ...request, idleMs });
  options.onOpen();
  const lines = new LineSplitter(LARGEST_EVENT);
  try {
    for await (const chunk of paced(body)) {
      for (const line of split(what, lines, chunk)) options.onEvent(readEvent(what, line));
    }
    // What stands after the last line feed is half an event: it comes again.
    return 'ended';
  } catch (error) {
    if (error instanceof SilenceError) return 'silent';
    throw error;
  }
}

function split(what: string, lines: LineSplitter, chunk: Buffer): string[] {
  try {
    return lines.push(chunk);
  } catch (error) {
    throw new UnreadableWatch(garbage(what, `the watch cannot be read: ${describeError(error)}`).message);
  }
}

function readEvent(what: string, line: string): WatchEvent {
  const unreadable = (reason: string) =>
    new UnreadableWatch(garbage(what, `the watch sends ${reason}: ${line.slice(0, 200)}`).message);
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    throw unreadable('what is not JSON');
  }
  const object = isFields(event) ? event['object'] : undefined;
  if (!isFields(event) || !isFields(object)) throw unreadable('what is no event');
  const { type } = event;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return { type, object };
    case 'ERROR': {
      const code = object['code'];
      const status = typeof code === 'number' ? code : 500;
      throw new ApiError(
        `${what}: the watch ended with ${status} ${excerpt(textAt(object, 'message') ?? '')}; it is begun anew`,
        { status },
      );
    }
    default:
      throw unreadable('an event of unknown type');
  }
}
