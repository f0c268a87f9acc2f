/** What the agents of a cluster say of themselves, asked by the commands: who lags, who is silent, when all enforce it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { apiProcesses, startApi } from '../../lab/api-start.ts';
import { clientOf } from '../../lab/client.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { addPod } from '../../lab/pods.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { nodePaths } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { leasePath } from '../../src/cluster/kinds/lease.ts';
import { agentLeaseName } from '../../src/cluster/report/agent-record.ts';
import type { Member } from '../../src/cluster/report/members.ts';
import type { ClusterMembers } from '../../src/cluster/report/read-members.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { until } from '../until.ts';
import { type CliResult, fairlead, startLab } from './fixture.ts';

const plan = await startLab({ nodes: 3, subnets: 2, pods: 1, api: true });
const client = clientOf(plan);
const [first, second] = plan.nodes as [LabNode, LabNode];
const NETWORK = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';

const folder = mkdtempSync(join(tmpdir(), 'flt-'));
after(() => rmSync(folder, { recursive: true }));
const kubeconfig = join(folder, 'kubeconfig');
writeFileSync(kubeconfig, (await fairlead('lab', 'kubeconfig', '--name', plan.options.name)).stdout, {
  mode: 0o600,
});

const ask = (...args: readonly string[]): Promise<CliResult> => fairlead(...args, '--kubeconfig', kubeconfig);
const members = async () =>
  JSON.parse((await ask('status', '--cluster', '-o', 'json')).stdout) as ClusterMembers;
const member = async (node: string): Promise<Member> =>
  (await members()).nodes.find((one) => one.node === node)!;
const apply = (name: string) =>
  client.json({
    method: 'POST',
    path: NETWORK,
    body: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name },
      spec: { podSelector: { matchLabels: { app: name } }, policyTypes: ['Ingress'] },
    },
  });
const patch = (name: string, body: object) =>
  client.json({
    method: 'PATCH',
    path: `${NETWORK}/${name}`,
    contentType: 'application/merge-patch+json',
    body,
  });
/** While the agent of the node does nothing. */
async function asleep(node: LabNode, action: () => Promise<void>): Promise<void> {
  const signal = (name: 'SIGSTOP' | 'SIGCONT') =>
    agentProcesses(node.namespace).forEach((pid) => process.kill(pid, name));
  signal('SIGSTOP');
  try {
    await action();
  } finally {
    signal('SIGCONT');
  }
}
const remove = (name: string) => client.json({ method: 'DELETE', path: `${NETWORK}/${name}` });

