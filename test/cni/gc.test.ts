/** CNI GC, and what becomes of namespaces that are not reported. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { callPlugin } from '../../lab/runtime.ts';
import { nodePaths } from '../../lab/state.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { until } from '../until.ts';
import { resultOf, startNode } from './containers.ts';

const { plan, node, container, configured } = await startNode();
const paths = nodePaths(plan.options.name, node.name);

async function attached(): Promise<string[]> {
  return (await askStatus(paths.apiSocket)).attachments.map(
    ({ network, containerId, ifname }) => `${network} ${containerId} ${ifname}`,
  );
}

function collect(more: object) {
  return callPlugin({ command: 'GC', ...configured(more) });
}

test('F: under either name that is in the wild, with what runtimes send along', async () => {
  const [kept, released] = [container(), container()];
  for (const { call } of [kept, released]) resultOf(await call('ADD'));
  // As libcni sends it: the plugin's own entry of the list, without prevResult and without an interface name.
  const list = [{ containerID: kept.containerId, ifname: 'eth0' }];
  for (const key of ['cni.dev/attachments', 'cni.dev/valid-attachments']) {
    assert.deepEqual(await collect({ [key]: list }), { exitCode: 0, stdout: '' });
    assert.deepEqual(await attached(), [`fairlead ${kept.containerId} eth0`]);
  }
  await kept.call('DEL');
});

test('F: an interface that is not listed goes, its sibling stays', async () => {
  const { containerId, call } = container();
  resultOf(await call('ADD'));
  resultOf(await call('ADD', { ifname: 'net1' }));
  assert.equal(
    (await collect({ 'cni.dev/valid-attachments': [{ containerID: containerId, ifname: 'net1' }] })).exitCode,
    0,
  );
  assert.deepEqual(await attached(), [`fairlead ${containerId} net1`]);
  await call('DEL', { ifname: 'net1' });
});

test('F: an empty list keeps nothing of this network, all of the others, and may come twice', async () => {
  const [own, other] = [container(), container({ name: 'other' })];
  for (const { call } of [own, other]) resultOf(await call('ADD'));
  for (let time = 0; time < 2; time++) {
    assert.deepEqual(await collect({ 'cni.dev/valid-attachments': [] }), { exitCode: 0, stdout: '' });
    assert.deepEqual(await attached(), [`other ${other.containerId} eth0`]);
  }
  await other.call('DEL');
});

test('F: without any GC the agent finds dead namespaces by itself, and says so', async () => {
  const { space, containerId, call } = container();
  const ip = resultOf(await call('ADD')).ips[0]!.address.split('/')[0]!;
  space[Symbol.dispose]();
  await until('the attachment is gone', async () => (await attached()).length === 0);
  const log = readFileSync(paths.log, 'utf8');
  assert.match(
    log,
    new RegExp(`a pod is gone with its namespace.*${containerId}.*${ip.replaceAll('.', '\\.')}`),
  );
});
