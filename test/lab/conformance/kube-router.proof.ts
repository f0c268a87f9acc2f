/** The policy cases of kube-router's end-to-end suite by name, on real packets in both families; what its sets and chains are is our table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespacePath, run } from '../../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../../lab/nodes.ts';
import { applyManifests } from '../../../lab/policytest/objects.ts';
import { probe, wasLetThrough } from '../../../lab/prober.ts';
import { readPods } from '../../../lab/state.ts';
import { until } from '../../until.ts';
import { inNamespace, ns, pod, podOf, policy, startWorld } from './world.ts';

const { plan, client, put, remove, check, inForce, labelPod, labelNamespace, addressOf } = await startWorld();
const inX = inNamespace('x');
const inY = inNamespace('y');
const [node] = plan.nodes;
const nodeOf = (name: string) => plan.nodes.find((one) => one.name === recordOf(name).node)!;
const port = (number: number | string, more = {}) => ({ port: number, protocol: 'TCP', ...more });
const both = ['TCP 80', 'TCP 81'] as const;
const block = (cidr: string, except?: string[]) => ({
  ipBlock: { cidr, ...(except === undefined ? {} : { except }) },
});
const CLUSTER = ['10.244.0.0/16', 'fd00:10:244::/48'] as const;
const exceptOf = (name: string) => [
  block(CLUSTER[0], [`${addressOf(name)}/32`]),
  block(CLUSTER[1], [`${addressOf(name, 6)}/128`]),
];
const hostOf = (name: string) => [block(`${addressOf(name)}/32`), block(`${addressOf(name, 6)}/128`)];

function recordOf(name: string) {
  return readPods(plan.options.name).find((one) => one.name === name)!;
}

/** The table of a node; empty where it has none. */
function tableOf(namespace: string): Promise<string> {
  const list = ['nft', '--stateless', 'list', 'table', 'inet', 'fairlead-policy'];
  return run('nsenter', [`--net=${namespacePath(namespace)}`, ...list]).catch(() => '');
}

const create = (value: object) => applyManifests(client, [{ at: 'the case', value: value as never }]);
const ingressTo = (name: string, ...rules: object[]) =>
  policy('x', 'p', { podSelector: pod(name), ingress: rules });
const egressOf = (name: string, ...rules: object[]) =>
  policy('x', 'p', { podSelector: pod(name), egress: rules });

test('programs REJECT rules for pod CIDRs in the filter table: ours drops what no policy lets through, in a table of its own', async () => {
  await put(ingressTo('a'));
  await inForce();
  const table = await tableOf(nodeOf('x/a').namespace);
  assert.match(table, /hook forward/);
  assert.match(table, /counter name "ingress-deny-[0-9a-f]+" drop/);
});

test('maintains the kube-router-local-pods set on every kube-router node: each node knows its isolated pods', async () => {
  await put(policy('x', 'p', { ingress: [] }));
  await inForce();
  for (const name of ['x/a', 'x/b', 'x/c']) {
    for (const { namespace, name: own } of plan.nodes) {
      const knows = (await tableOf(namespace)).includes(`${addressOf(name)} : jump`);
      assert.equal(knows, own === recordOf(name).node, `${own} and ${name}`);
    }
  }
});

test("adds a running pod's IP to kube-router-local-pods after its firewall chain is programmed: in one transaction", async () => {
  await put(policy('x', 'p', { ingress: [] }));
  await inForce();
  const table = await tableOf(nodeOf('x/a').namespace);
  const chain = new RegExp(`${addressOf('x/a').replaceAll('.', '\\.')} : jump (\\S+?)[,\\s]`).exec(
    table,
  )?.[1];
  assert.ok(table.includes(`chain ${chain} {`));
});

test('allows traffic between established pods when no NetworkPolicy is applied', () =>
  check({ ports: both }));

test('allows traffic when an explicit allow NetworkPolicy is present', async () => {
  await put(ingressTo('a', {}));
  await check({ ports: both });
});

test('enforces a deny-all-ingress NetworkPolicy', async () => {
  await put(policy('x', 'p', { ingress: [] }));
  await check({ denied: (_, to) => inX(to) });
});

test('enforces a deny-all-egress NetworkPolicy', async () => {
  await put(policy('x', 'p', { egress: [] }));
  await check({ denied: (from) => inX(from) });
});

test('restores connectivity after a deny NetworkPolicy is removed', async () => {
  await put(policy('x', 'p', { ingress: [] }));
  await check({ denied: (_, to) => inX(to) });
  await remove('x', 'p');
  await check();
});

