/** Metrics and health of a real agent, at its socket and at an address. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, nodeRecord, startAgent } from '../../lab/nodes.ts';
import { addPod } from '../../lab/pods.ts';
import { clusterDirectory, nodePaths } from '../../lab/state.ts';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { writeNode } from '../../src/cluster/directory-store.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { scrape, valueOf as valueAt } from './scrape.ts';

const plan = await startLab({ nodes: 3, subnets: 2, pods: 1 });
const node = plan.nodes[0]!;
const paths = nodePaths(plan.options.name, node.name);

const get = (path: string) => scrape(paths.apiSocket, path);
const valueOf = (series: string) => valueAt(paths.apiSocket, series);

test('what happened and what there is', async () => {
  const before = await valueOf('fairlead_cni_requests_total{command="ADD",code="0"}');
  await addPod(plan, 'more', node.name);
  assert.equal(await valueOf('fairlead_cni_requests_total{command="ADD",code="0"}'), before + 1);
  assert.equal(await valueOf('fairlead_cni_request_duration_seconds_count{command="ADD"}'), before + 1);
  assert.equal(await valueOf('fairlead_attachments'), 2);
  assert.equal(await valueOf('fairlead_addresses_used{range="10.244.0.0/24"}'), 2);
  assert.equal(await valueOf('fairlead_addresses_capacity{range="10.244.0.0/24"}'), 253);
  assert.equal(await valueOf('fairlead_peer_paths{family="4",mode="vxlan"}'), 1);
  assert.equal(await valueOf('fairlead_peer_paths{family="4",mode="direct"}'), 1);
  assert.equal(await valueOf('fairlead_resyncs_total{reason="start",outcome="success"}'), 1);
  assert.ok((await valueOf('process_resident_memory_bytes')) > 1e7);
});

test('every metric is documented, with its type', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
  const exported = [...(await get('/metrics')).body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  const documented = [...page.matchAll(/^\| `(\S+)` \| (\w+) \|/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  const ofPolicies = documented.filter((line) => line.startsWith('fairlead_polic'));
  assert.deepEqual(new Set([...exported, ...ofPolicies]), new Set(documented));
});

test('health and readiness tell the truth', async () => {
  assert.deepEqual(await get('/healthz'), { status: 200, body: 'ok\n' });
  assert.deepEqual(await get('/readyz'), { status: 200, body: 'ok\n' });
  const record = nodeRecord(plan, node);
  writeNode(clusterDirectory(plan.options.name), { ...record, podCidrs: [parseCidr('172.16.0.0/24')] });
  await until('it is not ready', async () => (await get('/readyz')).status === 503);
  assert.match((await get('/readyz')).body, /172\.16\.0\.0\/24, which is outside the pod network/);
  assert.equal(await valueOf('fairlead_ready'), 0);
  writeNode(clusterDirectory(plan.options.name), record);
  await until('it is ready again', async () => (await get('/readyz')).status === 200);
  assert.equal((await get('/nothing')).status, 404);
});

test('at an address there are metrics and health, and no names of pods', async () => {
  killAgent(node);
  appendFileSync(paths.configuration, 'metrics: { address: "127.0.0.1:9630" }\n');
  startAgent(plan, node);
  await awaitAgent(plan, node);
  const ask = (path: string) =>
    run('nsenter', [
      `--net=${namespacePath(node.namespace)}`,
      '--',
      process.execPath,
      '-e',
      `fetch('http://127.0.0.1:9630${path}').then(async (r) => console.log(r.status, await r.text()))`,
    ]);
  assert.match(await ask('/metrics'), /^200 # HELP fairlead_/);
  assert.match(await ask('/readyz'), /^200 ok/);
  assert.match(await ask('/status'), /^404 ask for one of \/metrics, \/healthz, \/readyz/);
});
