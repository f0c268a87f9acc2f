/** What tests ask of the API of a lab, and tell it. */
import type { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { until } from '../until.ts';

export async function itemsOf<T>(client: KubeClient, path: string): Promise<T[]> {
  return ((await client.json({ path })) as { items: T[] }).items;
}

/** Gives each of these pods of `default` its own name as the label `app`, as soon as it is an object. */
export async function labelPods(client: KubeClient, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await until(`${name} is an object`, () =>
      client
        .json({
          method: 'PATCH',
          path: `/api/v1/namespaces/default/pods/${name}`,
          contentType: 'application/merge-patch+json',
          body: { metadata: { labels: { app: name } } },
        })
        .then(
          () => true,
          () => false,
        ),
    );
  }
}
