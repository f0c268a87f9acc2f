/** Whether a cluster has a kind at all (Kubernetes API concepts, "Discovery API"). */

import { isFields, listAt, textAt } from '../../base/fields/fields.ts';
import type { ApiError } from './api-error.ts';
import { garbage } from './api-error.ts';
import type { KubeClient } from './client.ts';

/** A group's version, and the plural by which it is asked for. */
const COLLECTION = /^\/apis\/([^/]+\/[^/]+)\/(?:namespaces\/[^/]+\/)?([^/]+)$/;

/**
 * Asked after a 404 of the collection: that may come from a proxy, or from a server that is just starting.
 * @param path of the collection: `/apis/GROUP/VERSION/PLURAL`.
 * @returns false only where the server lists its groups, and this kind is in none.
 * @throws ApiError where it does not say; then nothing is known.
 */
export async function isServed(client: KubeClient, path: string, signal: AbortSignal): Promise<boolean> {
  const [, groupVersion = '', plural = ''] = COLLECTION.exec(path) ?? [];
  const groups = listOf(await read('/apis', 'APIGroupList'), 'groups');
  const versions = groups.flatMap((group) => listOf(group, 'versions'));
  if (!versions.some((version) => textAt(version, 'groupVersion') === groupVersion)) return false;
  const resources = listOf(await read(`/apis/${groupVersion}`, 'APIResourceList'), 'resources');
  return resources.some((resource) => textAt(resource, 'name') === plural);

  async function read(of: string, kind: string): Promise<Record<string, unknown>> {
    const answer = await client.json({ path: of, signal });
    if (isFields(answer) && textAt(answer, 'kind') === kind) return answer;
    throw unexpected(client.describe({ path: of }), kind);
  }
}

function unexpected(what: string, kind: string): ApiError {
  return garbage(what, `the answer is no ${kind}`);
}

function listOf(value: Record<string, unknown>, name: string) {
  return listAt(value, name).filter(isFields);
}
