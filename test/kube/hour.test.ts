/** An hour without the API, on a clock that the test turns: what waits, renews and gives up does so all the while. */
import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import { mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Runner } from '../../src/base/run/runner.ts';
import { NODE_KIND } from '../../src/cluster/kinds/node.ts';
import { Leadership } from '../../src/cluster/ranges/leadership.ts';
import { ApiError } from '../../src/edge/kubernetes/api-error.ts';
import type { ApiRequest, KubeClient } from '../../src/edge/kubernetes/client.ts';
import { Reflector } from '../../src/edge/kubernetes/reflector.ts';
import { listOf, nodeObject } from './fake-api.ts';

const HOUR_MS = 3_600_000;

const node = (name: string) => nodeObject(name, [], { metadata: { uid: name, resourceVersion: '1' } });

/** An API that is there or not; a watch stays open until the API is gone. */
function fakeClient() {
  const api = {
    up: true,
    requests: 0,
    nodes: [node('a'), node('b')],
    version: 1,
    cut: () => undefined as void,
  };
  const gone = () => new ApiError('GET https://10.96.0.1/api/v1/nodes: connect ECONNREFUSED');
  const open = async ({ query = {}, signal }: ApiRequest): Promise<AsyncIterable<Buffer>> => {
    api.requests++;
    if (!api.up) throw gone();
    if (query['watch'] !== '1') return once(Buffer.from(JSON.stringify(listOf(api.nodes, api.version))));
    if (query['resourceVersion'] !== String(api.version))
      throw new ApiError('too old resource version', { status: 410 });
    const broken = Promise.withResolvers<never>();
    api.cut = () => broken.reject(gone());
    signal?.addEventListener('abort', () => broken.reject(gone()));
    return until(broken.promise);
  };
  const json = async () => {
    api.requests++;
    throw gone();
  };
  const client = { open, json, describe: ({ path }: ApiRequest) => `GET https://10.96.0.1${path}` };
  return { api, client: client as unknown as KubeClient };
}

async function* once(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk;
}

// oxlint-disable-next-line require-yield
async function* until(end: Promise<never>): AsyncGenerator<Buffer> {
  await end;
}

/** Turns the clock second by second, and lets happen what is due. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1000) {
    mock.timers.tick(1000);
    for (let i = 0; i < 5; i++) await turn();
  }
}

test('lists and watches: asked for all the hour and not too often, nothing is forgotten, and half a minute later all is known', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  syncBuiltinESMExports();
  // The longest waits that chance gives.
  const chance = mock.method(Math, 'random', () => 0.999);
  try {
    const { api, client } = fakeClient();
    using reflector = new Reflector({ client, kind: NODE_KIND, onChange: () => undefined });
    await pass(2000);
    assert.deepEqual([...reflector.objects.keys()], ['a', 'b']);
    const phase = () => reflector.state.phase;
    const since = () => reflector.state.since;
    assert.equal(phase(), 'synced');

    api.up = false;
    api.cut();
    await pass(60_000);
    assert.equal(phase(), 'failing');
    const failingSince = since();
    const before = api.requests;
    await pass(HOUR_MS);
    // Waits are of 15 to 30 seconds by then.
    const asked = api.requests - before;
    assert.ok(asked >= HOUR_MS / 30_000 && asked <= HOUR_MS / 15_000 + 1, `asked ${asked} times in an hour`);
    assert.deepEqual([...reflector.objects.keys()], ['a', 'b'], 'what is known stays known');
    assert.equal(since(), failingSince, 'since when it is out of date');

    api.nodes = [node('b'), node('c')];
    api.version = 2;
    api.up = true;
    await pass(31_000);
    assert.equal(phase(), 'synced');
    assert.deepEqual([...reflector.objects.keys()].toSorted(), ['b', 'c']);
  } finally {
    chance.mock.restore();
    mock.timers.reset();
    syncBuiltinESMExports();
  }
});

test('a leader without an API leads no more before another may, and takes the lease again afterwards', async () => {
  let [now, holder, up, version] = [0, 'me', true, 1];
  const client = {
    json: async ({ method = 'GET', body }: ApiRequest) => {
      if (!up) throw new ApiError('connect ECONNREFUSED');
      if (method !== 'GET') holder = (body as { spec: { holderIdentity: string } }).spec.holderIdentity;
      if (method !== 'GET') version++;
      const metadata = { name: 'l', uid: 'u', resourceVersion: String(version) };
      return { metadata, spec: { holderIdentity: holder, leaseDurationSeconds: 15 } };
    },
  } as unknown as KubeClient;
  const options = { client, namespace: 'kube-system', name: 'l', now: () => now };
  const [me, other] = [
    new Leadership({ ...options, identity: 'me' }),
    new Leadership({ ...options, identity: 'other' }),
  ];
  assert.equal(await me.take(), true);
  assert.equal(await other.take(), false);
  up = false;
  for (; now < HOUR_MS; now += 1000) {
    if (now % 60_000 === 0) await assert.rejects(me.take(), /ECONNREFUSED/);
    if (now >= 10_000) assert.equal(me.remainingMs, 0, `at ${now / 1000} s`);
  }
  up = true;
  assert.equal(await other.take(), true, 'the record has not changed for an hour before its own eyes');
  assert.equal(await me.take(), false);
  await other.release();
  assert.equal(await me.take(), true);
});

test('a task that fails for an hour is tried all the hour, ten seconds apart, and at once when there is news', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let [runs, up] = [0, false];
    const runner = new Runner({
      task: () => {
        runs++;
        if (!up) throw new Error('the API is gone');
      },
      onError: () => undefined,
      periodMs: 60_000,
    });
    runner.trigger('start');
    await pass(HOUR_MS);
    assert.ok(runs >= HOUR_MS / 10_000 - 5 && runs <= HOUR_MS / 10_000 + 15, `${runs} runs in an hour`);
    up = true;
    await pass(11_000);
    const before = runs;
    runner.trigger('cluster');
    await pass(1000);
    assert.equal(runs, before + 1);
    await runner.stop();
  } finally {
    mock.timers.reset();
  }
});
