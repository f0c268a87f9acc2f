/** On which node one end of a connection is, as its name or address says: whose agent is to be asked. */
import { isIp, parseIp } from '../base/ip/ip.ts';
import { isStatus } from '../edge/kubernetes/api-error.ts';
import type { KubeClient } from '../edge/kubernetes/client.ts';
import { readKind } from '../edge/kubernetes/read-kind.ts';
import { nodeOf, placeOf } from '../plan/policy/answer/place.ts';
import { NODE_KIND } from './kinds/node.ts';
import { POD_KIND, trimPod } from './kinds/pod.ts';

/** @returns undefined for what is outside, a service, nothing that the cluster knows, or may be read. @throws ApiError */
export async function homeOf(client: KubeClient, text: string): Promise<string | undefined> {
  try {
    return await find(client, text);
  } catch (error) {
    if (isStatus(error, 403, 404)) return undefined;
    throw error;
  }
}

async function find(client: KubeClient, text: string): Promise<string | undefined> {
  if (isIp(text)) return homeOfAddress(client, text);
  const node = /^nodes?\/(.+)$/.exec(text)?.[1];
  if (node !== undefined) return node;
  const [namespace = '', name, ...more] = text.includes('/') ? text.split('/') : ['default', text];
  if (name === undefined || name === '' || namespace === '' || more.length > 0) return undefined;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
  const read = trimPod(await client.json({ path }));
  return 'object' in read && read.object.nodeName !== '' ? read.object.nodeName : undefined;
}

async function homeOfAddress(client: KubeClient, text: string): Promise<string | undefined> {
  const [pods, nodes] = await Promise.all([readKind(client, POD_KIND), readKind(client, NODE_KIND)]);
  const local = { node: '', addresses: [], attached: [] };
  const places = { local, pods: pods.objects, nodes: nodes.objects, podNetwork: [] };
  return nodeOf(placeOf(places, parseIp(text), undefined));
}
