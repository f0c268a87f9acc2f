import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverSideApply } from '../../../lab/api/apply/apply.ts';
import { fromFieldsV1, toFieldsV1 } from '../../../lab/api/apply/field-set.ts';
import { mapManifest, podManifest, serveApi, type TestApi } from './fixture.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';

function apply({ call }: TestApi, path: string, manager: string, object: object, more = '') {
  return call('PATCH', `${path}?fieldManager=${manager}${more}`, object, {
    'content-type': 'application/apply-patch+yaml',
  });
}

test('what a manager no longer states goes, what others own stays', async () => {
  const server = await serveApi();
  const created = await apply(server, `${MAPS}/m`, 'one', mapManifest('m', { a: '1', b: '1' }));
  assert.equal(created.status, 201);
  await apply(server, `${MAPS}/m`, 'two', mapManifest('m', { c: '1' }));
  const { body } = await apply(server, `${MAPS}/m`, 'one', mapManifest('m', { a: '2' }));
  assert.deepEqual(body.data, { a: '2', c: '1' });
  assert.deepEqual(
    body.metadata.managedFields.map((entry: { manager: string; fieldsV1: object }) => [
      entry.manager,
      entry.fieldsV1,
    ]),
    [
      ['one', { 'f:data': { 'f:a': {} } }],
      ['two', { 'f:data': { 'f:c': {} } }],
    ],
  );
  const again = await apply(server, `${MAPS}/m`, 'one', mapManifest('m', { a: '2' }));
  assert.equal(
    again.body.metadata.resourceVersion,
    body.metadata.resourceVersion,
    'the same again changes nothing',
  );
});

test('a field that two want differently is a conflict with its name; force takes it over', async () => {
  const server = await serveApi();
  await apply(server, `${MAPS}/m`, 'one', mapManifest('m', { a: '1' }));
  const refused = await apply(server, `${MAPS}/m`, 'two', mapManifest('m', { a: '2' }));
  assert.equal(refused.status, 409);
  assert.match(refused.body.message, /conflict with "one": \.data\.a; apply with force/);
  assert.deepEqual(refused.body.details.causes[0].reason, 'FieldManagerConflict');
  const same = await apply(server, `${MAPS}/m`, 'two', mapManifest('m', { a: '1' }));
  assert.equal(same.status, 200, 'the same value is shared');
  const forced = await apply(server, `${MAPS}/m`, 'two', mapManifest('m', { a: '2' }), '&force=true');
  assert.equal(forced.body.data.a, '2');
  assert.deepEqual(
    forced.body.metadata.managedFields.map(({ manager }: { manager: string }) => manager),
    ['two'],
  );
});

test('an update takes fields from who applied them, and is told of at the next apply', async () => {
  const server = await serveApi();
  await apply(server, `${MAPS}/m`, 'one', mapManifest('m', { a: '1' }));
  const changed = await server.call(
    'PATCH',
    `${MAPS}/m?fieldManager=hand`,
    { data: { a: '2' } },
    {
      'content-type': 'application/merge-patch+json',
    },
  );
  assert.equal(changed.status, 200);
  const { status, body } = await apply(server, `${MAPS}/m`, 'one', mapManifest('m', { a: '1' }));
  assert.equal(status, 409);
  assert.match(body.message, /conflict with "hand" using v1: \.data\.a/);
});

test('items of lists are owned by their keys, with the default of a protocol among them', async () => {
  const server = await serveApi();
  const path = '/api/v1/namespaces/default/pods/p';
  const spec = { containers: [{ name: 'main', image: 'any', ports: [{ containerPort: 80 }] }] };
  const { status, body } = await apply(server, path, 'one', podManifest('p', { spec }));
  assert.equal(status, 201);
  assert.ok(
    JSON.stringify(body.metadata.managedFields).includes(
      'k:{\\"containerPort\\":80,\\"protocol\\":\\"TCP\\"}',
    ),
  );
  const again = await apply(server, path, 'one', podManifest('p', { spec }));
  assert.equal(again.body.metadata.resourceVersion, body.metadata.resourceVersion, 'nothing changed');
});

test('an atomic list that only lacks defaults is no conflict', async () => {
  const server = await serveApi();
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'np' },
    spec: { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] },
  };
  const path = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
  assert.equal((await server.call('POST', `${path}?fieldManager=first`, policy)).status, 201);
  assert.equal((await apply(server, `${path}/np`, 'second', policy)).status, 200);
});

test('field sets survive the form in which they are written', () => {
  const form = {
    'f:data': { 'f:a': {}, '.': {} },
    'f:spec': { 'f:x': { 'k:{"name":"y"}': { '.': {}, 'f:z': {} } } },
  };
  const normal = toFieldsV1(fromFieldsV1(form));
  assert.deepEqual(normal, form);
});

test('hostile managed fields break nothing', () => {
  const live = {
    metadata: {
      managedFields: [
        { manager: 'x', operation: 'Update', fieldsV1: { 'k:garbage': { v: 1 }, 'f:': null } },
        null,
        7,
      ],
    },
  };
  const wish = { a: 1 };
  assert.doesNotThrow(() =>
    serverSideApply(
      { type: 'object', fields: {}, required: [] },
      live,
      { applied: wish, complete: wish },
      { name: 'm', apiVersion: 'v1', time: '' },
      false,
    ),
  );
});

test('apply without a manager, and with YAML that is none, is refused', async () => {
  const server = await serveApi();
  const yaml = { 'content-type': 'application/apply-patch+yaml' };
  assert.match(
    (await server.call('PATCH', `${MAPS}/m`, mapManifest('m', {}), yaml)).body.message,
    /fieldManager: is required/,
  );
  const broken = await server.call('PATCH', `${MAPS}/m?fieldManager=x`, 'a: [', yaml);
  assert.equal(broken.status, 400);
  const text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: b}\n';
  assert.equal((await server.call('PATCH', `${MAPS}/m?fieldManager=x`, text, yaml)).status, 201);
});
