/** Services through real agents: what their API says is what packets from pods, nodes and outside meet. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { clientOf } from '../../lab/client.ts';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { type ProbeOutcome, probe, type Target } from '../../lab/prober.ts';
import { nodePaths } from '../../lab/state.ts';
import type { Host } from '../../lab/verify/ask.ts';
import { viewLab } from '../../lab/verify/view.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { fairlead, startLab } from '../lab/fixture.ts';
import { pause, until } from '../until.ts';

const plan = await startLab({ nodes: 2, pods: 2, api: true, services: true });
const client = clientOf(plan);
const { pods, nodes, world } = viewLab(plan);
const [one, two] = plan.nodes as [(typeof plan.nodes)[0], (typeof plan.nodes)[0]];
const of = (node: string) => pods.filter((pod) => pod.node === node);
const [caller, near] = of(one.name) as readonly Host[] as [Host, Host];
const [far] = of(two.name) as readonly Host[] as [Host];
const [nodeOne] = nodes as readonly Host[] as [Host];
const CLUSTER_IP = '10.96.7.7';
const NODE_PORT = 30_080;
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';

const inNode = (...command: string[]) =>
  run('nsenter', [`--net=${namespacePath(one.namespace)}`, '--', ...command]);
const status = () => askStatus(nodePaths(plan.options.name, one.name).apiSocket);

async function endpoints(...ips: readonly string[]): Promise<void> {
  const body = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-own', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: ['TCP', 'UDP'].map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: 8080 })),
    endpoints: ips.map((ip) => ({
      addresses: [ip],
      conditions: { ready: true },
      nodeName: pods.find(({ address }) => address === ip)?.node,
    })),
  };
  await client.json({ method: 'DELETE', path: `${SLICES}/web-own` }).catch(() => undefined);
  await client.json({ method: 'POST', path: SLICES, body });
}

/** Endpoints of the service, by what the node says of all; the API has one of its own. */
async function served(): Promise<number> {
  const { stdout } = await fairlead(
    'services',
    'web',
    '--socket',
    nodePaths(plan.options.name, one.name).apiSocket,
  );
  return stdout.match(/→ .* used$/gm)?.length ?? 0;
}

async function ask(
  from: Host,
  address: string,
  port: number,
  protocol: Target['protocol'] = 'tcp',
): Promise<ProbeOutcome> {
  const [outcome] = await probe(from.namespace, [
    { id: 0, protocol, address, port, size: 32, timeoutMs: 2000 },
  ]);
  return outcome!;
}

/** Who answers, and whom it saw. */
async function seen(...args: Parameters<typeof ask>): Promise<string> {
  const { ok, answer, error } = await ask(...args);
  return ok ? `${answer?.name} saw ${answer?.sawSource}` : (error ?? 'no answer');
}

test('a ClusterIP is reached from pods, the node and by a NodePort from outside', async () => {
  await client.json({
    method: 'POST',
    path: '/api/v1/namespaces/default/services',
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: {
        type: 'NodePort',
        clusterIP: CLUSTER_IP,
        ports: [
          { name: 'tcp', protocol: 'TCP', port: 80, nodePort: NODE_PORT },
          { name: 'udp', protocol: 'UDP', port: 80, nodePort: NODE_PORT },
        ],
      },
    },
  });
  await until('a service without endpoints is refused', async () =>
    /refused/i.test(await seen(caller, CLUSTER_IP, 80)),
  );
  await endpoints(near.address, far.address);
  await until('both serve', async () => (await served()) === 4);
  assert.equal((await ask(caller, CLUSTER_IP, 80)).ok, true);
  await endpoints(far.address);
  await until('one endpoint is left of each port', async () => (await served()) === 2);
  const from = `${far.name} saw ${caller.address}`;
  await until('the other node’s alone', async () => (await seen(caller, CLUSTER_IP, 80)) === from);
  assert.equal(await seen(caller, CLUSTER_IP, 80, 'udp'), from, 'a pod keeps its address');
  assert.match(await seen(nodeOne, CLUSTER_IP, 80), new RegExp(`^${far.name} saw `));
  assert.equal(await seen(world, nodeOne.address, NODE_PORT), `${far.name} saw ${nodeOne.address}`);
  const health = await inNode('curl', '-s', `http://${one.addresses[0]}:10256/healthz`);
  assert.match(health, /"lastUpdated".*"nodeEligible":true,"healthy":true/);
  const { services, problems } = await status();
  assert.equal(services.serving, true);
  assert.deepEqual(problems, []);
});

