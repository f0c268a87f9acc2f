import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { apiProcesses, startApi } from '../../../lab/api-start.ts';
import { labDown } from '../../../lab/lab.ts';
import { listNamespaces, namespacePath, run } from '../../../lab/namespaces.ts';
import { apiPaths, labDirectory, readPods } from '../../../lab/state.ts';
import { type LabPlan, namespacePrefix } from '../../../lab/topology.ts';
import { ask } from '../../../lab/verify/ask.ts';
import { until } from '../../until.ts';
import { fairlead, startLab } from '../fixture.ts';
import { kubectlAt, kubectlOf, kubectls, NO_KUBECTL } from './kubectl.ts';

const PODS = `
apiVersion: v1
kind: Pod
metadata: {name: server}
spec: {containers: [{name: main, image: any}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers:
  - name: main
    image: any
    command: [sh, -c, 'echo "I am $(IP)"; exec sleep 1000']
    env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
`;

/** Whether one pod reaches the other and is seen with its own address. */
async function meets(plan: LabPlan, from: string, to: string): Promise<boolean> {
  const host = (name: string) => {
    const pod = readPods(plan.options.name).find((candidate) => candidate.name === name)!;
    return { name, namespace: pod.namespace, address: pod.ips![0]! };
  };
  const question = {
    from: host(from),
    to: host(to),
    protocol: 'tcp',
    expectSource: host(from).address,
  } as const;
  return (await ask([question])).every(({ ok }) => ok);
}

const path = kubectls()[0] ?? 'kubectl';

test('kubectl sees the nodes and the pods of a lab, makes pods that reach each other, and removes them', {
  skip: NO_KUBECTL,
}, async () => {
  const plan = await startLab({ api: true, pods: 1 });
  const { name } = plan.options;
  const { ok, follow } = await kubectlOf(plan, path);
  await until(
    'the nodes are ready',
    async () => ((await ok(['get', 'nodes'])).match(/ Ready /g)?.length ?? 0) === 2,
  );
  assert.match(
    await ok(['get', 'nodes', '-o', 'wide']),
    /node-1 +Ready .* 192\.168\.1\.2 [\s\S]*node-2 +Ready .* 192\.168\.1\.3 /,
  );
  assert.equal(await ok(['get', 'node', 'node-2', '-o', 'jsonpath={.spec.podCIDRs[*]}']), '10.244.1.0/24');
  await until('the pods of the start are there', async () =>
    /pod-1 .* 10\.244\.0\.2 +node-1/.test(await ok(['get', 'pods', '-o', 'wide'])),
  );

  const { lines, stop } = follow(['get', 'pods', '-o', 'wide', '-w']);
  await until('the watch has begun', () => lines.some((line) => line.startsWith('pod-2 ')));
  await ok(['apply', '-f', '-'], PODS);
  await ok(['wait', '--for=condition=Ready', 'pod/server', 'pod/client', '--timeout=60s']);
  const where = await ok(['get', 'pods', 'server', 'client', '-o', 'jsonpath={.items[*].spec.nodeName}']);
  assert.deepEqual(where.split(' ').toSorted(), ['node-1', 'node-2'], 'they are spread');
  assert.equal(await meets(plan, 'client', 'server'), true);
  assert.equal(await meets(plan, 'pod-1', 'server'), true);
  const ip = await ok(['get', 'pod', 'client', '-o', 'jsonpath={.status.podIP}']);
  await until('the command has written', async () => (await ok(['logs', 'client'])) === `I am ${ip}\n`);
  assert.match(await ok(['describe', 'pod', 'client']), /Scheduled .* assigned default\/client to node-/);

  const records = readPods(name).filter((pod) => ['server', 'client'].includes(pod.name));
  assert.equal(records.length, 2);
  await ok(['delete', 'pod', 'server', 'client', '--timeout=60s']);
  assert.deepEqual(
    listNamespaces('').filter((entry) => records.some(({ namespace }) => namespace === entry)),
    [],
  );
  assert.deepEqual(
    readPods(name).map((pod) => pod.name),
    ['pod-1', 'pod-2'],
  );
  for (const word of ['Pending', 'Running', 'Terminating'])
    await until(`the watch told of ${word}`, () =>
      lines.some((line) => new RegExp(`^client .*${word}`).test(line)),
    );
  stop();
  await ok(['apply', '-f', '-'], PODS);
  await ok(['wait', '--for=condition=Ready', 'pod/server', '--timeout=60s']);
});

test('commands end and start again as their policy says, and a namespace takes its pods along', {
  skip: NO_KUBECTL,
}, async () => {
  const plan = await startLab({ api: true, pods: 0 });
  const { ok } = await kubectlOf(plan, path);
  const pod = (name: string, policy: string, command: string) =>
    `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"${name}","namespace":"shop"},"spec":{"restartPolicy":"${policy}","containers":[{"name":"c","image":"any","command":["sh","-c","${command}"]}]}}`;
  await ok(['create', 'namespace', 'shop']);
  await ok(['apply', '-f', '-'], pod('once', 'Never', 'exit 0'));
  await ok(['apply', '-f', '-'], pod('broken', 'Never', 'exit 3'));
  await ok(['apply', '-f', '-'], pod('again', 'Always', 'exit 1'));
  await ok(['apply', '-f', '-'], pod('nothing', 'Never', '/no/such/program'));
  const phase = (name: string) => ok(['-n', 'shop', 'get', 'pod', name, '-o', 'jsonpath={.status.phase}']);
  await until('it has succeeded', async () => (await phase('once')) === 'Succeeded');
  await until('it has failed', async () => (await phase('broken')) === 'Failed');
  await until('it has failed too', async () => (await phase('nothing')) === 'Failed');
  const code = [
    '-n',
    'shop',
    'get',
    'pod',
    'broken',
    '-o',
    'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}',
  ];
  assert.equal(await ok(code), '3');
  assert.match(await ok(['-n', 'shop', 'logs', 'nothing']), /no\/such\/program/);
  const count = [
    '-n',
    'shop',
    'get',
    'pod',
    'again',
    '-o',
    'jsonpath={.status.containerStatuses[0].restartCount}',
  ];
  await until('it was started again', async () => Number(await ok(count)) >= 1);
  await ok(['delete', 'namespace', 'shop', '--timeout=60s']);
  assert.deepEqual(readPods(plan.options.name), []);
});

