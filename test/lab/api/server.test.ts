import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, mapManifest, podManifest, serveApi } from './fixture.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const MERGE = { 'content-type': 'application/merge-patch+json' };

test('an object is created, read, replaced, patched and deleted', async () => {
  const { call } = await serveApi();
  const created = await call('POST', MAPS, mapManifest('m', { a: '1' }));
  assert.equal(created.status, 201);
  assert.match(created.body.metadata.uid, /^[0-9a-f-]{36}$/);
  assert.deepEqual((await call('GET', `${MAPS}/m`)).body, created.body);
  const replaced = await call('PUT', `${MAPS}/m`, { ...created.body, data: { a: '2' } });
  assert.equal(replaced.body.data.a, '2');
  assert.ok(Number(replaced.body.metadata.resourceVersion) > Number(created.body.metadata.resourceVersion));
  const same = await call('PUT', `${MAPS}/m`, replaced.body);
  assert.equal(same.body.metadata.resourceVersion, replaced.body.metadata.resourceVersion, 'nothing changed');
  assert.deepEqual((await call('PATCH', `${MAPS}/m`, { data: { b: '3' } }, MERGE)).body.data, {
    a: '2',
    b: '3',
  });
  assert.equal((await call('POST', MAPS, mapManifest('m', {}))).body.reason, 'AlreadyExists');
  assert.equal((await call('DELETE', `${MAPS}/m`)).body.status, 'Success');
  const gone = await call('GET', `${MAPS}/m`);
  assert.equal(gone.status, 404);
  assert.equal(gone.body.message, 'configmaps "m" not found');
});

test('of two that change the same version one is told so', async () => {
  const { call } = await serveApi();
  const { body } = await call('POST', MAPS, mapManifest('m', { a: '1' }));
  const answers = await Promise.all(
    ['x', 'y'].map((value) => call('PUT', `${MAPS}/m`, { ...body, data: { a: value } })),
  );
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 409],
  );
  const lost = answers.find(({ status }) => status === 409)!;
  assert.equal(lost.body.reason, 'Conflict');
  assert.match(
    lost.body.message,
    /the object has been modified; please apply your changes to the latest version/,
  );
  const stale = await call('PATCH', `${MAPS}/m`, { metadata: { resourceVersion: '1' }, data: {} }, MERGE);
  assert.equal(stale.status, 409);
  const other = await call('DELETE', `${MAPS}/m`, { preconditions: { uid: 'another' } });
  assert.equal(other.status, 409);
});

test('a watch resumes from a version, and sees objects come and go by their labels', async () => {
  const { call, watch } = await serveApi();
  const first = await call('POST', PODS, podManifest('a', { labels: { app: 'web' } }));
  const from = first.body.metadata.resourceVersion;
  await call('POST', PODS, podManifest('b', { labels: { app: 'db' } }));
  await call('POST', PODS, podManifest('c', { labels: { app: 'web' } }));
  const watching = await watch(`${PODS}?watch=1&resourceVersion=${from}&labelSelector=app%3Dweb`);
  const label = (name: string, app: string) =>
    call('PATCH', `${PODS}/${name}`, { metadata: { labels: { app } } }, MERGE);
  await label('a', 'db');
  await label('b', 'web');
  await label('b', 'web');
  await call('PATCH', `${PODS}/b`, { metadata: { labels: { more: 'x' } } }, MERGE);
  await call('DELETE', `${PODS}/c`);
  const seen: string[] = [];
  for (let count = 0; count < 5; count++) {
    const event = await watching.next();
    seen.push(`${event?.type} ${event?.object.metadata.name}`);
  }
  watching.close();
  assert.deepEqual(seen, ['ADDED c', 'DELETED a', 'ADDED b', 'MODIFIED b', 'DELETED c']);
});

