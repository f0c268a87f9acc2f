/** kubectl as a newcomer uses it who has not read what the lab's API is for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPods } from '../../../lab/state.ts';
import { until } from '../../until.ts';
import { startLab } from '../fixture.ts';
import { serveApi } from './fixture.ts';
import { kubectlAt, kubectlOf, kubectls, NO_KUBECTL } from './kubectl.ts';

const path = kubectls()[0] ?? 'kubectl';

const map = (name: string, data: string) =>
  `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}","labels":{"app":"p"}},"data":{"x":"${data}"}}`;

test('logs: the last lines, so many bytes, followed to the end of the container; what they lack is said', {
  skip: NO_KUBECTL,
}, async () => {
  const plan = await startLab({ api: true, pods: 1 });
  const { ok, run, follow } = await kubectlOf(plan, path);
  const script = 'for i in 1 2 3; do echo line $i; done; read x < /dev/zero & sleep 2; echo end';
  await ok(['run', 'talker', '--image=any', '--restart=Never', '--command', '--', 'sh', '-c', script]);
  await until('it has begun', async () => (await run(['logs', 'talker'])).stdout.includes('line 3'));
  const { lines, stop } = follow(['logs', '-f', 'talker', '--tail=1']);
  assert.equal(await ok(['logs', 'talker', '--tail=2']), 'line 2\nline 3\n');
  assert.equal(await ok(['logs', 'talker', '--tail=0']), '');
  assert.equal(await ok(['logs', 'talker', '--limit-bytes=6']), 'line 1');
  await until('the follower saw the end', () => lines.includes('end'));
  assert.deepEqual(lines, ['line 3', 'end']);
  stop();
  assert.equal(await ok(['logs', 'talker', '-f']), 'line 1\nline 2\nline 3\nend\n', 'it has ended already');
  assert.equal(await ok(['logs', 'pod-1']), '', "the lab's own pod has written nothing");
  for (const [args, expected] of [
    [['talker', '--previous'], /previous terminated container "talker".*one log for all starts/],
    [['talker', '--timestamps'], /timestamps: logs of the lab have no times; leave it out/],
    [['talker', '--since=1m'], /sinceSeconds: logs of the lab have no times/],
    [['talker', '-c', 'other'], /container other is not valid for pod talker/],
    [['nobody'], /pods "nobody" not found/],
  ] as const) {
    const { status, stderr } = await run(['logs', ...args]);
    assert.equal(status, 1);
    assert.match(stderr, expected);
  }
});

test('cordon, drain and uncordon a node; a node whose record is deleted comes back', {
  skip: NO_KUBECTL,
}, async () => {
  const plan = await startLab({ api: true, pods: 1 });
  const { ok, run } = await kubectlOf(plan, path);
  await until('its pod is known', async () =>
    (await ok(['get', 'pods', '-o', 'name'])).includes('pod/pod-1'),
  );
  assert.match(await ok(['drain', 'node-1', '--force', '--timeout=60s']), /node\/node-1 drained/);
  assert.deepEqual(
    readPods(plan.options.name).map(({ name }) => name),
    ['pod-2'],
  );
  await ok(['run', 'next', '--image=any']);
  await ok(['wait', '--for=condition=Ready', 'pod/next', '--timeout=60s']);
  assert.equal(await ok(['get', 'pod', 'next', '-o', 'jsonpath={.spec.nodeName}']), 'node-2');
  assert.match(await ok(['uncordon', 'node-1']), /uncordoned/);
  await ok(['delete', 'node', 'node-1']);
  await until('the node registers anew', async () =>
    / Ready /.test((await run(['get', 'nodes', 'node-1'])).stdout),
  );
});

test('what the lab has not is refused in words, and kubectl does not crash over it', {
  skip: NO_KUBECTL,
}, async () => {
  const { url } = await serveApi();
  const { ok, run } = kubectlAt(path, ['--server', url]);
  await ok(['run', 'web', '--image=any']);
  await ok(['apply', '-f', '-'], '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"}}');
  for (const [args, expected] of [
    [['exec', 'web', '--', 'ls'], /not have a host assigned|pods have no exec/],
    [['attach', 'web'], /pods have no attach/],
    [['port-forward', 'web', '8080:80'], /not running|pods have no portforward/],
    [['top', 'nodes'], /Metrics API not available/],
    [['top', 'pods'], /Metrics API not available/],
    [['rollout', 'status', 'deployment/web'], /doesn't have a resource type "deployment"/],
    [['rollout', 'restart', 'pod/web'], /restarting is not supported/],
    [['create', 'deployment', 'web', '--image=x'], /apis\/apps\/v1.* is not served by the lab/],
    [['scale', '--replicas=2', 'deployment/web'], /doesn't have a resource type "deployment"/],
    [['create', 'serviceaccount', 'x'], /namespaces have no serviceaccounts/],
    [['auth', 'can-i', 'list', 'pods'], /is not served by the lab/],
    [['debug', 'web', '--image=x'], /ephemeral containers are disabled|pods have no ephemeralcontainers/],
  ] as const) {
    const { status, stderr } = await run(args);
    assert.equal(status, 1, args.join(' '));
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /panic|goroutine/);
  }
});

test('prune, an edit that is refused, an object that is too large, and a change by two', {
  skip: NO_KUBECTL,
}, async () => {
  const { url } = await serveApi();
  const { ok, run } = kubectlAt(path, ['--server', url]);
  await ok(
    ['apply', '-f', '-'],
    `{"apiVersion":"v1","kind":"List","items":[${map('a', '1')},${map('b', '1')}]}`,
  );
  const prune = ['apply', '-f', '-', '--prune', '-l', 'app=p', '--prune-allowlist=core/v1/ConfigMap'];
  assert.match(await ok(prune, map('a', '1')), /configmap\/b pruned/);
  const edit = (program: string) => run(['edit', 'cm', 'a'], '', { KUBE_EDITOR: program });
  assert.notEqual((await edit('sed -i s/^kind:/kid:/')).status, 0);
  assert.notEqual((await edit('false')).status, 0);
  assert.equal((await edit(`sed -i 's/x: "1"/x: "2"/'`)).status, 0);
  assert.equal(await ok(['get', 'cm', 'a', '-o', 'jsonpath={.data.x}']), '2');
  const large = await run(['create', '-f', '-'], map('large', 'x'.repeat(4 << 20)));
  assert.equal(large.status, 1);
  assert.match(large.stderr, /Request entity too large/i);
  const stale = '{"metadata":{"resourceVersion":"1"},"data":{"x":"3"}}';
  assert.match((await run(['patch', 'cm', 'a', '--type=merge', '-p', stale])).stderr, /Conflict|modified/);
  const later = await ok(['get', 'cm', 'a', '-o', 'json']);
  await ok(['patch', 'cm', 'a', '-p', '{"data":{"x":"4"}}']);
  assert.match((await run(['replace', '-f', '-'], later)).stderr, /the object has been modified/);
  assert.equal(await ok(['get', 'cm', 'a', '-o', 'jsonpath={.data.x}']), '4');
});