test('a service is told in words, by the node that serves it', async () => {
  const { apiSocket } = nodePaths(plan.options.name, one.name);
  const { stdout, status: code } = await fairlead('services', 'web', '--socket', apiSocket);
  assert.equal(code, 0);
  assert.match(stdout, /^default\/web\n {2}tcp 80\/TCP over IPv4\n {4}10\.96\.7\.7:80 /);
  assert.ok(stdout.includes(`→ ${far.address}:8080  elsewhere  used`), stdout);
  const missing = await fairlead('services', 'none', '--socket', apiSocket);
  assert.match(missing.stderr, /no service default\/none/);
});

test('a UDP flow to an endpoint that is gone is cut, so that its next packet is led anew', async () => {
  assert.equal((await ask(caller, CLUSTER_IP, 80, 'udp')).ok, true);
  const cut = (await status()).services.flowsCut;
  await endpoints(near.address);
  await until('it is cut', async () => (await status()).services.flowsCut > cut);
  await endpoints(far.address);
  await until('led as before', async () => (await seen(caller, CLUSTER_IP, 80, 'udp')).startsWith(far.name));
});

test('an agent that starts again finds its table as it shall be, and writes nothing', async () => {
  const listing = () =>
    inNode('nft', '-a', 'list', 'ruleset').then((text) => text.match(/inet fairlead-services.*/g));
  // An agent that is killed amid a change leaves a table that is not as it shall be.
  await until('all that was said is written', async () => {
    const { writtenAt } = (await status()).services;
    await pause(300);
    return (await status()).services.writtenAt === writtenAt;
  });
  const before = await listing();
  killAgent(one);
  assert.equal((await ask(caller, CLUSTER_IP, 80)).ok, true, 'without an agent');
  startAgent(plan, one);
  await awaitAgent(plan, one);
  await until('it serves', async () => (await status()).services.serving);
  assert.deepEqual(await listing(), before);
  assert.equal((await status()).services.writtenAt, undefined);
  await endpoints(near.address);
  await until('and what changes then is written', async () =>
    (await seen(caller, CLUSTER_IP, 80)).startsWith(near.name),
  );
});

test('what others destroy is put right', async () => {
  await inNode('sh', '-c', 'for t in a b; do nft delete table inet fairlead-services-$t; done; true');
  await until('it answers again', async () => (await ask(caller, CLUSTER_IP, 80)).ok);
});

test('services.mode off takes the tables away, auto gives way to kube-proxy, and comes back when that goes', async () => {
  const { configuration } = nodePaths(plan.options.name, one.name);
  const text = readFileSync(configuration, 'utf8');
  const mode = (word: string) => writeFileSync(configuration, text.replace('mode: on', `mode: ${word}`));
  const tables = () => inNode('nft', 'list', 'tables');
  mode('off');
  await until('they are gone', async () => !(await tables()).includes('fairlead-services'));
  assert.equal((await status()).services.why, 'services.mode is off');
  await inNode('nft', 'add table ip kube-proxy; add chain ip kube-proxy services');
  mode('auto');
  await until('it is named', async () => /table ip kube-proxy/.test((await status()).services.why ?? ''));
  assert.doesNotMatch(await tables(), /fairlead-services/);
  await inNode('nft', 'delete', 'table', 'ip', 'kube-proxy');
  await until('it serves', async () => (await ask(caller, CLUSTER_IP, 80)).ok);
  mode('on');
});