test('a watch from a version that is forgotten gets 410; a list in pages too', async () => {
  const { emptyStore } = await import('./fixture.ts');
  const store = emptyStore(8);
  const { call, watch } = await serveApi({ store });
  await call('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'default' },
  });
  for (const name of ['a', 'b', 'c']) await call('POST', MAPS, mapManifest(name, {}));
  const page = await call('GET', `${MAPS}?limit=1`);
  assert.equal(page.body.metadata.remainingItemCount, 2);
  const next = await call('GET', `${MAPS}?limit=5&continue=${page.body.metadata.continue}`);
  assert.deepEqual(
    next.body.items.map(({ metadata }: Json) => metadata.name),
    ['b', 'c'],
  );
  assert.equal(next.body.metadata.continue, undefined);
  for (let count = 0; count < 40; count++)
    await call('PATCH', `${MAPS}/a`, { data: { n: String(count) } }, MERGE);
  const watching = await watch(`${MAPS}?watch=true&resourceVersion=2`);
  const event = await watching.next();
  assert.equal(event?.type, 'ERROR');
  assert.deepEqual([event?.object.code, event?.object.reason], [410, 'Expired']);
  assert.equal(await watching.next(), undefined, 'and the stream ends');
  assert.equal((await call('GET', `${MAPS}?continue=${page.body.metadata.continue}`)).status, 410);
  assert.equal((await call('GET', `${MAPS}?continue=nonsense`)).status, 400);
  assert.equal((await call('GET', `${MAPS}?watch=true&resourceVersion=99999`)).status, 504);
});

test('a watch ends after its time, with a bookmark where they are wanted', async () => {
  const { call, watch } = await serveApi();
  const { body } = await call('GET', MAPS);
  const watching = await watch(
    `${MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion=${body.metadata.resourceVersion}`,
  );
  const event = await watching.next();
  assert.equal(event?.type, 'BOOKMARK');
  assert.equal(event?.object.metadata.resourceVersion, body.metadata.resourceVersion);
  assert.equal(await watching.next(), undefined);
});

test('a reader that takes nothing is cut off, and the others go on', async () => {
  const { call, watch, api } = await serveApi();
  const slow = await watch(`${MAPS}?watch=true`);
  const quick = await watch(`${MAPS}?watch=true`);
  const data = { filler: 'x'.repeat(500_000) };
  const names = Array.from({ length: 60 }, (_, index) => `m${index}`);
  const creating = (async () => {
    for (const name of names) await call('POST', MAPS, mapManifest(name, data));
  })();
  for (let count = 0; count < names.length; count++) assert.equal((await quick.next())?.type, 'ADDED');
  await creating;
  assert.equal(api.store.version >= names.length, true);
  let read = 0;
  await assert.rejects(async () => {
    while (read < names.length && (await slow.next()) !== undefined) read += 1;
    throw new Error('cut off');
  });
  assert.ok(read < names.length, `the slow one got ${read}`);
  quick.close();
});

test('a Table has the columns of the kind, one row per object, and events of rows', async () => {
  const { call, watch } = await serveApi();
  const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };
  await call('POST', PODS, podManifest('a'));
  const { body } = await call('GET', PODS, undefined, accept);
  assert.equal(body.kind, 'Table');
  assert.deepEqual(
    body.columnDefinitions.filter(({ priority }: Json) => priority === 0).map(({ name }: Json) => name),
    ['Name', 'Ready', 'Status', 'Restarts', 'Age'],
  );
  assert.deepEqual(body.rows[0].cells.slice(0, 4), ['a', '0/1', 'Pending', '0']);
  assert.equal(body.rows[0].object.kind, 'PartialObjectMetadata');
  const watching = await watch(`${PODS}?watch=1`, accept);
  const event = await watching.next();
  assert.equal(event?.object.kind, 'Table');
  assert.equal(event?.object.rows.length, 1);
  watching.close();
  assert.equal(
    (await call('GET', PODS, undefined, { accept: 'application/vnd.kubernetes.protobuf' })).status,
    406,
  );
});