test('pods of commands and of kubectl are the same pods', { skip: NO_KUBECTL }, async () => {
  const plan = await startLab({ api: true, pods: 0 });
  const { name } = plan.options;
  const { ok } = await kubectlOf(plan, path);
  await fairlead('lab', 'pod', 'add', 'made', '--node', 'node-2', '--name', name);
  await until('kubectl sees it', async () =>
    /made +1\/1 +Running .* 10\.244\.1\.2 +node-2/.test(await ok(['get', 'pods', '-o', 'wide'])),
  );
  await ok(['delete', 'pod', 'made', '--timeout=60s']);
  assert.deepEqual(readPods(name), []);
  await ok(['run', 'other', '--image=any']);
  await ok(['wait', '--for=condition=Ready', 'pod/other', '--timeout=60s']);
  assert.equal((await fairlead('lab', 'pod', 'rm', 'other', '--name', name)).status, 0);
  await until('kubectl sees that it is gone', async () => (await ok(['get', 'pods', '-o', 'name'])) === '');
});

test('an API that is killed and started again has lost nothing, and pods went on', {
  skip: NO_KUBECTL,
}, async () => {
  const plan = await startLab({ api: true, pods: 0 });
  const { name } = plan.options;
  const { ok } = await kubectlOf(plan, path);
  await ok(['apply', '-f', '-'], PODS);
  await ok(['create', 'configmap', 'kept', '--from-literal=a=b']);
  await ok(['wait', '--for=condition=Ready', 'pod/server', 'pod/client', '--timeout=60s']);
  const before = await ok(['get', 'cm,pods', '-o', 'jsonpath={.items[*].metadata.uid}']);
  const containers = JSON.stringify(readPods(name).map((pod) => pod.containers));
  for (const pid of apiProcesses(name)) process.kill(pid, 'SIGKILL');
  await until('it has ended', () => apiProcesses(name).length === 0);
  assert.equal(await meets(plan, 'client', 'server'), true);
  assert.equal(await startApi(plan), 'new');
  assert.equal(await startApi(plan), 'already up');
  assert.equal(await ok(['get', 'cm,pods', '-o', 'jsonpath={.items[*].metadata.uid}']), before);
  assert.equal(
    JSON.stringify(readPods(name).map((pod) => pod.containers)),
    containers,
    'nothing was started anew',
  );
  const client = readPods(name).find((pod) => pod.name === 'client')!;
  process.kill(client.containers![0]!.pid!, 'SIGKILL');
  const restarts = ['get', 'pod', 'client', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}'];
  await until('a process that ended unseen is started again', async () => (await ok(restarts)) === '1');
  await ok(['delete', 'pod', 'client', 'server', '--timeout=60s']);
});

test('nodes reach the API inside the lab; without the token nobody is served; down leaves nothing', {
  skip: NO_KUBECTL,
}, async () => {
  const plan = await startLab({ api: true, subnets: 2, pods: 0 });
  const { name } = plan.options;
  const inside = await kubectlOf(plan, path, '--inside');
  assert.match(
    readFileSync(join(labDirectory(name), 'kubeconfig1'), 'utf8'),
    /server: https:\/\/192\.168\.1\.1:6443/,
  );
  for (const { namespace } of plan.nodes) {
    const kubeconfig = join(labDirectory(name), 'kubeconfig1');
    const said = await run('nsenter', [
      `--net=${namespacePath(namespace)}`,
      inside.path,
      '--kubeconfig',
      kubeconfig,
      'get',
      'nodes',
      '-o',
      'name',
    ]);
    assert.equal(said, 'node/node-1\nnode/node-2\n');
  }
  const access = JSON.parse(readFileSync(apiPaths(name).access, 'utf8')) as { port: number };
  const stranger = kubectlAt(path, [
    '--server',
    `https://127.0.0.1:${access.port}`,
    '--insecure-skip-tls-verify',
    '--token',
    'guess',
  ]);
  assert.match((await stranger.run(['get', 'nodes'])).stderr, /Unauthorized|must be logged in/);
  await labDown(name);
  assert.deepEqual(listNamespaces(namespacePrefix(name)), []);
  assert.equal((await stranger.run(['get', 'nodes', '--request-timeout=5s'])).status, 1);
});

test('a lab without the API says how to start it', async () => {
  const plan = await startLab({ pods: 0, nodes: 1 });
  const { status, stderr } = await fairlead('lab', 'kubeconfig', '--name', plan.options.name);
  assert.equal(status, 1);
  assert.match(stderr, /has no API; run 'fairlead lab api --name/);
});
