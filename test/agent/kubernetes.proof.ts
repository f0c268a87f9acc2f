import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FAIRLEAD } from '../../lab/processes.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { createNamespace } from '../namespace.ts';
import { until } from '../until.ts';

const FAKE_API = join(import.meta.dirname, '../kube/serve-fake-api.ts');

/** A node, and an agent on it that takes all from a fake API beside it. @param mode see serve-fake-api.ts. */
async function start(stack: DisposableStack, mode = '') {
  const directory = mkdtempSync(join(tmpdir(), 'flt-agent-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const node = stack.use(createNamespace());
  node.exec('ip', 'link', 'set', 'lo', 'up');
  node.exec('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire');
  node.exec('ip', 'link', 'set', 'wire', 'up');
  node.exec('ip', 'addr', 'add', '192.168.1.2/24', 'dev', 'eth0');
  node.exec('ip', 'link', 'set', 'eth0', 'up');
  const log = openSync(join(directory, 'agent.log'), 'a');
  stack.defer(() => closeSync(log));
  const inside = (...command: string[]): ChildProcess => {
    const child = spawn('nsenter', [`--net=${node.path}`, '--', ...command], {
      stdio: ['ignore', 'pipe', log],
    });
    stack.defer(() => void child.kill('SIGKILL'));
    return child;
  };

  const api = inside(process.execPath, FAKE_API, mode);
  const [port] = (await Promise.race([once(api.stdout!, 'data'), failWhenEnded(api)])) as [Buffer];
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    `current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:${String(port).trim()}"}}]
`,
  );
  const configuration = join(directory, 'fairlead.yaml');
  writeFileSync(
    configuration,
    `node: { name: node-1 }
cluster: { source: kubernetes, kubeconfig: ${kubeconfig} }
paths: { socketDirectory: ${directory}, stateDirectory: ${directory} }
resyncSeconds: 1
probes: { intervalSeconds: 0 }
`,
  );
  inside(FAIRLEAD, 'agent', '--config', configuration);
  const ask = () => askStatus(join(directory, 'api.sock')).catch(() => undefined);
  return { node, api, ask, log: () => readFileSync(join(directory, 'agent.log'), 'utf8') };
}

async function failWhenEnded(child: ChildProcess): Promise<never> {
  const [code] = (await once(child, 'exit')) as [number | null];
  throw new Error(`the fake API ended with ${code}`);
}

test('an agent takes its nodes from Kubernetes, gives itself a range there, and goes on when the API is gone', async () => {
  using stack = new DisposableStack();
  const { node, api, ask } = await start(stack);
  let waited = '';
  await until('the agent has a range and takes pods', async () => {
    const status = await ask();
    if (status?.readiness.ready === false) waited = status.readiness.reason;
    return status?.readiness.ready === true;
  });
  assert.match(
    waited,
    /the cluster has not given this node a range yet; an agent that holds the lease kube-system/,
  );
  const status = await ask();
  assert.deepEqual(status?.readiness, {
    ready: true,
    view: { ranges: ['10.244.1.0/24'], nodeIps: ['192.168.1.2'], mtu: 1500 },
  });
  assert.deepEqual(
    status.peers.map(({ name, ranges }) => [name, ranges]),
    [
      ['node-2', ['10.244.0.0/24']],
      ['thief', []],
    ],
  );
  assert.match(
    status.problems.join('\n'),
    /node thief claims 10\.244\.0\.0\/25, which overlaps 10\.244\.0\.0\/24 of node node-2/,
  );
  const route = () => node.exec('ip', 'route', 'show', '10.244.0.0/24').trim();
  assert.match(route(), /^10\.244\.0\.0\/24 via 192\.168\.1\.3 dev eth0 proto 70/);

  api.kill('SIGKILL');
  await until('the agent says that the API is gone', async () =>
    /objects of kind node are not up to date since .*ECONNREFUSED/.test((await ask())?.problems.join() ?? ''),
  );
  assert.equal((await ask())?.readiness.ready, true);
  assert.match(route(), /via 192\.168\.1\.3/);
});

test('without the right to tell how it is an agent says so once, and does its work', async () => {
  using stack = new DisposableStack();
  const { ask, log } = await start(stack, 'without-reports');
  const denied = async () =>
    ((await ask())?.problems ?? []).filter((text) =>
      text.startsWith('the cluster is not told how this agent is'),
    );
  await until('it is said', async () => (await denied()).length > 0);
  const [problem, ...others] = await denied();
  assert.match(
    problem!,
    /PATCH .*\/leases\/fairlead-agent-node-1: 403 .*; give the account of the agent the rights/,
  );
  assert.deepEqual(others, []);
  await until('it takes pods', async () => (await ask())?.readiness.ready === true);
  assert.equal(
    log()
      .split('\n')
      .filter((line) => line.includes('the cluster is not told')).length,
    1,
  );
});
