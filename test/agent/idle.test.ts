/** An agent that has nothing to do does nothing, in a PID namespace of its own as in its container. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FAIRLEAD } from '../../lab/processes.ts';
import { callPluginOrFail } from '../../lab/runtime.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { nodeObject } from '../kube/fake-api.ts';
import { createNamespace } from '../namespace.ts';
import { until } from '../until.ts';

const FAKE_API = join(import.meta.dirname, '../kube/serve-objects.ts');
const PODS = ['web', 'db'];
const RESYNCS = 4;

const podObject = (name: string) => ({
  metadata: { namespace: 'default', name, labels: { app: name } },
  spec: { nodeName: 'node-1' },
  status: { phase: 'Running' },
});
const OBJECTS = [
  ['/api/v1/nodes', nodeObject('node-1', ['10.244.0.0/24'])],
  ['/api/v1/namespaces', { metadata: { name: 'default' } }],
  ...PODS.map((name) => ['/api/v1/pods', podObject(name)]),
  [
    '/apis/networking.k8s.io/v1/networkpolicies',
    {
      metadata: { namespace: 'default', name: 'db' },
      spec: {
        podSelector: { matchLabels: { app: 'db' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
      },
    },
  ],
];

test('an idle agent with policies and ports starts no process, writes nothing, and compares by its timer alone', async () => {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'flt-agent-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const node = stack.use(createNamespace());
  for (const command of [
    'link set lo up',
    'link add eth0 type veth peer name wire',
    'link set wire up',
    'addr add 192.168.1.2/24 dev eth0',
    'link set eth0 up',
  ])
    node.exec('ip', ...command.split(' '));
  const children: ChildProcess[] = [];
  stack.defer(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  /** Keeps what it prints. */
  const inside = (...command: string[]) => {
    const child = spawn('nsenter', [`--net=${node.path}`, '--', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    const printed = { child, text: '' };
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (printed.text += text));
    return printed;
  };

  writeFileSync(join(directory, 'objects.json'), JSON.stringify(OBJECTS));
  const api = inside(process.execPath, FAKE_API, join(directory, 'objects.json'));
  await once(api.child.stdout, 'data');
  writeFileSync(
    join(directory, 'kubeconfig'),
    `current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:${api.text.trim()}"}}]
`,
  );
  writeFileSync(
    join(directory, 'fairlead.yaml'),
    `node: { name: node-1 }
cluster: { source: kubernetes, kubeconfig: ${join(directory, 'kubeconfig')} }
paths: { socketDirectory: ${directory}, stateDirectory: ${directory} }
resyncSeconds: 1
log: { level: debug }
`,
  );
  // Namespaces of pods that are made later must be seen from there.
  const container = ['unshare', '--pid', '--fork', '--mount-proc', '--propagation=slave', '--kill-child'];
  const agent = inside(...container, FAIRLEAD, 'agent', '--config', join(directory, 'fairlead.yaml'));
  const ask = () => askStatus(join(directory, 'api.sock')).catch(() => undefined);
  await until('the agent takes pods and knows the policies', async () => {
    const status = await ask();
    return status?.readiness.ready === true && status.policy?.synced === true;
  });
  for (const [index, name] of PODS.entries()) {
    const pod = stack.use(createNamespace(name));
    await callPluginOrFail({
      command: 'ADD',
      configuration: {
        cniVersion: '1.1.0',
        name: 'test',
        type: 'fairlead-cni',
        agentSocket: join(directory, 'cni.sock'),
        stateDirectory: directory,
        runtimeConfig: { portMappings: [{ hostPort: 9081 + index, containerPort: 8080, protocol: 'tcp' }] },
      },
      containerId: name,
      netns: pod.path,
      ifname: 'eth0',
      args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name}`,
    });
  }
  assert.equal((await ask())?.policy?.isolated, 1);

  /** What caused each comparison with the kernel since the agent started. */
  const resyncs = () =>
    agent.text
      .split('\n')
      .filter((line) => /"the kernel (holds|was brought)/.test(line))
      .map((line) => String((JSON.parse(line) as { reasons: string[] }).reasons));
  const byTimer = () => resyncs().filter((reasons) => reasons === 'period').length;
  const idleFrom = byTimer();
  await until('what the pods caused is over', () => byTimer() > idleFrom + 1);

  const pid = readFileSync(`/proc/${agent.child.pid}/task/${agent.child.pid}/children`, 'utf8').trim();
  /** Of a process that starts there now: one more than that of the last one. */
  const nextPid = () =>
    Number(
      execFileSync('nsenter', [`--target=${pid}`, '--pid', 'sh', '-c', 'echo $$'], { encoding: 'utf8' }),
    );
  const files = () =>
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).map(
      (path) => `${path} ${statSync(join(directory, path)).mtimeMs}`,
    );
  const rules = inside('nft', 'monitor');
  const objects = inside('ip', 'monitor', 'link', 'address', 'route', 'rule', 'netconf');
  // Each tells of what is done once it listens.
  const mark = async (name: string) => {
    await until(`${name} is told of`, () => {
      node.exec(
        'sh',
        '-c',
        `nft delete table ip ${name} 2>/dev/null; nft add table ip ${name}; ip route replace 203.0.113.1 dev lo`,
      );
      return rules.text.includes(`ip ${name}`) && objects.text.includes('203.0.113.1');
    });
  };
  await mark('first');
  await until('the agent has seen it', () => resyncs().length > 0);
  const settled = byTimer();
  await until('what this caused is over', () => byTimer() > settled + 1);
  rules.text = objects.text = '';
  const [before, pidBefore, filesBefore] = [resyncs().length, nextPid(), files()];
  await until('it compared some times', () => resyncs().length >= before + RESYNCS);
  const [after, pidAfter, filesAfter] = [resyncs().slice(before), nextPid(), files()];
  assert.equal(pidAfter, pidBefore + 1, 'no process and no thread was started');
  assert.deepEqual(filesAfter, filesBefore);
  assert.deepEqual(new Set(after), new Set(['period']));
  assert.equal(rules.text, '', 'no transaction of nftables');
  assert.equal(objects.text, '', 'no change of links, addresses, routes and settings');
  node.exec('sh', '-c', 'nft add table ip last; ip link add last type veth peer name tsal');
  await until('the end is told of', () => rules.text.includes('ip last') && objects.text.includes('last'));
  assert.match(rules.text, /^add table ip last/);
});
