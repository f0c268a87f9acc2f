/**
 * A cluster of two nodes behind a fake API, inside whatever namespace this is started in; prints its port. A line `delete COLLECTION NAME` on its input deletes an
 * object, `put COLLECTION NAME` makes one, `condition` prints the reason of the
 * condition that was told last.
 */
import { createInterface } from 'node:readline';
import { FakeApi, nodeObject, reply } from './fake-api.ts';

const api = await FakeApi.start();
let reason = 'none';
api.intercept = async ({ pathname }, response, request) => {
  if (!pathname.endsWith('/status')) return false;
  let text = '';
  for await (const chunk of request) text += String(chunk);
  reason = (JSON.parse(text) as { status: { conditions: { reason: string }[] } }).status.conditions[0]!
    .reason;
  reply(response, 200, {});
  return true;
};
api.put('/api/v1/nodes', nodeObject('node-1'));
const peer = { status: { addresses: [{ type: 'InternalIP', address: '192.168.1.3' }] } };
api.put('/api/v1/nodes', nodeObject('node-2', ['10.244.0.0/24'], peer));
api.put(
  '/api/v1/nodes',
  nodeObject('thief', ['10.244.0.0/25'], { metadata: { creationTimestamp: '2026-02-02T00:00:00Z' } }),
);
api.put('/apis/apps/v1/namespaces/kube-system/daemonsets', { metadata: { name: 'fairlead' } });
createInterface(process.stdin).on('line', (line) => {
  const [verb, collection = '', name = ''] = line.split(' ');
  if (verb === 'put') api.put(collection, { metadata: { name } });
  else if (verb === 'delete') api.delete(collection, name);
  console.log(verb === 'condition' ? reason : 'done');
});
console.log(api.port);
