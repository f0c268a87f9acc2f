/** What policies did, told: cluster policies in tiers, staged ones, denied packets as they happen, counts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { clientOf } from '../../lab/client.ts';
import { FAIRLEAD } from '../../lab/processes.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import type { Denial } from '../../src/plan/flow/denial.ts';
import { askAgent } from '../../src/tools/status/ask.ts';
import { reach } from '../agent/reach.ts';
import { scrape } from '../agent/scrape.ts';
import { until } from '../until.ts';
import { labelPods } from './api-client.ts';
import { fairlead, startLab } from './fixture.ts';

const plan = await startLab({ nodes: 2, pods: 2, api: true });
const client = clientOf(plan);
const socket = nodePaths(plan.options.name, 'node-1').apiSocket;
const pod = (name: string) => readPods(plan.options.name).find((one) => one.name === name)!;
const address = (name: string) => pod(name).ips![0]!;
const CLUSTER = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies';
const NETWORK = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const named = (name: string) => ({ matchLabels: { app: name } });

async function create(path: string, name: string, spec: object, annotations = {}): Promise<void> {
  const [kind, apiVersion] =
    path === CLUSTER
      ? ['ClusterNetworkPolicy', 'policy.networking.k8s.io/v1alpha2']
      : ['NetworkPolicy', 'networking.k8s.io/v1'];
  await client.json({
    method: 'POST',
    path,
    body: { apiVersion, kind, metadata: { name, annotations }, spec },
  });
}
const remove = (path: string, name: string) => client.json({ method: 'DELETE', path: `${path}/${name}` });
const meets = async (from: string, to: string) =>
  (await reach(pod(from).namespace, 'tcp', address(to), 8080)) !== undefined;
const becomes = (wanted: boolean, from: string, to: string) =>
  until(
    `${from} ${wanted ? 'reaches' : 'no longer reaches'} ${to}`,
    async () => (await meets(from, to)) === wanted,
  );
const denials = async () => ((await askAgent(socket, '/drops')) as { denials: Denial[] }).denials;
const enforced = (count: number) =>
  until('the agent has it in force', async () => {
    const { policy } = (await askAgent(socket, '/status')) as { policy: { policies: number } };
    return policy.policies === count;
  });

async function packetsOf(policy: string, verdict: string): Promise<number> {
  const start = `fairlead_policy_packets_total{policy="${policy}",direction="ingress",verdict="${verdict}"}`;
  const line = (await scrape(socket, '/metrics')).body.split('\n').find((one) => one.startsWith(start));
  return Number(line?.split(' ').at(-1) ?? 0);
}

await labelPods(client, ['pod-1', 'pod-2', 'pod-3', 'pod-4']);

test('tier Admin before network policies, tier Baseline where there are none', async () => {
  const subject = { pods: { podSelector: named('pod-1') } };
  const from = (name: string) => [{ pods: { podSelector: named(name) } }];
  await create(CLUSTER, 'base', {
    tier: 'Baseline',
    priority: 5,
    subject,
    ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
  });
  await becomes(false, 'pod-3', 'pod-1');
  await create(NETWORK, 'open', { podSelector: named('pod-1'), ingress: [{}] });
  await becomes(true, 'pod-3', 'pod-1');
  await create(CLUSTER, 'guard', {
    tier: 'Admin',
    priority: 5,
    subject,
    ingress: [
      { name: 'friends', action: 'Pass', from: from('pod-2') },
      { name: 'others', action: 'Deny', from: [{ namespaces: {} }], protocols: [{ tcp: {} }] },
    ],
  });
  await becomes(false, 'pod-3', 'pod-1');
  assert.equal(await meets('pod-2', 'pod-1'), true, 'passed on to the network policy');
  const why = await fairlead('why', 'pod-3', 'pod-1', '--port', '8080', '--socket', socket);
  assert.match(
    why.stdout,
    /ingress +DENIED +cluster policy guard ingress\[1\] "others" \(tier admin\) denies it/,
  );
  assert.equal(why.status, 1);
  await remove(CLUSTER, 'guard');
  await remove(NETWORK, 'open');
  await becomes(false, 'pod-3', 'pod-1');
  await remove(CLUSTER, 'base');
  await becomes(true, 'pod-3', 'pod-1');
});

test('a denied packet is told at once, with the pods and the rule', async () => {
  await create(NETWORK, 'deny', { podSelector: named('pod-1'), policyTypes: ['Ingress'] });
  await enforced(1);
  const child = spawn(FAIRLEAD, ['drops', '-f', '--socket', socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  try {
    await becomes(false, 'pod-3', 'pod-1');
    await until('it is told', async () => {
      await meets('pod-3', 'pod-1');
      return text.includes('\n');
    });
    assert.match(
      text,
      /denied TCP default\/pod-3 \(10\.244\.1\.\d+:\d+\) → default\/pod-1 \(10\.244\.0\.\d+:8080\): pod default\/pod-1 is isolated for ingress by default\/deny, and none/,
    );
  } finally {
    child.kill();
  }
  const { stdout } = await fairlead('drops', '--pod', 'pod-3', '--socket', socket);
  assert.match(stdout, /denied TCP default\/pod-3/);
  assert.doesNotMatch((await fairlead('drops', '--pod', 'pod-4', '--socket', socket)).stdout, /denied/);
  assert.ok((await packetsOf('default/deny', 'denied')) > 0);
  await remove(NETWORK, 'deny');
  await becomes(true, 'pod-3', 'pod-1');
});

test('a hammered pod: what the kernel does not report is counted', async () => {
  await create(NETWORK, 'deny', { podSelector: named('pod-1'), policyTypes: ['Ingress'] });
  await becomes(false, 'pod-3', 'pod-1');
  const child = spawn(FAIRLEAD, ['drops', '-f', '-o', 'json', '--socket', socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  try {
    await until('losses are told', async () => {
      await Promise.all(
        Array.from({ length: 100 }, () => reach(pod('pod-3').namespace, 'udp', address('pod-1'), 8080)),
      );
      return /"unreported":\d+/.test(text);
    });
  } finally {
    child.kill();
  }
  const shown = text.split('\n').filter((line) => line.includes('"verdict"')).length;
  assert.ok(shown > 0);
  await remove(NETWORK, 'deny');
  await becomes(true, 'pod-3', 'pod-1');
});

test('a staged policy is counted and reported, and not in force', async () => {
  const staged = { 'fairlead.io/staged': 'true' };
  await create(NETWORK, 'later', { podSelector: named('pod-1'), policyTypes: ['Ingress'] }, staged);
  await enforced(1);
  const before = (await denials()).length;
  assert.equal(await meets('pod-3', 'pod-1'), true);
  await until('it is told', async () => {
    assert.equal(await meets('pod-3', 'pod-1'), true);
    return (await denials()).length > before;
  });
  const denial = (await denials()).at(-1)!;
  assert.equal(denial.staged, true);
  assert.deepEqual(denial.policies, ['default/later']);
  assert.ok((await packetsOf('default/later', 'would_deny')) > 0);
  const { stdout } = await fairlead('why', 'pod-3', 'pod-1', '--port', '8080', '--socket', socket);
  assert.match(stdout, /staged.*DENIED.*default\/later/);
  assert.match(stdout, /^Allowed/);
  await remove(NETWORK, 'later');
});