test('makes a new pod reachable only after its IP is added to kube-router-local-pods: a new pod is never open', async () => {
  await put(policy('x', 'p', { podSelector: { matchLabels: { app: 'new' } }, ingress: [] }));
  await inForce();
  await create(podOf('x', 'new', { app: 'new' }));
  let record = recordOf('x/new');
  await until('it has an address', () => (record = recordOf('x/new'))?.ips !== undefined);
  const targets = record.ips!.map((address, id) => ({
    id,
    protocol: 'tcp' as const,
    address,
    port: 8080,
    size: 0,
    timeoutMs: 300,
  }));
  const outcomes = await probe(recordOf('y/a').namespace, targets);
  assert.deepEqual(
    outcomes.map((outcome) => wasLetThrough(targets[0]!, outcome)),
    [false, false],
  );
});

test('keeps an established pod reachable across a kube-router sync cycle: whole resyncs drop nothing', async () => {
  await put(ingressTo('a', { from: [{ namespaceSelector: ns('y') }] }));
  await inForce();
  const { namespace } = nodeOf('x/a');
  for (let round = 0; round < 5; round++) {
    // A foreign change makes the agent look at everything.
    await run('nsenter', [
      `--net=${namespacePath(namespace)}`,
      'nft',
      'add',
      'table',
      'inet',
      `other${round}`,
    ]);
    await check({ to: ['x/a'], denied: (from) => !inY(from) });
    await run('nsenter', [
      `--net=${namespacePath(namespace)}`,
      'nft',
      'delete',
      'table',
      'inet',
      `other${round}`,
    ]);
  }
});

test('reclaims per-pod and per-policy chains across repeated pod/policy churn', async () => {
  await put(ingressTo('a', { ports: [port(80)] }));
  await inForce();
  const lines = async () => (await tableOf(nodeOf('x/a').namespace)).split('\n').toSorted().join('\n');
  const before = await lines();
  for (let round = 0; round < 5; round++) {
    await put(
      policy('x', `churn-${round}`, { podSelector: pod('a'), ingress: [{ ports: [port(1000 + round)] }] }),
    );
    await create(podOf('x', `churn-${round}`, { pod: 'a' }));
    await inForce();
    await remove('x', `churn-${round}`);
    await client.json({ method: 'DELETE', path: `/api/v1/namespaces/x/pods/churn-${round}` });
  }
  await until('nothing is left of it', async () => (await lines()) === before);
});

test('blocks non-matching inbound traffic when an ingress PolicyType is applied', async () => {
  await put(ingressTo('a', { from: [{ podSelector: pod('b') }] }));
  await check({ denied: (from, to) => to === 'x/a' && from !== 'x/b' });
});

test('blocks non-matching outbound traffic when an egress PolicyType is applied', async () => {
  await put(egressOf('a', { to: [{ podSelector: pod('b') }] }));
  await check({ denied: (from, to) => from === 'x/a' && to !== 'x/b' });
});

test('allows all traffic for pods not selected by any policy', async () => {
  await put(
    policy('x', 'p', { podSelector: { matchLabels: { nobody: 'has it' } }, ingress: [], egress: [] }),
  );
  await check({ ports: both });
});

test('allows traffic from a matching podSelector and blocks non-matching pods', async () => {
  await put(ingressTo('a', { from: [{ podSelector: pod('c') }] }));
  await check({ denied: (from, to) => to === 'x/a' && from !== 'x/c' });
});

test('allows traffic from a matching namespaceSelector and blocks other namespaces', async () => {
  await put(ingressTo('a', { from: [{ namespaceSelector: ns('y') }] }));
  await check({ denied: (from, to) => to === 'x/a' && !inY(from) });
});

test('requires both namespaceSelector AND podSelector to match (AND semantics)', async () => {
  await put(ingressTo('a', { from: [{ namespaceSelector: ns('y'), podSelector: pod('b') }] }));
  await check({ denied: (from, to) => to === 'x/a' && from !== 'y/b' });
});

test('allows traffic from IPs inside an ipBlock CIDR', async () => {
  await put(ingressTo('a', { from: hostOf('y/b') }));
  await check({ denied: (from, to) => to === 'x/a' && from !== 'y/b' });
});

test('blocks traffic from IPs listed in the ipBlock Except field', async () => {
  await put(ingressTo('a', { from: exceptOf('y/b') }));
  await check({ denied: (from, to) => to === 'x/a' && from === 'y/b' });
});

test('allows only the specified TCP port and blocks other ports', async () => {
  await put(ingressTo('a', { ports: [port(80)] }));
  await check({ ports: both, denied: (_, to, number) => to === 'x/a' && number !== 80 });
});

test('allows traffic within a port range and blocks ports outside the range', async () => {
  await put(ingressTo('a', { ports: [port(80, { endPort: 81 })] }));
  await check({ ports: [...both, 'TCP 8080'], denied: (_, to, number) => to === 'x/a' && number === 8080 });
});