test('the whole cluster, and one node of it', async () => {
  await until('the pods are told', async () =>
    (await members()).nodes.every(({ report }) => report?.pods === 1),
  );
  const all = await ask('status', '--cluster');
  assert.equal(all.status, 0, all.stdout + all.stderr);
  assert.match(all.stdout, /^NODE +AGENT +VERSION +RANGES +PATHS +MTU +PODS +POLICIES +LAST ERROR\n/);
  assert.match(
    all.stdout,
    /^node-1 +ready +\d+\.\d+\.\d+ +10\.244\.0\.0\/24 +1 vxlan, 1 direct +1450 +1 +current/m,
  );
  assert.match(all.stdout, /^3 of 3 nodes are well/m);
  const one = await ask('status', '--cluster', '--node', 'node-2');
  assert.match(one.stdout, /^node +node-2\nagent +ready \(last sign of life/);
  const none = await ask('status', '--cluster', '--node', 'node-9');
  assert.equal(none.status, 2);
  assert.match(none.stderr, /--node: the cluster has no node "node-9"/);
  assert.equal((await fairlead('status', '--node', 'node-1')).status, 2);
  assert.equal((await ask('status', '--cluster', '--socket', '/x')).status, 2);
});

test('a new policy is waited for; what changes nothing of a policy is no other generation', async () => {
  await apply('a');
  const waited = await ask('policy', 'status', '--wait');
  assert.equal(waited.status, 0, waited.stdout + waited.stderr);
  assert.match(waited.stdout, /^3 of 3 nodes enforce generation [0-9a-f]{8}, which the API has now/m);
  for (const { name } of plan.nodes)
    assert.equal((await askStatus(nodePaths(plan.options.name, name).apiSocket)).policy?.policies, 1);
  const { generation } = await members();
  await patch('a', { metadata: { labels: { team: 'x' }, annotations: { note: 'y' } } });
  assert.equal((await members()).generation, generation);
  assert.equal((await ask('policy', 'status')).status, 0);
  for (const change of [
    { metadata: { annotations: { 'fairlead.io/staged': 'true' } } },
    { spec: { ingress: [{}] } },
  ]) {
    const { generation: before } = await members();
    await patch('a', change);
    assert.notEqual((await members()).generation, before);
    assert.equal((await ask('policy', 'status', '--wait', '--timeout', '30')).status, 0);
  }
  await remove('a');
  assert.equal((await ask('policy', 'status', '--wait')).status, 0);
});

test('a node that lags is named, and waited for', async () => {
  let waiting: Promise<CliResult> | undefined;
  await asleep(second, async () => {
    await apply('b');
    const lagging = await ask('policy', 'status', '--wait', '--timeout', '3', '-o', 'json');
    assert.equal(lagging.status, 1);
    const { nodes } = JSON.parse(lagging.stdout) as ClusterMembers;
    assert.deepEqual(
      nodes.map(({ node, policies }) => [node, policies]),
      [
        ['node-1', 'current'],
        ['node-2', 'behind'],
        ['node-3', 'current'],
      ],
    );
    waiting = ask('policy', 'status', '--wait');
  });
  assert.equal((await waiting)?.status, 0);
  await remove('b');
});

test('an agent that is killed is silent, until it is there again', async () => {
  killAgent(second);
  await until('it is gone', () => agentProcesses(second.namespace).length === 0);
  await until('it is silent', async () => (await member(second.name)).agent === 'silent');
  const { status, stdout } = await ask('policy', 'status');
  assert.equal(status, 1);
  assert.match(stdout, /^node-2 +SILENT since \d{4}-\S+Z /m);
  const cluster = await ask('status', '--cluster');
  assert.equal(cluster.status, 1);
  assert.match(cluster.stdout, /^ {2}node-2: its agent is silent; look whether it runs/m);
  assert.match(cluster.stdout, /^2 of 3 nodes are well/m);
  startAgent(plan, second);
  await awaitAgent(plan, second);
  await until('it lives', async () => (await member(second.name)).agent === 'alive');
  assert.equal((await ask('policy', 'status', '--wait')).status, 0);
});

test('a record that is wiped is written anew; one that is garbage is named', async () => {
  const path = leasePath('kube-system', agentLeaseName(first.name));
  await asleep(first, async () => {
    await client.json({ method: 'DELETE', path });
    assert.equal((await member(first.name)).agent, 'unheard');
    assert.match((await ask('status', '--cluster')).stdout, /node-1: its agent never told how it is/);
  });
  await until('it is there again', async () => (await member(first.name)).agent === 'alive');
  await asleep(first, async () => {
    await client.json({
      method: 'PATCH',
      path,
      contentType: 'application/merge-patch+json',
      body: { metadata: { annotations: { 'fairlead.io/report': '{' } } },
    });
    const { status, stdout } = await ask('status', '--cluster');
    assert.equal(status, 1);
    assert.match(
      stdout,
      /agent lease kube-system\/fairlead-agent-node-1: metadata\.annotations: fairlead\.io\/report/,
    );
  });
  await until('it is right again', async () => (await member(first.name)).agent === 'alive');
});

test('the API is away: pods start, nothing else is wrong, and the reports go on afterwards', async () => {
  for (const pid of apiProcesses(plan.options.name)) process.kill(pid, 'SIGKILL');
  await until('it is gone', () => apiProcesses(plan.options.name).length === 0);
  await addPod(plan, 'late', first.name);
  const { apiSocket } = nodePaths(plan.options.name, first.name);
  await until('the agent says so', async () => (await askStatus(apiSocket)).problems.length > 0);
  const { problems, readiness } = await askStatus(apiSocket);
  assert.equal(readiness.ready, true);
  for (const problem of problems) assert.match(problem, /^objects of kind \w+ are not up to date since/);
  const failed = await ask('status', '--cluster');
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /ECONNREFUSED.*look whether the API server runs/);
  await startApi(plan);
  await until('the new pod is told', async () => (await member(first.name)).report?.pods === 2);
  await until('all is well', async () => (await ask('status', '--cluster')).status === 0);
});
