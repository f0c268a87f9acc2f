/** All objects of a kind, page by page (Kubernetes API concepts, "Retrieving large results sets in chunks"). */
import { describeError } from '../../base/errors/errors.ts';
import { type Fields, isFields, textAt } from '../../base/fields/fields.ts';
import { paced } from '../../base/run/paced.ts';
import { ApiError, garbage } from './api-error.ts';
import type { KubeClient } from './client.ts';
import { ListReader } from './list-reader.ts';

export type ListOptions = {
  /** Of the kind's collection, `/api/v1/nodes`. */
  path: string;
  /** Selectors. */
  query?: Readonly<Record<string, string>>;
  /** `0`: as the server has it in memory; empty: the newest. */
  resourceVersion: '' | '0';
  /** Objects of one page; undefined: all in one, for servers whose pages expire before they are read. */
  pageSize: number | undefined;
  signal: AbortSignal;
  idleMs?: number;
  onItem: (item: unknown) => void;
};

/** Objects; a server that gives pages without end is no server. */
const MOST_OBJECTS = 1_000_000;

/** @returns the resource version from which to watch. @throws ApiError; status 410 where the next page has expired. */
export async function listAll(client: KubeClient, options: ListOptions): Promise<string> {
  const { path, resourceVersion, pageSize, signal, idleMs } = options;
  const what = client.describe({ path });
  let count = 0;
  let next = '';
  for (;;) {
    const query = {
      ...options.query,
      ...(pageSize === undefined ? {} : { limit: String(pageSize) }),
      // The following pages are of the version of the first.
      ...(next !== '' ? { continue: next } : resourceVersion === '' ? {} : { resourceVersion }),
    };
    const body = await client.open({ path, query, signal, ...(idleMs === undefined ? {} : { idleMs }) });
    const reader = new ListReader((item) => {
      if (++count > MOST_OBJECTS) throw new Error(`there are more than ${MOST_OBJECTS} objects`);
      options.onItem(item);
    });
    const metadata = readMetadata(what, await readAll(what, body, reader));
    const following = textAt(metadata, 'continue') ?? '';
    if (following === '') return textAt(metadata, 'resourceVersion') ?? '';
    if (following === next) throw garbage(what, 'the list has a page that follows itself');
    next = following;
  }
}

async function readAll(what: string, body: AsyncIterable<Buffer>, reader: ListReader): Promise<unknown> {
  try {
    for await (const chunk of paced(body)) reader.push(chunk);
    return reader.end();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw garbage(what, `the list cannot be read: ${describeError(error)}`);
  }
}

function readMetadata(what: string, envelope: unknown): Fields {
  const metadata = isFields(envelope) ? envelope['metadata'] : undefined;
  if (!isFields(envelope) || !isFields(metadata) || !(textAt(envelope, 'kind') ?? '').endsWith('List')) {
    throw garbage(what, `the answer is no list: ${JSON.stringify(envelope)}`);
  }
  if ((textAt(metadata, 'resourceVersion') ?? '') === '')
    throw garbage(what, 'the list has no resourceVersion');
  return metadata;
}