test('resolves a named port and allows traffic to it', async () => {
  await put(ingressTo('a', { ports: [port('serve-81-tcp')] }));
  await check({ ports: both, denied: (_, to, number) => to === 'x/a' && number !== 81 });
});

test('allows all inbound traffic when ingress rule list contains an empty rule', async () => {
  await put(ingressTo('a', { ports: [port(80)] }, {}));
  await check({ ports: [...both, 'UDP 80'] });
});

test('allows all ports of the protocol when a NetworkPolicyPort specifies only a protocol', async () => {
  await put(ingressTo('a', { ports: [{ protocol: 'UDP' }] }));
  await check({
    ports: ['UDP 80', 'UDP 81', 'TCP 80'],
    denied: (_, to, __, protocol) => to === 'x/a' && protocol === 'TCP',
  });
});

test('allows egress to a matching podSelector and blocks non-matching pods', async () => {
  await put(egressOf('a', { to: [{ podSelector: pod('c') }] }));
  await check({ denied: (from, to) => from === 'x/a' && to !== 'x/c' });
});

test('allows egress to a matching namespaceSelector and blocks other namespaces', async () => {
  await put(egressOf('a', { to: [{ namespaceSelector: ns('y') }] }));
  await check({ denied: (from, to) => from === 'x/a' && !inY(to) });
});

test('requires both namespaceSelector AND podSelector to match for egress (AND semantics)', async () => {
  await put(egressOf('a', { to: [{ namespaceSelector: ns('y'), podSelector: pod('b') }] }));
  await check({ denied: (from, to) => from === 'x/a' && to !== 'y/b' });
});

test('allows egress to a destination inside an ipBlock CIDR', async () => {
  await put(egressOf('a', { to: hostOf('y/b') }));
  await check({ denied: (from, to) => from === 'x/a' && to !== 'y/b' });
});

test('blocks egress to IPs listed in ipBlock Except for egress', async () => {
  await put(egressOf('a', { to: exceptOf('y/b') }));
  await check({ denied: (from, to) => from === 'x/a' && to === 'y/b' });
});

test('allows egress to a specific port only and blocks other ports', async () => {
  await put(egressOf('a', { ports: [port(80)] }));
  await check({ ports: both, denied: (from, _, number) => from === 'x/a' && number !== 80 });
});

test('allows egress within a port range and blocks ports outside the range', async () => {
  await put(egressOf('a', { ports: [port(80, { endPort: 81 })] }));
  await check({
    ports: [...both, 'TCP 8080'],
    denied: (from, _, number) => from === 'x/a' && number === 8080,
  });
});

test('resolves a named port for egress and allows traffic to it', async () => {
  await put(egressOf('a', { ports: [port('serve-81-tcp')] }));
  await check({ ports: both, denied: (from, _, number) => from === 'x/a' && number !== 81 });
});

test('allows all egress when egress rule list contains an empty rule', async () => {
  await put(egressOf('a', { ports: [port(80)] }, {}));
  await check({ ports: [...both, 'UDP 80'] });
});

test('allows traffic matching ANY of multiple ingress rules (OR semantics)', async () => {
  await put(
    ingressTo('a', { from: [{ podSelector: pod('b') }] }, { from: [{ namespaceSelector: ns('y') }] }),
  );
  await check({ denied: (from, to) => to === 'x/a' && from !== 'x/b' && !inY(from) });
});

test('allows traffic allowed by ANY of multiple policies (OR across policies)', async () => {
  await put(
    ingressTo('a', { from: [{ podSelector: pod('b') }] }),
    policy('x', 'q', { podSelector: pod('a'), ingress: [{ from: [{ namespaceSelector: ns('y') }] }] }),
  );
  await check({ denied: (from, to) => to === 'x/a' && from !== 'x/b' && !inY(from) });
});

test('does not restrict egress when only an ingress policyType is applied to a pod', async () => {
  await put(ingressTo('a'));
  await check({ from: ['x/a'] });
});

test('does not restrict ingress when only an egress policyType is applied to a pod', async () => {
  await put(egressOf('a'));
  await check({ to: ['x/a'] });
});

test('restores traffic after a NetworkPolicy is deleted', async () => {
  await put(egressOf('a'));
  await check({ denied: (from) => from === 'x/a' });
  await remove('x', 'p');
  await check();
});

test('enforces policy when pod labels are changed to match a selector', async () => {
  await put(ingressTo('a', { from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }));
  await check({ denied: (_, to) => to === 'x/a' });
  await labelPod('x/b', { role: 'friend' });
  await check({ denied: (from, to) => to === 'x/a' && from !== 'x/b' });
});

