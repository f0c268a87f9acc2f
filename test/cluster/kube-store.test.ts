import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import { leasePath } from '../../src/cluster/kinds/lease.ts';
import { openKubeStore } from '../../src/cluster/kube-store.ts';
import { assignRanges } from '../../src/cluster/ranges/assignment.ts';
import { Leadership, mayTake } from '../../src/cluster/ranges/leadership.ts';
import { acceptRanges } from '../../src/cluster/ranges/ranges.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { FakeApi, nodeObject, reply, status } from '../kube/fake-api.ts';
import { until } from '../until.ts';

const NODES = '/api/v1/nodes';
const LEASES = leasePath('kube-system');
const POOL = parseCidr('10.244.0.0/16');
const range = (text: string) => [parseCidr(text)];

async function cluster() {
  const stack = new DisposableStack();
  const api = stack.use(await FakeApi.start());
  const open = () => {
    const client = stack.use(
      new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`), origin: 'test' }),
    );
    const times = { backoff: { firstMs: 5, lastMs: 20 }, settleMs: 1 };
    const store = stack.adopt(openKubeStore(client, { awaitRange: 'wait', times }), (opened) =>
      opened.close(),
    );
    return { client, store };
  };
  return { api, stack, open, [Symbol.dispose]: () => stack.dispose() };
}

test('the nodes of the cluster, what is odd in them, and why they are not up to date', async () => {
  using it = await cluster();
  it.api.put(NODES, nodeObject('a', ['10.244.0.0/24']));
  it.api.put(NODES, nodeObject('odd', ['0.0.0.0/0'], { status: { addresses: [] } }));
  const { store } = it.open();
  let calls = 0;
  using _watching = store.watch(() => calls++);
  assert.deepEqual(store.state, { nodes: [], problems: [] });
  await until('the nodes are known', () => store.state.nodes.length === 2);
  const { nodes, refused } = acceptRanges(store.state.nodes, [POOL]);
  assert.deepEqual(
    nodes.map(({ name, podCidrs, internalIps }) => [name, podCidrs, internalIps]),
    [
      ['a', ['10.244.0.0/24'], ['192.168.1.2']],
      ['odd', [], []],
    ],
  );
  assert.match(refused[0]!.reason, /node odd claims 0\.0\.0\.0\/0, which is outside the pod network/);
  it.api.intercept = (_, response) => {
    reply(response, 500, status(500, 'etcd is gone'));
    return true;
  };
  it.api.cut();
  await until('the state says so', () =>
    /nodes? are not up to date.*etcd is gone|kind node .*etcd is gone/.test(store.state.problems.join()),
  );
  assert.equal(store.state.nodes.length, 2);
  assert.ok(calls >= 2);
});

test('half a list is no cluster', async () => {
  using it = await cluster();
  for (let i = 0; i < 600; i++) it.api.put(NODES, nodeObject(`n${i}`));
  let broken = true;
  it.api.intercept = (url, response) => {
    const second = broken && url.searchParams.has('continue');
    if (second) reply(response, 500, status(500, 'no'));
    return second;
  };
  const { store } = it.open();
  await until('the second page failed', () => store.state.problems.length === 1);
  assert.deepEqual(store.state.nodes, []);
  broken = false;
  await until('all are known', () => store.state.nodes.length === 600);
});

test('a range is claimed by compare-and-swap, once, and not from under another', async () => {
  using it = await cluster();
  for (const name of ['a', 'b', 'c']) it.api.put(NODES, nodeObject(name));
  const { store } = it.open();
  await until('the nodes are known', () => store.state.nodes.length === 3);
  const [a, b, c] = store.state.nodes;
  // The kubelet writes at the same moment.
  let raced = 0;
  it.api.intercept = (_, __, request) => {
    if (request.method === 'PATCH' && raced++ < 2) it.api.put(NODES, nodeObject('a'));
    return false;
  };
  assert.equal(await store.claimRanges(a!, range('10.244.0.0/24')), true);
  assert.equal(raced, 3);
  assert.deepEqual(
    store.state.nodes.find(({ name }) => name === 'a')?.podCidrs ?? [],
    ['10.244.0.0/24'],
    'known at once',
  );
  assert.deepEqual(it.api.objects.get(`${NODES}/a`)?.spec, {
    podCIDR: '10.244.0.0/24',
    podCIDRs: ['10.244.0.0/24'],
  });
  assert.equal(await store.claimRanges(a!, range('10.244.0.0/24')), true, 'already so');
  assert.equal(await store.claimRanges(a!, range('10.244.9.0/24')), false, 'ranges are set once');
  assert.equal(await store.claimRanges(b!, range('10.244.0.0/25')), false, "another's");
  it.api.put(NODES, nodeObject('c', [], { metadata: { uid: 'born-again' } }));
  assert.equal(await store.claimRanges(c!, range('10.244.3.0/24')), false, 'another node of that name');
  it.api.delete(NODES, 'b');
  await assert.rejects(store.claimRanges(b!, range('10.244.4.0/24')), /404/);
});

test('a lease is taken over when its record has not changed before our own eyes, whatever the clocks say', () => {
  const lease = (resourceVersion: string, holder = 'other') => ({
    name: 'l',
    uid: 'u',
    resourceVersion,
    holder,
    durationSeconds: 15,
    transitions: 0,
    acquireTime: '1999-01-01T00:00:00.000000Z',
  });
  assert.equal(mayTake(lease('1'), 'me', undefined, 1e9), false, 'seen for the first time');
  assert.equal(mayTake(lease('1'), 'me', { resourceVersion: '1', atMs: 0 }, 14_999), false);
  assert.equal(mayTake(lease('1'), 'me', { resourceVersion: '1', atMs: 0 }, 15_000), true);
  assert.equal(
    mayTake(lease('2'), 'me', { resourceVersion: '1', atMs: 0 }, 15_000),
    false,
    'renewed meanwhile',
  );
  assert.equal(mayTake(lease('1', ''), 'me', undefined, 0), true);
  assert.equal(mayTake(lease('1', 'me'), 'me', undefined, 0), true);
});

test('of many that want to lead one does; a dead one is followed, one that is done at once', async () => {
  using it = await cluster();
  let now = 0;
  const { client } = it.open();
  const candidate = (identity: string) =>
    new Leadership({ client, namespace: 'kube-system', name: 'fairlead-ranges', identity, now: () => now });
  const all = ['a', 'b', 'c', 'd', 'e'].map(candidate);
  const results = await Promise.all(all.map((one) => one.take()));
  assert.equal(results.filter(Boolean).length, 1);
  const leader = all[results.indexOf(true)]!;
  const [next, last] = all.filter((one) => one !== leader);
  const record = () => it.api.objects.get(`${LEASES}/fairlead-ranges`)!.spec!;
  assert.match(String(record()['renewTime']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.equal(leader.remainingMs, 10_000);
  assert.equal(await next!.take(), false);
  now += 10_000;
  assert.equal(leader.remainingMs, 0, 'it stops before another may begin');
  assert.equal(await leader.take(), true, 'renewed');
  now += 10_000;
  assert.equal(await next!.take(), false, 'the renewal counts from when it is seen');
  now += 15_000;
  assert.equal(await next!.take(), true, 'the leader is dead');
  assert.equal(record()['leaseTransitions'], 1);
  await leader.release();
  assert.match(String(record()['holderIdentity']), /^[b-e]$|^a$/);
  assert.equal(await last!.take(), false, 'a dead leader gives nothing away that is no longer its own');
  await next!.release();
  assert.equal(await last!.take(), true, 'given back');
});

test('twenty agents at once give sixty nodes sixty ranges, leave the rest alone, and hold no lease afterwards', async () => {
  using it = await cluster();
  it.api.put(NODES, nodeObject('settled', ['10.244.3.0/24']));
  for (let i = 0; i < 60; i++) it.api.put(NODES, nodeObject(`n${i}`));
  const log = createLogger({ level: 'error', format: 'text' });
  for (let i = 0; i < 20; i++) {
    const { client, store } = it.open();
    const leadership = new Leadership({
      client,
      namespace: 'kube-system',
      name: 'fairlead-ranges',
      identity: `agent-${i}`,
    });
    const settings = {
      podNetwork: () => [POOL],
      prefixLengths: () => ({ 4: 24, 6: 64 }),
      patienceMs: 20,
      retryMs: 20,
    };
    it.stack.use(assignRanges({ store, leadership, log, ...settings }));
  }
  const ranges = () =>
    [...it.api.objects].flatMap(([key, object]) =>
      key.startsWith(NODES) ? (object.spec as { podCIDRs: string[] }).podCIDRs : [],
    );
  await until('every node has its range', () => ranges().length === 61);
  assert.equal(new Set(ranges()).size, 61);
  assert.deepEqual(it.api.rangesOf('settled'), ['10.244.3.0/24']);
  await until(
    'the lease is free',
    () => it.api.objects.get(`${LEASES}/fairlead-ranges`)?.spec?.['holderIdentity'] === '',
  );
});

test('a pod network that is used up is said once, and goes on when a node leaves', async () => {
  using it = await cluster();
  for (let i = 0; i < 3; i++) it.api.put(NODES, nodeObject(`n${i}`));
  const { client, store } = it.open();
  const lines: string[] = [];
  const log = createLogger({ level: 'error', format: 'text' }, (line) => void lines.push(line));
  const leadership = new Leadership({
    client,
    namespace: 'kube-system',
    name: 'fairlead-ranges',
    identity: 'me',
  });
  const settings = {
    podNetwork: () => [parseCidr('10.244.0.0/23')],
    prefixLengths: () => ({ 4: 24, 6: 64 }),
  };
  it.stack.use(assignRanges({ store, leadership, log, ...settings, patienceMs: 5, retryMs: 5 }));
  await until('it is said', () => lines.length > 0);
  assert.match(
    lines[0]!,
    /no free range of \/24 is left in 10\.244\.0\.0\/23 for 1 nodes, n2 the first of them/,
  );
  it.api.delete(NODES, 'n0');
  await until('the range is given on', () => String(it.api.rangesOf('n2')) === '10.244.0.0/24');
  assert.equal(lines.length, 1);
});
