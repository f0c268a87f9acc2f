/**
 * Policies and services: a service's address is translated before policies are asked, as kube-proxy does it, so that they
 * judge who really answers. And agents that start while the API is away.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startApi, stopApi } from '../../lab/api-start.ts';
import { clientOf } from '../../lab/client.ts';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { killAgent, startAgent } from '../../lab/nodes.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { reach } from '../agent/reach.ts';
import { until } from '../until.ts';
import { labelPods } from './api-client.ts';
import { fairlead, startLab } from './fixture.ts';

const SERVICE = { 4: '10.96.0.10', 6: 'fd00:10:96::10' } as const;
const FAMILIES = [4, 6] as const;
/** pod-1 and pod-2 are of node-1, the others of node-2. */
const plan = await startLab({ nodes: 2, pods: 2, api: true, family: 'dual' });
const client = clientOf(plan);
after(() => client[Symbol.dispose]());
const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const podOf = (name: string) => readPods(plan.options.name).find((pod) => pod.name === name)!;
const space = (name: string) => podOf(name).namespace;
const addressOf = (name: string, family: 4 | 6) =>
  String(podOf(name).ips!.find((ip) => ip.includes(':') === (family === 6))!);
const named = (app: string) => ({ podSelector: { matchLabels: { app } } });

async function create(name: string, spec: object): Promise<void> {
  const body = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name }, spec };
  await client.json({ method: 'POST', path: POLICIES, body });
}

const remove = (name: string) => client.json({ method: 'DELETE', path: `${POLICIES}/${name}` });

/** What kube-proxy writes for a service with one endpoint: translation, and the node's address for who asks itself. */
async function serve({ namespace }: LabNode, backend: string): Promise<void> {
  const [v4, v6] = [addressOf(backend, 4), addressOf(backend, 6)];
  const table = `table inet services
delete table inet services
table inet services {
  chain before {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr ${SERVICE[4]} tcp dport 80 dnat ip to ${v4}:8080
    ip6 daddr ${SERVICE[6]} tcp dport 80 dnat ip6 to [${v6}]:8080
  }
  chain behind {
    type nat hook postrouting priority srcnat - 10; policy accept;
    ct status dnat ip saddr ${v4} ip daddr ${v4} masquerade
    ct status dnat ip6 saddr ${v6} ip6 daddr ${v6} masquerade
  }
}
`;
  await run('nsenter', [`--net=${namespacePath(namespace)}`, 'nft', '-f', '-'], table);
}

async function asks(from: string, address: string, port: number): Promise<string | undefined> {
  return (await reach(space(from), 'tcp', address, port))?.name;
}

await labelPods(client, ['pod-1', 'pod-2', 'pod-3', 'pod-4']);
for (const node of plan.nodes) await serve(node, 'pod-1');

for (const family of FAMILIES) {
  test(`IPv${family}: ingress and egress policies judge who answers behind a service's address`, async () => {
    const service = SERVICE[family];
    await until('the service answers', async () => (await asks('pod-3', service, 80)) === 'pod-1');
    await create('in', {
      ...named('pod-1'),
      ingress: [{ from: [named('pod-3')], ports: [{ port: 8080 }] }],
    });
    await until('others are denied', async () => (await asks('pod-4', service, 80)) === undefined);
    assert.equal(await asks('pod-2', service, 80), undefined, 'of the same node');
    assert.equal(await asks('pod-3', service, 80), 'pod-1', 'answers are translated back and pass');
    const drops = await fairlead(
      'drops',
      '--pod',
      'pod-4',
      '--socket',
      nodePaths(plan.options.name, 'node-1').apiSocket,
    );
    assert.match(
      drops.stdout,
      /denied TCP default\/pod-4 \(.*\) → default\/pod-1 \(.*:8080\): .*default\/in/,
    );
    await remove('in');
    await until('all are let in', async () => (await asks('pod-4', service, 80)) === 'pod-1');

    await create('out', {
      ...named('pod-3'),
      policyTypes: ['Egress'],
      egress: [{ to: [named('pod-1')], ports: [{ port: 8080 }] }],
    });
    await until(
      'nothing else leaves',
      async () => (await asks('pod-3', addressOf('pod-2', family), 8080)) === undefined,
    );
    assert.equal(await asks('pod-3', service, 80), 'pod-1', 'the backend is allowed, so its service is');
    await remove('out');
    await create('out-service', {
      ...named('pod-3'),
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: family === 4 ? '10.96.0.0/16' : 'fd00:10:96::/112' } }] }],
    });
    await until(
      'nothing else leaves',
      async () => (await asks('pod-3', addressOf('pod-2', family), 8080)) === undefined,
    );
    assert.equal(await asks('pod-3', service, 80), undefined, "a service's address is nobody who answers");
    await remove('out-service');
    await until('all is let out', async () => (await asks('pod-3', service, 80)) === 'pod-1');
  });

  test(`IPv${family}: an isolated pod reaches itself by its service`, async () => {
    await create('closed', { ...named('pod-1'), policyTypes: ['Ingress', 'Egress'] });
    await until('others are denied', async () => (await asks('pod-2', SERVICE[family], 80)) === undefined);
    assert.equal(await asks('pod-1', SERVICE[family], 80), 'pod-1');
    assert.equal(await asks('pod-1', addressOf('pod-2', family), 8080), undefined);
    await remove('closed');
    await until('others are let in', async () => (await asks('pod-2', SERVICE[family], 80)) === 'pod-1');
  });
}

test('an agent that starts while the API is away drops no answer, and opens nothing', async () => {
  const node = plan.nodes[0]!;
  const [friend, foe] = [addressOf('pod-1', 4), addressOf('pod-2', 4)];
  for (const { namespace } of plan.nodes)
    await run('nsenter', [`--net=${namespacePath(namespace)}`, 'nft', 'delete', 'table', 'inet', 'services']);
  // Neither takes anything in, and one may ask the other: its answers pass by their state alone.
  await create('closed', { podSelector: {}, policyTypes: ['Ingress'] });
  await create('open', { ...named('pod-1'), ingress: [{ from: [named('pod-2')] }] });
  await until('one is denied', async () => (await asks('pod-1', foe, 8080)) === undefined);
  await until('one is allowed', async () => (await asks('pod-2', friend, 8080)) === 'pod-1');
  await stopApi(plan.options.name);
  try {
    killAgent(node);
    startAgent(plan, node);
    const status = () => askStatus(nodePaths(plan.options.name, node.name).apiSocket);
    await until('it serves', () =>
      status().then(
        ({ readiness, lastResync }) => readiness.ready && lastResync !== undefined,
        () => false,
      ),
    );
    assert.equal((await status()).policy?.synced, false, 'it knows of no policy');
    assert.equal(await asks('pod-2', friend, 8080), 'pod-1');
    assert.equal(await asks('pod-1', foe, 8080), undefined);
  } finally {
    await startApi(plan);
  }
});
