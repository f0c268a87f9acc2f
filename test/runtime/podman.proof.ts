/** Pods by podman with its CNI backend. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { deleteNamespaces } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { nodePaths } from '../../lab/state.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { cannotRun } from './host.ts';
import { fetchPage, IMAGE, PAGE } from './image.ts';
import { pluginToWait } from './plugin.ts';
import { setUpPodman } from './podman.ts';
import { openWorkplace } from './workplace.ts';

const reason = await cannotRun('podman', 'runc', 'conmon', 'busybox');

describe('podman', { skip: reason ?? false }, async () => {
  if (reason !== undefined) return;
  const plan = await startLab({ nodes: 1, pods: 0 });
  const node = plan.nodes[0]!;
  const place = await openWorkplace('podman');
  after(() => place.clear());
  const podman = await setUpPodman(plan, node, place);
  const attached = async () =>
    (await askStatus(nodePaths(plan.options.name, node.name).apiSocket)).attachments;
  const inPlace = ['--cgroup-parent', `/${place.cgroup}`];
  const start = (options: readonly string[], ...command: readonly string[]) =>
    podman('run', '--detach', '--network', 'fairlead', ...inPlace, ...options, IMAGE, ...command);

  test('a container has an address of the node until it is removed', async () => {
    await start(['--name', 'one']);
    const [attachment] = await attached();
    assert.match(attachment!.ips[0]!, /^10\.244\.0\./);
    assert.match(
      await podman('exec', 'one', '/bin/ip', 'addr', 'show', 'eth0'),
      new RegExp(attachment!.ips[0]!),
    );
    await podman('rm', '--force', '--time', '0', 'one');
    assert.deepEqual(await attached(), []);
  });

  test('a container that is stopped and started again', async () => {
    await start(['--name', 'two']);
    await podman('stop', '--time', '0', 'two');
    assert.deepEqual(await attached(), []);
    await podman('start', 'two');
    assert.equal((await attached()).length, 1);
    await podman('rm', '--force', '--time', '0', 'two');
  });

  test('a container shares the network of another', async () => {
    await start(['--name', 'first']);
    await podman('run', '--detach', '--name', 'second', '--network', 'container:first', ...inPlace, IMAGE);
    const address = (name: string) => podman('exec', name, '/bin/ip', '-o', '-4', 'addr', 'show', 'eth0');
    assert.equal(await address('second'), await address('first'));
    assert.equal((await attached()).length, 1);
    for (const name of ['second', 'first']) await podman('rm', '--force', '--time', '0', name);
    assert.deepEqual(await attached(), []);
  });

  test('two containers of one pod share its address, which is free when the pod is gone', async () => {
    const pause = ['--infra-image', IMAGE, '--infra-command', '/bin/sleep 100000'];
    await podman('pod', 'create', '--name', 'pod', '--network', 'fairlead', ...inPlace, ...pause);
    for (const name of ['one-of-pod', 'two-of-pod'])
      await podman('run', '--detach', '--pod', 'pod', '--name', name, IMAGE);
    const address = (name: string) => podman('exec', name, '/bin/ip', '-o', '-4', 'addr', 'show', 'eth0');
    assert.match(await address('one-of-pod'), /inet 10\.244\.0\./);
    assert.equal(await address('one-of-pod'), await address('two-of-pod'));
    assert.equal((await attached()).length, 1);
    await podman('pod', 'stop', '--time', '0', 'pod');
    assert.deepEqual(await attached(), []);
    await podman('pod', 'rm', '--force', '--time', '0', 'pod');
  });

  test('podman is killed in the midst of an ADD: what it does not know of ends with its namespace', async () => {
    const [agent] = agentProcesses(node.namespace);
    process.kill(agent!, 'SIGSTOP');
    const run = start(['--name', 'lost']);
    const end = assert.rejects(run);
    await pluginToWait(place);
    process.kill(run.child.pid!, 'SIGKILL');
    await end;
    process.kill(agent!, 'SIGCONT');
    await until('the ADD has ended', async () => (await attached()).length === 1);
    await podman('rm', '--force', '--time', '0', 'lost');
    await deleteNamespaces([place.namespaces().at(-1)!]);
    await until('its address is free', async () => (await attached()).length === 0);
    await start(['--name', 'next']);
    assert.equal((await attached()).length, 1);
    await podman('rm', '--force', '--time', '0', 'next');
    assert.deepEqual(await attached(), []);
  });

  test('a restart of the agent between ADD and DEL changes nothing', async () => {
    await start(['--name', 'three']);
    const before = await attached();
    killAgent(node);
    startAgent(plan, node);
    await awaitAgent(plan, node);
    assert.deepEqual(await attached(), before);
    await podman('rm', '--force', '--time', '0', 'three');
    assert.deepEqual(await attached(), []);
  });

  test('an address and a MAC that were asked for', async () => {
    await start(['--name', 'four', '--ip', '10.244.0.77', '--mac-address', '02:42:0a:f4:00:4d']);
    assert.deepEqual((await attached())[0]!.ips, ['10.244.0.77']);
    assert.match(await podman('exec', 'four', '/bin/ip', 'link', 'show', 'eth0'), /02:42:0a:f4:00:4d/);
    await podman('rm', '--force', '--time', '0', 'four');
  });

  test('-p leads to the container', async () => {
    await start(['--name', 'five', '--publish', '9080:80'], '/bin/httpd', '-f', '-p', '80', '-h', '/www');
    await until('the port leads to the container', async () =>
      (await fetchPage(plan.world.namespace, node.address, 9080)).endsWith(PAGE),
    );
    await podman('rm', '--force', '--time', '0', 'five');
    assert.deepEqual(await attached(), []);
  });
});
