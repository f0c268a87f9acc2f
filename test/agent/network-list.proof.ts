/** The runtime's network list as a real agent keeps it. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FAIRLEAD } from '../../lab/processes.ts';
import { callPlugin } from '../../lab/runtime.ts';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import { writeNode } from '../../src/cluster/directory-store.ts';
import { watchRemoval } from '../../src/cluster/report/daemon-set.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { FakeApi, reply, status } from '../kube/fake-api.ts';
import { fairlead } from '../lab/fixture.ts';
import { createNamespace } from '../namespace.ts';
import { until } from '../until.ts';

const FAKE_API = join(import.meta.dirname, '../kube/serve-fake-api.ts');
const DAEMON_SETS = '/apis/apps/v1/namespaces/kube-system/daemonsets';

test('the list is there when pods can start, not before, and stays whatever becomes of the agent', async () => {
  using stack = new DisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'flt-list-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  mkdirSync(at('net.d'));
  const list = at('net.d/10-fairlead.conflist');
  const host = stack.use(createNamespace());
  host.exec('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire');
  host.exec('ip', 'link', 'set', 'wire', 'up');
  host.exec('ip', 'addr', 'add', '192.168.1.2/24', 'dev', 'eth0');
  for (const name of ['eth0', 'lo']) host.exec('ip', 'link', 'set', name, 'up');
  const configuration = `node: { name: node-1 }
cluster: { directory: ${at('cluster')} }
paths: { socketDirectory: ${at('run')}, stateDirectory: ${at('state')} }
cni: { confDirectory: ${at('net.d')}, capabilities: [portMappings] }
`;
  writeFileSync(at('fairlead.yaml'), configuration);
  const start = () => {
    const child = spawn(
      'nsenter',
      [`--net=${host.path}`, FAIRLEAD, 'agent', '--config', at('fairlead.yaml')],
      {
        stdio: 'ignore',
      },
    );
    stack.defer(() => void child.kill('SIGKILL'));
    return child;
  };
  const ask = () => askStatus(at('run/api.sock')).catch(() => undefined);
  const register = (name: string, year: number) =>
    writeNode(at('cluster'), {
      name,
      uid: name,
      createdAt: `${year}-01-01T00:00:00Z`,
      internalIps: [parseIp(name === 'node-1' ? '192.168.1.2' : '192.168.1.3')],
      podCidrs: [parseCidr('10.244.1.0/24')],
    });
  const plugin = { type: 'fairlead-cni', agentSocket: at('run/cni.sock'), stateDirectory: at('state') };

  const first = start();
  await until('the agent answers', async () => (await ask()) !== undefined);
  assert.equal((await ask())?.readiness.ready, false);
  assert.deepEqual(readdirSync(at('net.d')), []);

  register('node-1', 2026);
  await until('the list is there', () => existsSync(list));
  assert.equal((await ask())?.readiness.ready, true);
  assert.deepEqual(JSON.parse(readFileSync(list, 'utf8')), {
    cniVersion: '1.0.0',
    name: 'fairlead',
    plugins: [{ ...plugin, capabilities: { portMappings: true } }],
  });

  rmSync(list);
  await until('the list is back', () => existsSync(list));
  const rival = at('net.d/05-other.conf');
  writeFileSync(rival, '{}');
  const problems = async () => (await ask())?.problems.join() ?? '';
  await until('the status names a list before ours', async () =>
    /net\.d\/05-other\.conf comes before 10-fairlead\.conflist.* take it away/.test(await problems()),
  );
  rmSync(rival);
  await until('no longer', async () => (await problems()) === '');

  const inode = () => statSync(list).ino;
  const before = inode();
  first.kill('SIGTERM');
  await once(first, 'exit');
  assert.equal(inode(), before, 'an agent that is told to stop leaves the list');
  const second = start();
  await until('the next agent is ready', async () => (await ask())?.readiness.ready === true);
  assert.equal(inode(), before, 'the next agent finds it right');

  // An older claim to the same range: this node can take no pods now.
  register('node-2', 2025);
  await until('the node takes no pods', async () => (await ask())?.readiness.ready === false);
  assert.equal(inode(), before, 'a node that was ready stays so for its kubelet');
  const answer = await callPlugin({
    command: 'STATUS',
    configuration: { cniVersion: '1.1.0', name: 'fairlead', ...plugin },
  });
  assert.equal(answer.exitCode, 1);
  assert.match(answer.stdout, /"code":\s*50.*node-2/s);

  second.kill('SIGKILL');
  await once(second, 'exit');
  const foreign = '{"name":"x","plugins":[{"type":"bridge"}]}';
  writeFileSync(list, foreign);
  register('node-2', 2027);
  start();
  await until('the status names the foreign file', async () => /is somebody else's/.test(await problems()));
  assert.equal(readFileSync(list, 'utf8'), foreign);
});

test('an agent that is replaced leaves list and plugin, one that is removed takes them away after the last pod', async () => {
  using stack = new DisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'flt-list-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  for (const name of ['net.d', 'bin']) mkdirSync(at(name));
  const host = stack.use(createNamespace());
  host.exec('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire');
  host.exec('ip', 'link', 'set', 'wire', 'up');
  host.exec('ip', 'addr', 'add', '192.168.1.2/24', 'dev', 'eth0');
  for (const name of ['eth0', 'lo']) host.exec('ip', 'link', 'set', name, 'up');
  const inside = (...command: string[]) => {
    const child = spawn('nsenter', [`--net=${host.path}`, '--', ...command], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    stack.defer(() => void child.kill('SIGKILL'));
    return child;
  };
  const api = inside(process.execPath, FAKE_API);
  const [port] = (await once(api.stdout, 'data')) as [Buffer];
  writeFileSync(
    at('kubeconfig'),
    `current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:${String(port).trim()}"}}]
`,
  );
  writeFileSync(
    at('fairlead.yaml'),
    `node: { name: node-1 }
cluster: { source: kubernetes, kubeconfig: ${at('kubeconfig')} }
paths: { socketDirectory: ${at('run')}, stateDirectory: ${at('state')} }
cni: { binDirectory: ${at('bin')}, confDirectory: ${at('net.d')}, daemonSet: kube-system/fairlead }
`,
  );
  assert.equal((await fairlead('install', '--config', at('fairlead.yaml'))).status, 0);
  const there = () => [...readdirSync(at('bin')), ...readdirSync(at('net.d'))];
  const both = ['fairlead-cni', '10-fairlead.conflist'];
  const start = async () => {
    const agent = inside(FAIRLEAD, 'agent', '--config', at('fairlead.yaml'));
    await until('it takes pods', () =>
      askStatus(at('run/api.sock')).then(
        ({ readiness, pid }) => readiness.ready && pid === agent.pid,
        () => false,
      ),
    );
    return async () => {
      agent.kill('SIGTERM');
      await once(agent, 'exit');
    };
  };
  const stop = await start();
  await until('both are there', () => String(there()) === String(both));
  await stop();
  assert.deepEqual(there(), both);
  const tell = async (line: string) => {
    api.stdin.write(`${line}\n`);
    return String((await once(api.stdout, 'data'))[0]).trim();
  };
  const stopForGood = await start();
  await tell(`delete ${DAEMON_SETS} fairlead`);
  await stopForGood();
  assert.deepEqual(there(), []);
  assert.equal(await tell('condition'), 'FairleadIsRemoved');

  // The same with a pod, which the runtime has to be able to end.
  await tell(`put ${DAEMON_SETS} fairlead`);
  assert.equal((await fairlead('install', '--config', at('fairlead.yaml'))).status, 0);
  const stopUnderPod = await start();
  await until('both are there', () => String(there()) === String(both));
  const pod = stack.use(createNamespace());
  const call = (command: 'ADD' | 'DEL') =>
    callPlugin({
      command,
      configuration: JSON.parse(readFileSync(at('net.d/10-fairlead.conflist'), 'utf8')).plugins.map(
        (plugin: object) => ({ cniVersion: '1.0.0', name: 'fairlead', ...plugin }),
      )[0],
      containerId: 'left',
      netns: pod.path,
      ifname: 'eth0',
    });
  assert.equal((await call('ADD')).exitCode, 0);
  await tell(`delete ${DAEMON_SETS} fairlead`);
  await stopUnderPod();
  assert.deepEqual(there(), both);
  assert.equal(await tell('condition'), 'FairleadIsRemoved');
  const clean = () =>
    execFileSync(
      'nsenter',
      [
        `--net=${host.path}`,
        '--',
        'sh',
        '-c',
        '"$0" cleanup --config "$1" 2>&1 || true',
        FAIRLEAD,
        at('fairlead.yaml'),
      ],
      { encoding: 'utf8' },
    );
  assert.match(clean(), /1 pods are attached/);
  assert.deepEqual(await call('DEL'), { exitCode: 0, stdout: '' });
  assert.match(host.exec('ip', '-br', 'link', 'show', 'group', '64016'), /^fl/, 'its namespace lives');
  assert.match(clean(), /Nothing of Fairlead is left\./);
  assert.deepEqual(there(), []);
  assert.equal(host.exec('ip', '-br', 'link', 'show', 'group', '64016'), '');
});

test('what an agent that is told to stop finds out: replaced, or removed', async () => {
  using stack = new DisposableStack();
  const api = stack.use(await FakeApi.start());
  const client = stack.use(
    new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`), origin: 'test' }),
  );
  const log = createLogger({ level: 'error', format: 'text' });
  const open = async () => {
    const removal = watchRemoval(client, 'kube-system/fairlead', log);
    const asked = api.requests.length;
    await until('it has looked', () => api.requests.length > asked);
    return removal;
  };
  const unknown = await open();
  assert.equal(await unknown.isUnderWay(), false, 'a wrong name is no removal');
  api.put(DAEMON_SETS, { metadata: { name: 'fairlead' } });
  const removal = await open();
  assert.equal(await removal.isUnderWay(), false);
  for (const [code, isRemoval] of [
    [401, false],
    [403, true],
  ] as const) {
    api.intercept = (_, response) => {
      reply(response, code, status(code, 'no'));
      return true;
    };
    assert.equal(await removal.isUnderWay(), isRemoval, 'rights go with it, a token expires by itself');
    assert.equal(await unknown.isUnderWay(), false, 'the rights were never there');
  }
  api.intercept = (_, response) => {
    reply(response, 500, status(500, 'no'));
    return true;
  };
  assert.equal(await removal.isUnderWay(), false, 'a server in trouble');
  api.intercept = () => false;
  api.put(DAEMON_SETS, { metadata: { name: 'fairlead', deletionTimestamp: '2026-01-01T00:00:00Z' } });
  assert.equal(await removal.isUnderWay(), true);
  api.delete(DAEMON_SETS, 'fairlead');
  assert.equal(await removal.isUnderWay(), true);
});
