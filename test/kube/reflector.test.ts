import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeNode, NODE_KIND } from '../../src/cluster/kinds/node.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import type { Change } from '../../src/edge/kubernetes/collection.ts';
import { Reflector, type ReflectorOptions } from '../../src/edge/kubernetes/reflector.ts';
import { pause, until } from '../until.ts';
import { FakeApi, type FakeObject, listOf, nodeObject, reply, status } from './fake-api.ts';

const NODES = '/api/v1/nodes';

/** A cluster's API, and who reflects its nodes, with little patience. */
async function reflect(prepare: (api: FakeApi) => void, options: Partial<ReflectorOptions<KubeNode>> = {}) {
  const stack = new DisposableStack();
  const api = stack.use(await FakeApi.start());
  prepare(api);
  const client = stack.use(
    new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`), origin: 'test' }),
  );
  const calls: ReadonlyMap<string, Change<KubeNode>>[] = [];
  const reasons: string[] = [];
  const reflector: Reflector<KubeNode> = stack.use(
    new Reflector({
      client,
      kind: NODE_KIND,
      onChange: (changes) => {
        calls.push(changes);
        if (reflector.state.phase === 'failing') reasons.push(reflector.state.reason);
      },
      ...options,
      times: { backoff: { firstMs: 5, lastMs: 20 }, settleMs: 1, shortestWatchMs: 20, ...options.times },
    }),
  );
  const names = () => [...reflector.objects.keys()].toSorted();
  return { api, reflector, calls, reasons, names, [Symbol.dispose]: () => stack.dispose() };
}

const three = (api: FakeApi) => {
  for (const name of ['a', 'b', 'c']) api.put(NODES, nodeObject(name));
};
const lists = (api: FakeApi) => api.requests.filter((request) => !request.includes('watch=1'));
const watches = (api: FakeApi) => api.requests.filter((request) => request.includes('watch=1'));

test('pages are followed, then the changes, and each call has what is different', async () => {
  using it = await reflect(three, { pageSize: 2 });
  await until('all is listed', () => it.reflector.complete && it.api.watching === 1);
  assert.deepEqual(it.names(), ['a', 'b', 'c']);
  assert.deepEqual(lists(it.api), [
    'GET /api/v1/nodes?limit=2&resourceVersion=0',
    'GET /api/v1/nodes?limit=2&continue=2',
  ]);
  assert.match(watches(it.api)[0]!, /allowWatchBookmarks=true&resourceVersion=103&timeoutSeconds=\d{3}$/);
  await until('the first call', () => it.calls.length === 1);
  assert.deepEqual([...it.calls[0]!.keys()].toSorted(), ['a', 'b', 'c']);

  it.api.put(NODES, nodeObject('b', ['10.244.1.0/24']));
  it.api.delete(NODES, 'a');
  await until(
    'both changes are known',
    () => it.reflector.objects.get('b')?.podCidrs[0] === '10.244.1.0/24' && it.names().length === 2,
  );
  await until('they were told', () => it.calls.flatMap((call) => [...call.keys()]).length === 5);
  const b = it.calls.flatMap((call) => call.get('b') ?? []).at(-1)!;
  assert.deepEqual([b.before?.podCidrs, b.after?.podCidrs], [[], ['10.244.1.0/24']]);
  assert.equal(lists(it.api).length, 2, 'nothing is listed twice');
});

test('an update of what nobody reads is no change, but its version is known', async () => {
  using it = await reflect(three);
  await until('it watches', () => it.api.watching === 1 && it.calls.length === 1);
  const known = it.reflector.objects.get('a');
  const { metadata } = it.api.put(NODES, {
    ...nodeObject('a'),
    status: { ...nodeObject('a').status, images: ['x'] },
  });
  await until(
    'it came',
    () => it.reflector.objects.get('a')?.resourceVersion === metadata['resourceVersion'],
  );
  assert.equal(it.reflector.objects.get('a'), known, 'what was made of it stays good');
  it.api.put(NODES, nodeObject('d'));
  await until('the next change is told', () => it.calls.length === 2);
  assert.deepEqual([...it.calls[1]!.keys()], ['d']);
});

test('a watch that breaks goes on from its last event or bookmark, without a list', async () => {
  using it = await reflect(three);
  await until('it watches', () => it.api.watching === 1);
  it.api.version = 150;
  const metadata = { resourceVersion: '150' };
  await until('the bookmark is what it goes on from', async () => {
    it.api.send(`${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Node', metadata } })}\n`);
    await pause(5);
    it.api.cut();
    await until('it watches again', () => it.api.watching === 1);
    return watches(it.api).at(-1)!.includes('resourceVersion=150');
  });
  it.api.put(NODES, nodeObject('d'));
  await until('what happens next is seen', () => it.names().includes('d'));
  assert.equal(lists(it.api).length, 1);
  assert.equal(it.reflector.state.phase, 'synced');
});

