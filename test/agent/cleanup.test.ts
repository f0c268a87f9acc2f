/** `fairlead cleanup` and `fairlead status` on a real node. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { deletePod } from '../../lab/pods.ts';
import { FAIRLEAD } from '../../lab/processes.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { faultsOf, startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';

type Outcome = { status: number; stdout: string };

function inNode(node: LabNode, ...command: string[]): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
}

/** The command line on a node, whatever its exit status. */
async function fairlead(node: LabNode, ...args: string[]): Promise<Outcome> {
  const script = '"$0" "$@" 2>&1; echo "status $?"';
  const text = await inNode(node, 'sh', '-c', script, FAIRLEAD, ...args);
  const [, stdout = '', status = ''] = /^([^]*)status (\d+)\n$/.exec(text) ?? [];
  return { status: Number(status), stdout };
}

/** Everything of the network stack that a pod network could have left. */
async function trace(node: LabNode): Promise<string> {
  const listings = [
    'ip -br link',
    'ip -4 route show table all proto 70',
    'ip -6 route show table all proto 70',
    'ip rule',
    'ip -6 rule',
    'ip -o addr show dev lo',
    'ip neigh show nud permanent',
    'nft list ruleset',
  ];
  const texts = await Promise.all(listings.map((listing) => inNode(node, ...listing.split(' '))));
  return texts.join('\n');
}

for (const backend of ['vxlan', 'host-gw'] as const) {
  test(`cleanup removes every trace of ${backend}, and nothing else; the agent brings all of it back`, async () => {
    const plan = await startLab({ nodes: 2, pods: 2, backend, family: 'dual' });
    const node = plan.nodes[0]!;
    const paths = nodePaths(plan.options.name, node.name);
    const clean = (...more: string[]) => fairlead(node, 'cleanup', '--config', paths.configuration, ...more);
    await inNode(node, 'ip', 'route', 'add', '10.99.0.0/16', 'dev', 'lo');
    await inNode(node, 'nft', 'add', 'table', 'inet', 'foreign');

    const running = await clean();
    assert.equal(running.status, 1);
    assert.match(running.stdout, /the agent of this node runs.*stop it first/);
    killAgent(node);
    const attached = await clean();
    assert.equal(attached.status, 1);
    assert.match(attached.stdout, /2 pods are attached and would lose their network/);
    const before = await trace(node);
    const dry = await clean('--with-pods', '--dry-run');
    assert.equal(dry.status, 0);
    assert.match(dry.stdout, /route\.delete 10\.244\.1\.0\/24/);
    assert.equal(await trace(node), before, 'a dry run changes nothing');

    const done = await clean('--with-pods');
    assert.equal(done.status, 0, done.stdout);
    const after = await trace(node);
    assert.doesNotMatch(
      after,
      /proto 70|fairlead|fl-vxlan| fl[0-9a-f]{12}|lookup 7010|10\.244\.|fd00:10:244/,
    );
    assert.match(after, /table inet foreign/);
    assert.match(await inNode(node, 'ip', 'route'), /10\.99\.0\.0\/16/);
    assert.equal(existsSync(paths.state), false);
    assert.equal((await clean()).status, 0, 'a second time there is nothing to do');

    const own = readPods(plan.options.name).filter((pod) => pod.node === node.name);
    startAgent(plan, node);
    await awaitAgent(plan, node);
    for (const pod of own) await deletePod(plan, pod);
    assert.deepEqual(await faultsOf(plan), []);
  });
}

test('status: what is served, how peers are reached, what is wrong, and how it ends', async () => {
  const plan = await startLab({ nodes: 3, subnets: 2, pods: 1 });
  const node = plan.nodes[0]!;
  const { apiSocket } = nodePaths(plan.options.name, node.name);
  const ask = (...more: string[]) => fairlead(node, 'status', '--socket', apiSocket, ...more);
  const { status, stdout } = await ask();
  assert.equal(status, 0, stdout);
  assert.match(stdout, /node {9}node-1 /);
  assert.match(stdout, /ranges {7}10\.244\.0\.0\/24\n/);
  assert.match(stdout, /MTU of pods {2}1450\n/);
  assert.match(stdout, /node-2 +192\.168\.2\.2 +10\.244\.1\.0\/24 +VXLAN to 192\.168\.2\.2 /);
  assert.match(stdout, /node-3 +192\.168\.1\.3 +10\.244\.2\.0\/24 +direct via 192\.168\.1\.3 /);
  assert.match(stdout, /No problems\./);
  const json = JSON.parse((await ask('-o', 'json')).stdout) as { node: string };
  assert.equal(json.node, 'node-1');
  assert.equal((await ask('-o', 'yaml')).status, 2);
  killAgent(node);
  await until('nobody answers', async () => (await ask()).status === 1);
  assert.match((await ask()).stdout, /no agent answers at .*api\.sock; start it/);
});