test('enforces policy when namespace labels are changed to match a namespaceSelector', async () => {
  await put(ingressTo('a', { from: [{ namespaceSelector: { matchLabels: { role: 'friend' } } }] }));
  await check({ denied: (_, to) => to === 'x/a' });
  await labelNamespace('y', { role: 'friend' });
  await check({ denied: (from, to) => to === 'x/a' && !inY(from) });
});

test('enforces policy independently on IPv4 and IPv6 addresses of the same pod', async () => {
  await put(ingressTo('a', { from: [block(`${addressOf('y/b')}/32`)] }));
  await inForce();
  const targets = ([4, 6] as const).map((family, id) => ({
    id,
    protocol: 'tcp' as const,
    address: addressOf('x/a', family),
    port: 80,
    size: 0,
    timeoutMs: 500,
  }));
  const outcomes = await probe(recordOf('y/b').namespace, targets);
  assert.deepEqual(
    outcomes.toSorted((a, b) => Number(a.id) - Number(b.id)).map(({ ok }) => ok),
    [true, false],
  );
});

test('enforces an IPv6 ipBlock CIDR for ingress', async () => {
  await put(ingressTo('a', { from: [block(CLUSTER[0]), block(`${addressOf('y/b', 6)}/128`)] }));
  await inForce();
  for (const [name, wanted] of [
    ['y/b', true],
    ['y/c', false],
  ] as const) {
    const [outcome] = await probe(recordOf(name).namespace, [
      { id: 0, protocol: 'tcp', address: addressOf('x/a', 6), port: 80, size: 0, timeoutMs: 500 },
    ]);
    assert.equal(outcome!.ok, wanted, name);
  }
});

test('does not enforce NetworkPolicy against a host-network pod', async () => {
  const host = podOf('x', 'host', { pod: 'host' });
  await create({ ...host, spec: { ...host.spec, hostNetwork: true } });
  await put(policy('x', 'p', { podSelector: pod('host'), ingress: [], egress: [] }));
  await check({ ports: ['TCP 8080'], from: ['y/a', 'x/b'], to: ['node/node-1', 'node/node-2'] });
  await check();
});

test("removes a completed pod's IP from nftables sets so stale IPs do not grant access", async () => {
  await put(ingressTo('a', { from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }));
  const once = podOf('x', 'once', { role: 'friend' }, [], { command: ['sleep', '1'] });
  await create({ ...once, spec: { ...once.spec, restartPolicy: 'Never' } });
  let address = '';
  const { namespace } = nodeOf('x/a');
  await until('it has an address', () => (address = recordOf('x/once')?.ips?.[0] ?? '') !== '');
  await until('it is a friend', async () => (await tableOf(namespace)).includes(`${address} : goto`));
  await until('it is none any more', async () => !(await tableOf(namespace)).includes(`${address} : goto`));
});

test('allows a pod to connect to the Kubernetes API server', () =>
  check({ ports: ['TCP 6443'], from: ['x/a', 'y/b'], to: [apiAddress()] }));

test('blocks API server access when egress policy denies it', async () => {
  await put(egressOf('a', { to: [block('10.0.0.0/8')] }));
  await check({
    ports: ['TCP 6443'],
    from: ['x/a', 'y/b'],
    to: [apiAddress()],
    denied: (from) => from === 'x/a',
  });
});

/** The router of the first subnet: the API listens there for the nodes. */
function apiAddress(): string {
  return node!.address.replace(/\d+$/, '1');
}

test('enforces an ingress allow policy under maximum-length namespace and policy names', async () => {
  const [space, name] = ['n'.repeat(63), `p${'.p'.repeat(126)}`];
  await create({ kind: 'Namespace', metadata: { name: space, labels: {} } });
  await create(podOf(space, 'long', { pod: 'long' }, [{ containerPort: 80 }]));
  await put(policy(space, name, { ingress: [{ from: [{ namespaceSelector: ns('y') }] }] }));
  await check({ to: [`${space}/long`], denied: (from) => !inY(from) });
});

test('never opens enforcement while kube-router restarts', async () => {
  await put(ingressTo('a', { from: [{ namespaceSelector: ns('y') }] }));
  await inForce();
  const server = nodeOf('x/a');
  for (let round = 0; round < 3; round++) {
    killAgent(server);
    await checkWhileDown();
    startAgent(plan, server);
    await awaitAgent(plan, server);
    await check({ to: ['x/a'], denied: (from) => !inY(from) });
  }
  async function checkWhileDown(): Promise<void> {
    for (const [name, wanted] of [
      ['y/a', true],
      ['z/a', false],
      ['x/b', false],
    ] as const) {
      const [outcome] = await probe(recordOf(name).namespace, [
        { id: 0, protocol: 'tcp', address: addressOf('x/a'), port: 80, size: 0, timeoutMs: 400 },
      ]);
      assert.equal(outcome!.ok, wanted, name);
    }
  }
});
