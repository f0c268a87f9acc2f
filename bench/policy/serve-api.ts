/**
 * A cluster behind a fake API, in whatever namespace this is started: 10,000 pods in 100 namespaces, 1,000 policies. Prints
 * its port; then it takes changes, one line of JSON each, and prints the moment of each in nanoseconds of CLOCK_MONOTONIC.
 */
import { createInterface } from 'node:readline';
import { FakeApi, type FakeObject, nodeObject } from '../../test/kube/fake-api.ts';
import { clusterPods, clusterPolicies, POD_PATH, POLICY_PATH } from './cluster-objects.ts';

export type ApiChange = { path: string; put?: FakeObject; delete?: string };

const api = await FakeApi.start();
api.put('/api/v1/nodes', nodeObject('node-1', ['10.244.0.0/24']));
for (let index = 0; index < 100; index++)
  api.put('/api/v1/namespaces', {
    metadata: {
      name: `ns-${index}`,
      labels: { 'kubernetes.io/metadata.name': `ns-${index}`, team: `t${index % 10}` },
    },
  });
for (const pod of clusterPods()) api.put(POD_PATH, pod);
for (const policy of clusterPolicies()) api.put(POLICY_PATH, policy);
api.compact();
console.log(api.port);

for await (const line of createInterface({ input: process.stdin })) {
  const change = JSON.parse(line) as ApiChange;
  const now = process.hrtime.bigint();
  if (change.put !== undefined) api.put(change.path, change.put);
  if (change.delete !== undefined) api.delete(change.path, change.delete);
  console.log(String(now));
}
process.exit();
