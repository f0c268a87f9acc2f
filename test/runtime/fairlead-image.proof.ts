/**
 * The image that `npm run image` writes, run by containerd as a kubelet runs the manifest's DaemonSet: its agent serves a
 * node, with the capabilities and mounts that the manifest has and nothing more.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { INSIDE_PORT, readAccess } from '../../lab/api-access.ts';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { killAgent } from '../../lab/nodes.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import { chartValues, renderChart } from '../../src/tools/chart/chart.ts';
import { buildImage } from '../../src/tools/image/build.ts';
import { platformOf } from '../../src/tools/image/platform.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { agentPod, type Container, manifestsOf, ofKind } from '../deploy/manifest.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { startContainerd } from './containerd.ts';
import type { ContainerSpec } from './cri.ts';
import { cannotRun } from './host.ts';
import { fetchPage, IMAGE, PAGE } from './image.ts';
import { openWorkplace } from './workplace.ts';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const CONFIGURATION = '/etc/fairlead/fairlead.yaml';

const reason = await cannotRun('containerd', 'ctr', 'runc', 'busybox', 'loopback');

describe('the image', { skip: reason ?? false }, async () => {
  if (reason !== undefined) return;
  const plan = await startLab({ nodes: 2, pods: 1, api: true });
  const node = plan.nodes[0]!;
  const paths = nodePaths(plan.options.name, node.name);
  const remote = readPods(plan.options.name).find((pod) => pod.node !== node.name);
  const place = await openWorkplace('image');
  after(() => place.clear());
  const at = (name: string) => join(place.path, name);
  const plugin = join(place.plugins, 'fairlead-cni');
  const list = join(place.networks, '10-fairlead.conflist');
  // The lab's plugin and agent make place for the image's.
  rmSync(plugin);
  killAgent(node);
  const inNode = (...command: string[]) =>
    run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
  await inNode('sysctl', '-q', '-w', 'net.ipv4.ip_forward=0');

  // Where this containerd mounts namespaces of pods, as /run/netns of a whole node: shared, so that mounts travel.
  const namespaces = at('state/io.containerd.grpc.v1.cri/netns');
  mkdirSync(namespaces, { recursive: true });
  execFileSync('mount', ['--bind', namespaces, namespaces]);
  execFileSync('mount', ['--make-shared', namespaces]);

  const values = {
    ...chartValues(),
    configuration: {
      ...(chartValues()['configuration'] as object),
      paths: {
        socketDirectory: paths.sockets,
        stateDirectory: paths.state,
        sysctlDirectory: '/host/proc/sys',
      },
      cni: { binDirectory: place.plugins, confDirectory: place.networks },
      log: { format: 'text' },
    },
  };
  const manifests = manifestsOf(renderChart(values, 'kube-system'));
  const pod = agentPod(manifests);
  mkdirSync(at('configuration'));
  writeFileSync(at('configuration/fairlead.yaml'), ofKind(manifests, 'ConfigMap').data!['fairlead.yaml']!);
  const access = readAccess(plan.options.name)!;
  mkdirSync(at('account'));
  writeFileSync(at('account/token'), access.agentToken);
  writeFileSync(at('account/ca.crt'), access.certificate);

  /** As a kubelet makes it of the DaemonSet. */
  const containerOf = ({ name, image, args, securityContext, volumeMounts }: Container): ContainerSpec => ({
    name,
    image,
    args,
    env: {
      NODE_NAME: node.name,
      KUBERNETES_SERVICE_HOST: plan.subnets[0]!.gateway,
      KUBERNETES_SERVICE_PORT: String(INSIDE_PORT),
    },
    mounts: [
      ...volumeMounts.map((mount) => ({
        from: pod.volumes.find((volume) => volume.name === mount.name)!.hostPath?.path ?? at('configuration'),
        to: mount.mountPath,
        readOnly: mount.readOnly === true,
        hostToContainer: mount.mountPropagation === 'HostToContainer',
      })),
      { from: at('account'), to: ACCOUNT, readOnly: true },
      { from: namespaces, to: namespaces, hostToContainer: true },
    ],
    security: {
      add: securityContext.capabilities.add ?? [],
      drop: securityContext.capabilities.drop,
      readOnlyRoot: securityContext.readOnlyRootFilesystem === true,
      noNewPrivileges: securityContext.allowPrivilegeEscalation === false,
    },
  });

  const runtime = await startContainerd(node, place);
  const { cri } = runtime;
  const host = { name: 'fairlead', namespace: 'kube-system', hostNetwork: pod.hostNetwork, logs: at('logs') };
  const hostId = await runtime.run(host);
  let attempt = 0;
  const start = (spec: ContainerSpec) =>
    cri.runContainer(hostId, host, { ...spec, name: `${spec.name}-${++attempt}` });
  /** @param spec of a container that ends by itself. @throws AssertionError with what it said, where it failed. */
  const finish = async (spec: ContainerSpec) => {
    const { exitCode } = await ended(await start(spec));
    assert.equal(exitCode, 0, readFileSync(at(`logs/${spec.name}-${attempt}.log`), 'utf8'));
  };
  const ended = async (id: string) => {
    await until('the container has ended', async () => !(await cri.containerState(id)).running);
    return cri.containerState(id);
  };
  const ready = () =>
    until('the agent of the image is ready', () =>
      askStatus(paths.apiSocket).then(
        ({ readiness }) => readiness.ready,
        () => false,
      ),
    );
  const webServer = async (name: string) => {
    const config = { name };
    const id = await runtime.run(config);
    const [ip] = await cri.sandboxIps(id);
    const command = ['/bin/httpd', '-f', '-p', '80', '-h', '/www'];
    await cri.runContainer(id, config, { name: 'server', image: IMAGE, command });
    return { id, ip: ip! };
  };
  const end = async (id: string) => {
    await cri.stopSandbox(id);
    await cri.removeSandbox(id);
  };

  let agent = '';
  let first: { id: string; ip: string } | undefined;

  test('containerd imports it, and its name is the one in the manifest', () => {
    const platform = platformOf(process.arch)!;
    const { file, reference, size } = buildImage(platform, PROJECT, join(PROJECT, 'build/image-test'), 0);
    assert.ok(size < 150e6, `${size} bytes`);
    runtime.load(file);
    assert.equal(reference, pod.containers[0]!.image);
    assert.equal(reference, pod.initContainers[0]!.image);
  });

  test('the init container installs the plugin, and no list', async () => {
    await finish(containerOf(pod.initContainers[0]!));
    assert.deepEqual(
      readFileSync(plugin),
      readFileSync(join(PROJECT, 'build/image-test/native/fairlead-cni')),
    );
    assert.equal(statSync(plugin).mode & 0o777, 0o755);
    assert.deepEqual(readdirSync(place.networks), []);
  });

  test('the agent runs on a read-only root with two capabilities, and sets what a container may only read', async () => {
    agent = await start(containerOf(pod.containers[0]!));
    await ready();
    await until('the list is there', () => existsSync(list));
    assert.equal((await inNode('sysctl', '-n', 'net.ipv4.ip_forward')).trim(), '1');
    const probe = await fetchReady();
    assert.match(probe, /200 OK[^]*ok\n$/);
  });

  test('a pod is added through the installed plugin, and pods of another node reach it', async () => {
    first = await webServer('web-1');
    assert.match(first.ip, /^10\.244\.0\./);
    await until('the other node reaches it', async () => (await page(first!.ip)).endsWith(PAGE));
  });

  test('the command line in the container, without a shell: status and doctor', async () => {
    const said = await cri.exec(agent, '/usr/bin/fairlead', 'status', '--socket', paths.apiSocket);
    assert.match(said, /pods\s+can start; 2 attached/);
    const examined = await cri.exec(agent, '/usr/bin/fairlead', 'doctor', '--config', CONFIGURATION);
    assert.match(examined, /ok {3}path to node-2.*1500 bytes pass/);
    assert.match(examined, /ok {3}network list: .*10-fairlead\.conflist/);
    await assert.rejects(cri.exec(agent, '/bin/sh', '-c', 'true'), /no such file or directory/);
  });

  test('another agent takes over: running pods, list and plugin stay as they are', async () => {
    const before = [statSync(list).ino, statSync(plugin).ino];
    await cri.stopContainer(agent);
    assert.equal((await ended(agent)).exitCode, 0);
    assert.equal(existsSync(list), true);
    assert.ok((await page(first!.ip)).endsWith(PAGE));
    await finish(containerOf(pod.initContainers[0]!));
    agent = await start(containerOf(pod.containers[0]!));
    await ready();
    assert.deepEqual([statSync(list).ino, statSync(plugin).ino], before);
    await end(first!.id);
    assert.equal((await askStatus(paths.apiSocket)).attachments.length, 1);
  });

  test('each capability of the manifest is needed', async () => {
    await cri.stopContainer(agent);
    const whole = containerOf(pod.containers[0]!);
    const without = (capability: string): ContainerSpec => ({
      ...whole,
      security: { ...whole.security!, add: whole.security!.add.filter((name) => name !== capability) },
    });
    const unable = await start(without('NET_ADMIN'));
    assert.notEqual((await ended(unable)).exitCode, 0);
    const confined = await start(without('SYS_ADMIN'));
    await ready();
    await assert.rejects(webServer('web-2'), /Operation not permitted/);
    await cri.stopContainer(confined);
    const deaf = await start(without('NET_RAW'));
    await ready();
    await assert.rejects(cri.exec(deaf, '/usr/bin/fairlead', 'doctor', '--config', CONFIGURATION));
    await cri.stopContainer(deaf);
  });

  test('cleanup in a container: nothing is left on the node', async () => {
    const spec = containerOf(pod.containers[0]!);
    await finish({ ...spec, name: 'cleanup', args: ['cleanup', '--with-pods', '--config', CONFIGURATION] });
    assert.deepEqual([existsSync(list), existsSync(plugin)], [false, false]);
    assert.deepEqual([...readdirSync(paths.sockets), ...readdirSync(paths.state)], []);
    assert.equal(await inNode('ip', 'route', 'show', 'proto', '70'), '');
    assert.doesNotMatch(await inNode('ip', '-br', 'link'), /^f[lb]/m);
    assert.doesNotMatch(await inNode('nft', 'list', 'tables'), /fairlead/);
  });

  function page(ip: string): Promise<string> {
    return fetchPage(remote!.namespace, ip, 80);
  }

  /** As a kubelet's probe, from the node itself. */
  function fetchReady(): Promise<string> {
    const request = 'printf "GET /readyz HTTP/1.0\\r\\n\\r\\n" | /usr/bin/busybox nc -w 2 127.0.0.1 9630';
    return inNode('sh', '-c', request);
  }
});