test('status is written through its own path alone', async () => {
  const { call } = await serveApi();
  const created = await call('POST', PODS, { ...podManifest('a'), status: { phase: 'Running' } });
  assert.equal(created.body.status.phase, 'Pending');
  const spec = await call('PATCH', `${PODS}/a`, { status: { phase: 'Running' } }, MERGE);
  assert.equal(spec.body.status.phase, 'Pending');
  const status = await call(
    'PATCH',
    `${PODS}/a/status`,
    { status: { phase: 'Running' }, metadata: { labels: { a: 'b' } } },
    MERGE,
  );
  assert.equal(status.body.status.phase, 'Running');
  assert.equal(status.body.metadata.labels, undefined);
  assert.equal(status.body.metadata.generation, 1);
});

test('a node is given its ranges once', async () => {
  const { call } = await serveApi();
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } };
  await call('POST', '/api/v1/nodes', node);
  const first = await call('PATCH', '/api/v1/nodes/n', { spec: { podCIDRs: ['10.244.0.0/24'] } }, MERGE);
  assert.equal(first.body.spec.podCIDR, '10.244.0.0/24');
  const second = await call('PATCH', '/api/v1/nodes/n', { spec: { podCIDRs: ['10.244.1.0/24'] } }, MERGE);
  assert.equal(second.status, 422);
  assert.match(second.body.message, /may not change podCIDR/);
  assert.equal(
    (await call('POST', '/api/v1/nodes', { ...node, metadata: { name: 'm' }, spec: { podCIDRs: ['x'] } }))
      .status,
    422,
  );
});

test('a namespace goes with everything in it, pods of nodes last', async () => {
  const { call, api } = await serveApi({ stopsPods: (node) => node === 'n' });
  await call('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop' },
  });
  await call('POST', '/api/v1/namespaces/shop/configmaps', mapManifest('m', {}));
  const pod = await call(
    'POST',
    '/api/v1/namespaces/shop/pods',
    podManifest('p', { spec: { nodeName: 'n' } }),
  );
  assert.equal((await call('DELETE', '/api/v1/namespaces/shop')).body.status.phase, 'Terminating');
  assert.equal((await call('GET', '/api/v1/namespaces/shop/configmaps/m')).status, 404);
  const marked = (await call('GET', '/api/v1/namespaces/shop/pods/p')).body;
  assert.ok(marked.metadata.deletionTimestamp);
  const late = await call('POST', '/api/v1/namespaces/shop/configmaps', mapManifest('late', {}));
  assert.deepEqual([late.status, late.body.reason], [403, 'Forbidden']);
  const { removeStopped } = await import('../../../lab/api/delete.ts');
  removeStopped(api, pod.body);
  assert.equal((await call('GET', '/api/v1/namespaces/shop')).status, 404);
  assert.equal((await call('DELETE', '/api/v1/namespaces/default')).status, 403);
});

test('a service gets an address that no other has, and keeps it', async () => {
  const { call } = await serveApi();
  const path = '/api/v1/namespaces/default/services';
  const service = (name: string, spec: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...spec },
  });
  assert.equal((await call('POST', path, service('a'))).body.spec.clusterIP, '10.96.0.1');
  assert.equal((await call('POST', path, service('b'))).body.spec.clusterIP, '10.96.0.2');
  assert.equal((await call('POST', path, service('c', { clusterIP: '10.96.0.2' }))).status, 422);
  assert.equal((await call('POST', path, service('d', { clusterIP: 'None' }))).body.spec.clusterIP, 'None');
  assert.equal(
    (await call('PUT', `${path}/a`, service('a', { selector: { x: 'y' } }))).body.spec.clusterIP,
    '10.96.0.1',
  );
});

test('without the token nothing is served but health', async () => {
  const { call } = await serveApi({ token: 'secret' });
  for (const headers of [{}, { authorization: 'Bearer wrong!' }, { authorization: 'Bearer secre' }] as Record<
    string,
    string
  >[])
    assert.equal((await call('GET', '/api/v1/nodes', undefined, headers)).status, 401);
  assert.equal(
    (await call('GET', '/api/v1/nodes', undefined, { authorization: 'Bearer secret' })).status,
    200,
  );
  assert.equal((await call('GET', '/readyz')).body, 'ok');
});
