/** The API of a lab, as the agents' own client reaches it from the machine. */
import { KubeClient } from '../../src/kube/client.ts';
import { readAccess } from '../../src/lab/api-access.ts';
import type { LabPlan } from '../../src/lab/topology.ts';

export function clientOf(plan: LabPlan): KubeClient {
  const { port, token, certificate } = readAccess(plan.options.name)!;
  return new KubeClient({
    server: new URL(`https://127.0.0.1:${port}`),
    origin: 'the test',
    token: { text: token },
    ca: { text: certificate },
  });
}

export async function itemsOf<T>(client: KubeClient, path: string): Promise<T[]> {
  return ((await client.json({ path })) as { items: T[] }).items;
}
