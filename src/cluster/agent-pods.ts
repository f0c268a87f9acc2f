/** The pods in which agents run, as their DaemonSet makes them: where commands ask them through the API. */

import { fieldAt, fieldsAt, isFields, listAt, textAt } from '../base/fields/fields.ts';
import type { KubeClient } from '../edge/kubernetes/client.ts';

export type AgentPod = {
  node: string;
  namespace: string;
  pod: string;
  container: string;
  /** Its configuration file, inside the container. */
  configuration: string;
};

/** As the chart labels them. */
const SELECTOR = 'app.kubernetes.io/name=fairlead';
const CONTAINER = 'agent';
const CONFIGURATION = '/etc/fairlead/fairlead.yaml';

/** One of each node that has one that runs. @param namespace absent: all. @throws ApiError */
export async function findAgentPods(client: KubeClient, namespace?: string): Promise<AgentPod[]> {
  const inside = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  const list = await client.json({ path: `/api/v1${inside}/pods`, query: { labelSelector: SELECTOR } });
  const found = (isFields(list) ? listAt(list, 'items') : []).flatMap(readAgentPod);
  return [...new Map(found.map((one) => [one.node, one])).values()].toSorted((a, b) =>
    a.node.localeCompare(b.node, 'en', { numeric: true }),
  );
}

/** @returns none for a pod that is not an agent's, or does not run. */
export function readAgentPod(value: unknown): AgentPod[] {
  if (!isFields(value)) return [];
  const [metadata, spec, status] = ['metadata', 'spec', 'status'].map((name) => fieldsAt(value, name));
  const [pod, namespace] = [textAt(metadata!, 'name'), textAt(metadata!, 'namespace')];
  const node = textAt(spec!, 'nodeName') ?? '';
  const runs =
    textAt(status!, 'phase') === 'Running' && fieldAt(metadata!, 'deletionTimestamp') === undefined;
  const container = listAt(spec!, 'containers').find(
    (one) => isFields(one) && textAt(one, 'name') === CONTAINER,
  );
  if (pod === undefined || namespace === undefined || node === '' || !runs || !isFields(container)) return [];
  const args = listAt(container, 'args').map(String);
  const at = args.indexOf('--config');
  const configuration = (at < 0 ? undefined : args[at + 1]) ?? CONFIGURATION;
  return [{ node, namespace, pod, container: CONTAINER, configuration }];
}