test('after 410 it lists anew, and tells what changed in between alone', async () => {
  using it = await reflect(three);
  await until('it watches', () => it.api.watching === 1 && it.calls.length === 1);
  let down = true;
  it.api.intercept = (_, response) => {
    if (down) response.destroy();
    return down;
  };
  it.api.cut();
  it.api.delete(NODES, 'a');
  it.api.put(NODES, nodeObject('d'));
  await until('that it fails is told', () => it.reflector.state.phase === 'failing');
  assert.match(
    it.reflector.problems[0]!,
    /objects of kind node are not up to date since .*: GET http:.*ECONNRESET/,
  );
  assert.deepEqual(it.names(), ['a', 'b', 'c'], 'what is known stays known');
  it.api.compact();
  down = false;
  await until('the new world is known', () => it.names().join() === 'b,c,d' && it.api.watching === 1);
  await until('it was told', () => it.calls.flatMap((call) => [...call.keys()]).length === 5);
  assert.deepEqual(
    it.calls
      .slice(1)
      .flatMap((call) => [...call.keys()])
      .toSorted(),
    ['a', 'd'],
  );
  assert.equal(lists(it.api).at(-1), 'GET /api/v1/nodes?limit=500', 'the newest, not what a cache has');
  assert.equal(it.reflector.state.phase, 'synced');
});

test('pages that expire under way are read in one piece', async () => {
  using it = await reflect(
    (api) => {
      three(api);
      api.intercept = (url, response) => {
        const expired = url.searchParams.has('continue');
        if (expired) reply(response, 410, status(410, 'The provided continue parameter is too old'));
        return expired;
      };
    },
    { pageSize: 2 },
  );
  await until('all is listed', () => it.reflector.complete);
  assert.deepEqual(it.names(), ['a', 'b', 'c']);
  assert.equal(lists(it.api).at(-1), 'GET /api/v1/nodes');
});

