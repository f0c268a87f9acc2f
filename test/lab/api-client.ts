/** Lists of the lab's API. */
import type { KubeClient } from '../../src/kube/client.ts';

export async function itemsOf<T>(client: KubeClient, path: string): Promise<T[]> {
  return ((await client.json({ path })) as { items: T[] }).items;
}
