/** All objects of one kind as they are at one moment, past every cache: for commands, and for decisions of a leader. */
import { isStatus } from './api-error.ts';
import type { KubeClient } from './client.ts';
import { Collection } from './collection.ts';
import { listAll } from './list.ts';
import type { Kind, KubeObject } from './object.ts';

/** `problems` are of those that are left out, or lack something. */
export type KindSnapshot<T> = { objects: readonly T[]; problems: readonly string[] };

const PAGE = 500;

/** @returns none of a kind that the cluster lacks, where it may. @throws ApiError */
export async function readKind<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  signal: AbortSignal = new AbortController().signal,
): Promise<KindSnapshot<T>> {
  const collection = new Collection(kind);
  try {
    await listAll(client, {
      path: kind.path,
      ...(kind.query === undefined ? {} : { query: kind.query }),
      resourceVersion: '',
      pageSize: PAGE,
      signal,
      onItem: (item) => collection.put(item),
    });
  } catch (error) {
    if (kind.optional !== true || !isStatus(error, 404)) throw error;
  }
  return { objects: [...collection.objects.values()], problems: collection.problems };
}
