/** Pods by containerd, through the CRI as a kubelet speaks it. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { networkConfiguration } from '../../lab/pods.ts';
import { agentProcesses, FAIRLEAD } from '../../lab/processes.ts';
import { callPlugin } from '../../lab/runtime.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { startContainerd, writeNetworkList } from './containerd.ts';
import type { Sandbox } from './cri.ts';
import { cannotRun } from './host.ts';
import { FETCH, fetchPage, IMAGE, PAGE } from './image.ts';
import { pluginToWait } from './plugin.ts';
import { openWorkplace } from './workplace.ts';

const reason = await cannotRun('containerd', 'ctr', 'runc', 'busybox', 'loopback');

describe('containerd', { skip: reason ?? false }, async () => {
  if (reason !== undefined) return;
  const plan = await startLab({ nodes: 1, pods: 1 });
  const node = plan.nodes[0]!;
  const other = readPods(plan.options.name)[0]!;
  const place = await openWorkplace('containerd');
  after(() => place.clear());
  writeNetworkList(plan, node, place);
  const runtime = await startContainerd(node, place);
  const { cri } = runtime;
  const sleeper = { image: IMAGE, command: ['/bin/sleep', '100000'] };
  let count = 0;

  const inNode = (...command: string[]) =>
    run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
  const ask = () => askStatus(nodePaths(plan.options.name, node.name).apiSocket);
  /** Pods on the node beside the lab's own one. */
  const attached = async () =>
    (await ask()).attachments.filter(({ containerId }) => containerId !== other.containerId);
  const sandbox = async (more: Partial<Sandbox> = {}) => {
    const config = { name: `pod-${++count}`, ...more };
    const id = await runtime.run(config);
    const [ip] = await cri.sandboxIps(id);
    return {
      id,
      ip: ip!,
      container: (name: string, command: readonly string[] = sleeper.command) =>
        cri.runContainer(id, config, { ...sleeper, name, command }),
      end: async () => {
        await cri.stopSandbox(id);
        await cri.removeSandbox(id);
      },
    };
  };

  test('a sandbox has an address of the node, which its containers share and others reach', async () => {
    const pod = await sandbox();
    assert.match(pod.ip, /^10\.244\.0\./);
    const [one, two] = [await pod.container('one'), await pod.container('two')];
    const addresses = async (id: string) => cri.exec(id, '/bin/ip', '-o', '-4', 'addr', 'show', 'eth0');
    assert.equal(await addresses(one), await addresses(two));
    assert.match(await addresses(one), new RegExp(`inet ${pod.ip.replaceAll('.', '\\.')}/32`));
    await pod.container('server', ['/bin/httpd', '-f', '-p', '80', '-h', '/www']);
    const ask80 = async () => cri.exec(two, '/bin/sh', '-c', FETCH, pod.ip, '80');
    await until('a container reaches the other', () =>
      ask80().then(
        (text) => text.endsWith(PAGE),
        () => false,
      ),
    );
    assert.equal((await attached()).length, 1);
    assert.deepEqual((await attached())[0]!.pod, { namespace: 'default', name: `pod-${count}` });
    await cri.stopSandbox(pod.id);
    assert.deepEqual(await attached(), []);
    await pod.end();
  });

  test('a sandbox outlives a restart of the runtime, and ends after it', async () => {
    const pod = await sandbox();
    await runtime.kill();
    await runtime.start();
    assert.deepEqual(await cri.sandboxIps(pod.id), [pod.ip]);
    await pod.end();
    assert.deepEqual(await attached(), []);
  });

  test('a restart of the agent between ADD and DEL changes nothing', async () => {
    const pod = await sandbox();
    killAgent(node);
    startAgent(plan, node);
    await awaitAgent(plan, node);
    assert.deepEqual(
      (await attached()).flatMap(({ ips }) => ips),
      [pod.ip],
    );
    await pod.end();
    assert.deepEqual(await attached(), []);
  });

  test('a sandbox that ends without the agent is let go when the agent is back', async () => {
    const pod = await sandbox();
    killAgent(node);
    await pod.end();
    // As after a removal: what the runtime has ended stands in no cleanup's way, what it has not does.
    const { configuration } = nodePaths(plan.options.name, node.name);
    const script = '"$0" cleanup --config "$1" 2>&1 || true';
    assert.match(await inNode('sh', '-c', script, FAIRLEAD, configuration), /1 pods are attached/);
    startAgent(plan, node);
    await awaitAgent(plan, node);
    assert.deepEqual(await attached(), []);
  });

  test('a sandbox cannot start without the agent, and starts when it is there', async () => {
    killAgent(node);
    await assert.rejects(sandbox(), /agent/);
    startAgent(plan, node);
    await awaitAgent(plan, node);
    await (await sandbox()).end();
    assert.deepEqual(await attached(), []);
  });

  test('a runtime that is killed in the midst of an ADD: what it does not know of, GC lets go', async () => {
    const [agent] = agentProcesses(node.namespace);
    process.kill(agent!, 'SIGSTOP');
    const lost = sandbox().catch(() => undefined);
    await pluginToWait(place);
    await runtime.kill();
    process.kill(agent!, 'SIGCONT');
    await lost;
    await until('the ADD has ended', async () => (await attached()).length === 1);
    const [left] = await attached();
    await runtime.start();
    const pod = await sandbox();
    const known = [
      { containerID: pod.id, ifname: 'eth0' },
      { containerID: other.containerId, ifname: 'eth0' },
    ];
    const collected = await callPlugin({
      command: 'GC',
      configuration: networkConfiguration(plan, node.name, { 'cni.dev/valid-attachments': known }),
    });
    assert.deepEqual(collected, { exitCode: 0, stdout: '' });
    assert.deepEqual(
      (await attached()).flatMap(({ ips }) => ips),
      [pod.ip],
    );
    await pod.end();
    await until(
      'its interface is gone',
      async () => !(await inNode('ip', '-br', 'link')).includes(left!.interface),
    );
  });

  test('hostPort through its capability', async () => {
    const pod = await sandbox({ ports: [{ protocol: 'tcp', hostPort: 9080, containerPort: 80 }] });
    await pod.container('server', ['/bin/httpd', '-f', '-p', '80', '-h', '/www']);
    await until('the port leads to the pod', async () =>
      (await fetchPage(plan.world.namespace, node.address, 9080)).endsWith(PAGE),
    );
    await pod.end();
    assert.doesNotMatch(await inNode('nft', 'list', 'map', 'inet', 'fairlead', 'hostports4'), /9080/);
  });

  test('bandwidth through its capability', async () => {
    const pod = await sandbox({
      annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '5M' },
    });
    const link = (await attached())[0]!.interface;
    assert.match(await inNode('tc', 'qdisc', 'show', 'dev', link), /tbf .*rate 10Mbit/);
    await pod.end();
  });
});