/** What a watch may send that is none, and what is said of it. */
const GARBAGE: [string, string, RegExp][] = [
  ['a truncated line', '{"type":"ADDED","object":{"metadata":{"na\n', /sends what is not JSON: \{"type"/],
  ['another format', '<html>Bad gateway</html>\n', /sends what is not JSON: <html>/],
  ['no event', '[1,2]\n', /sends what is no event/],
  ['an unknown type', '{"type":"MOVED","object":{}}\n', /an event of unknown type/],
  ['an error without a code', '{"type":"ERROR","object":{"message":"etcd is gone"}}\n', /500 etcd is gone/],
];

for (const [what, line, reason] of GARBAGE) {
  test(`a watch that sends ${what} is begun anew, and nothing is lost`, async () => {
    using it = await reflect(three);
    await until('it watches', () => it.api.watching === 1);
    it.api.send(line);
    it.api.put(NODES, nodeObject('d'));
    await until('what happened is known', () => it.names().includes('d'));
    assert.match(it.reasons[0] ?? '', reason);
    await until('it watches again', () => it.reflector.state.phase === 'synced' && it.api.watching >= 1);
  });
}

test('half a line at the end of a stream is sent again and does no harm', async () => {
  using it = await reflect(three);
  await until('it watches', () => it.api.watching === 1);
  it.api.send('{"type":"ADDED","object":{"metadata":{"name":"d"');
  it.api.cut();
  await until('it watches again', () => watches(it.api).length >= 2 && it.api.watching === 1);
  assert.equal(lists(it.api).length, 1);
});

test('a connection that is silent, without even bookmarks, is replaced', async () => {
  let swallowed = 0;
  using it = await reflect(
    (api) => {
      three(api);
      api.intercept = (url, response) => {
        // It answers and then, like a peer that lost its power, says nothing ever again.
        if (url.searchParams.get('watch') !== '1' || swallowed === 2) return false;
        swallowed++;
        response.writeHead(200);
        response.flushHeaders();
        return true;
      };
    },
    { times: { watchIdleMs: 60 } },
  );
  await until('the third watch is a living one', () => it.api.watching === 1);
  it.api.put(NODES, nodeObject('d'));
  await until('it brings what happens', () => it.names().includes('d'));
  assert.equal(lists(it.api).length, 1, 'silence loses nothing');
  assert.deepEqual(it.reasons, [], 'and is no failure');
});

test('a server that never answers is given up, said so, and asked again', async () => {
  let hung = 0;
  using it = await reflect(
    (api) => {
      three(api);
      api.intercept = () => hung++ < 2;
    },
    { times: { listIdleMs: 50 } },
  );
  await until('it says so', () => it.reflector.state.phase === 'failing');
  assert.match(it.reflector.problems[0]!, /GET .*\/api\/v1\/nodes: nothing came for 0\.05 s; look whether/);
  assert.equal(it.calls.length <= 1, true);
  await until('the third attempt succeeds', () => it.reflector.complete);
});

/** What an API in trouble answers to a list. */
const TROUBLE: [string, (response: Parameters<typeof reply>[0]) => void, RegExp][] = [
  [
    '500',
    (r) => reply(r, 500, status(500, 'etcdserver: leader changed')),
    /500 etcdserver: leader changed; the server/,
  ],
  [
    '429',
    (r) => reply(r, 429, status(429, 'too many'), { 'retry-after': '0' }),
    /429 too many; the server is asked/,
  ],
  [
    '401',
    (r) => reply(r, 401, status(401, 'Unauthorized')),
    /401 Unauthorized; the credentials of test are wrong or expired/,
  ],
  [
    '403',
    (r) => reply(r, 403, status(403, 'nodes is forbidden')),
    /403 nodes is forbidden; give the account/,
  ],
  ['302', (r) => reply(r, 302, '', { location: '/login' }), /302 .*redirections are not followed/],
  ['no JSON', (r) => reply(r, 200, '<html>Log in</html>'), /the list cannot be read: an item or the whole/],
  [
    'truncated JSON',
    (r) => reply(r, 200, '{"kind":"NodeList","items":[{"metadata":{}},{"meta'),
    /breaks off in the middle/,
  ],
  ['no list', (r) => reply(r, 200, '{"kind":"Node"}'), /the answer is no list/],
  [
    'a list without a version',
    (r) => reply(r, 200, '{"kind":"NodeList","metadata":{},"items":[]}'),
    /no resourceVersion/,
  ],
  [
    'items that are none',
    (r) => reply(r, 200, '{"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":[7]}'),
    /is not an object/,
  ],
  ['a page that follows itself', (r) => reply(r, 200, listOf([], 1, 'again')), /a page that follows itself/],
  [
    'half an answer',
    (r) => {
      r.writeHead(200, { 'content-length': 1000 });
      r.write('{"kind":');
      setTimeout(() => r.destroy(), 5);
    },
    /ECONNRESET|aborted/,
  ],
];

for (const [what, answer, reason] of TROUBLE) {
  test(`an API that answers ${what} is named, left alone for a while, and served when it is well`, async () => {
    let storm = true;
    using it = await reflect((api) => {
      three(api);
      api.intercept = (_, response) => {
        if (storm) answer(response);
        return storm;
      };
    });
    await until(
      'it failed several times',
      () => it.api.requests.length >= 4 && it.reflector.state.phase === 'failing',
    );
    assert.match(it.reflector.problems[0]!, reason);
    assert.equal(it.reflector.complete, false);
    assert.equal(
      it.calls.every((changes) => changes.size === 0),
      true,
      'half a list is told to nobody',
    );
    storm = false;
    await until('it is served', () => it.reflector.complete);
    assert.deepEqual(it.names(), ['a', 'b', 'c']);
    assert.deepEqual(it.reflector.problems, []);
  });
}

test('an API that answers ten seconds late is waited for, not asked again', async () => {
  using it = await reflect((api) => {
    three(api);
    api.intercept = async (url) => {
      if (!url.searchParams.has('watch')) await pause(10_000);
      return false;
    };
  });
  await until('all are known', () => it.reflector.complete);
  assert.deepEqual(it.names(), ['a', 'b', 'c']);
  assert.equal(lists(it.api).length, 1);
});

test('a first list that breaks off in the second page tells why, and nothing of the first page', async () => {
  using it = await reflect(
    (api) => {
      three(api);
      api.intercept = (url, response) => {
        const second = url.searchParams.has('continue');
        if (second) reply(response, 500, status(500, 'no'));
        return second;
      };
    },
    { pageSize: 2 },
  );
  await until('it failed', () => it.reasons.length > 0);
  assert.deepEqual(
    it.calls.flatMap((changes) => [...changes.keys()]),
    [],
  );
  it.api.intercept = () => false;
  await until('all is told at once', () => it.calls.at(-1)?.size === 3);
});

test('a list that breaks off in the second page loses nobody who was known', async () => {
  using it = await reflect(three, { pageSize: 2 });
  await until('it watches', () => it.api.watching === 1);
  let broken = true;
  it.api.intercept = (url, response) => {
    if (url.searchParams.get('watch') === '1' && broken) {
      response.writeHead(200);
      response.end(`${JSON.stringify({ type: 'ERROR', object: status(410, 'too old') })}\n`);
      return true;
    }
    if (!broken || !url.searchParams.has('continue')) return false;
    reply(response, 500, status(500, 'no'));
    return true;
  };
  it.api.cut();
  await until(
    'the second page failed twice',
    () => it.api.requests.filter((r) => r.includes('continue=')).length >= 3,
  );
  assert.deepEqual(it.names(), ['a', 'b', 'c']);
  broken = false;
  await until('it is well', () => it.reflector.state.phase === 'synced' && it.api.watching === 1);
});

test('odd objects are named and left out, the others count, and mended ones return', async () => {
  const odd: FakeObject[] = [
    { metadata: { name: 'No Name' } },
    { metadata: { name: 'no-uid', uid: '' } },
    nodeObject('young', [], { metadata: { creationTimestamp: 'tomorrow' } }),
    nodeObject('labelled', [], { metadata: { labels: { key: 'x'.repeat(100_000) } } }),
    nodeObject('ranges', ['10.244.7.0/24', 'everything', '10.244.0.1/24'], { status: { addresses: 7 } }),
  ];
  using it = await reflect((api) => {
    three(api);
    for (const object of odd) api.put(NODES, object);
  });
  await until('it watches', () => it.api.watching === 1);
  assert.deepEqual(it.names(), ['a', 'b', 'c', 'ranges']);
  assert.deepEqual(it.reflector.objects.get('ranges')?.podCidrs, ['10.244.7.0/24']);
  const said = it.reflector.problems.join('\n');
  for (const expected of [
    /node No Name: metadata\.name: "No Name" is not a name; it is ignored until it is mended/,
    /node no-uid: metadata\.uid: is missing or too long/,
    /node young: metadata\.creationTimestamp: "tomorrow" is not a time/,
    /node labelled: metadata\.labels: "key": "x{79}… is not a label/,
    /node ranges: spec\.podCIDRs\[1\]: range: "everything" is not an IP range/,
    /the range is 10\.244\.0\.0\/24; it is left out until it is mended/,
  ]) {
    assert.match(said, expected);
  }
  it.api.put(NODES, nodeObject('young'));
  it.api.put(NODES, { metadata: { name: 'a' }, status: { addresses: 'none' } });
  await until('young is back and a is out', () => it.names().join() === 'b,c,ranges,young');
  assert.match(it.reflector.problems.join('\n'), /node a: metadata\.creationTimestamp/);
  it.api.delete(NODES, 'a');
  await until('who is gone is no problem', () => !it.reflector.problems.join().includes('node a:'));
});

test('a server that ends every watch at once is not asked without pause', async () => {
  using it = await reflect(
    (api) => {
      three(api);
      api.intercept = (url, response) => {
        const watch = url.searchParams.get('watch') === '1';
        if (watch) reply(response, 200, '');
        return watch;
      };
    },
    { times: { shortestWatchMs: 1000 } },
  );
  await until('it says so', () => it.reflector.state.phase === 'failing');
  assert.match(it.reflector.problems[0]!, /ends the watch as soon as it began/);
});
