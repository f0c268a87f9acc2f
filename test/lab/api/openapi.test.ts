import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KINDS } from '../../../lab/api/kinds.ts';
import { openapiV2, openapiV3, openapiV3Paths } from '../../../lab/api/openapi/documents.ts';
import { encodeOpenapiV2 } from '../../../lab/api/openapi/protobuf.ts';
import { serveApi } from './fixture.ts';

/** The fields of a message: numbers and bytes. Every field that the document uses has a length. */
function fieldsOf(bytes: Buffer): [number, Buffer][] {
  const fields: [number, Buffer][] = [];
  let offset = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (offset < bytes.length) {
    const tag = varint();
    assert.equal(tag & 7, 2, 'wire type');
    const length = varint();
    assert.ok(offset + length <= bytes.length, 'cut off');
    fields.push([tag >> 3, bytes.subarray(offset, offset + length)]);
    offset += length;
  }
  return fields;
}

function inside(bytes: Buffer, ...numbers: readonly number[]): Buffer[] {
  return numbers.reduce<Buffer[]>(
    (messages, number) =>
      messages.flatMap((message) =>
        fieldsOf(message)
          .filter(([n]) => n === number)
          .map(([, b]) => b),
      ),
    [bytes],
  );
}

test('the protocol buffer holds a definition per kind, with its fields and extensions (gnostic openapi_v2.proto)', () => {
  const bytes = encodeOpenapiV2(openapiV2());
  assert.deepEqual(inside(bytes, 1).map(String), ['2.0']);
  const names = inside(bytes, 9, 1, 1).map(String);
  assert.equal(names.length, KINDS.length);
  assert.ok(names.includes('io.k8s.api.core.v1.Pod'));
  const pod = inside(bytes, 9, 1).find((entry) => String(inside(entry, 1)[0]) === 'io.k8s.api.core.v1.Pod')!;
  assert.deepEqual(inside(pod, 2, 22, 1).map(String), ['object']);
  assert.ok(inside(pod, 2, 25, 1, 1).map(String).includes('spec'));
  const kind = inside(pod, 2, 31).find(
    (extension) => String(inside(extension, 1)[0]) === 'x-kubernetes-group-version-kind',
  )!;
  assert.equal(String(inside(kind, 2, 2)[0]), '[{"group":"","kind":"Pod","version":"v1"}]');
  const patch = inside(bytes, 8, 2).find((path) => String(inside(path, 1)[0]).endsWith('/pods/{name}'))!;
  const parameters = inside(patch, 2, 8, 8, 1, 2, 3, 4).map(String);
  assert.deepEqual(parameters, ['dryRun', 'fieldManager', 'fieldValidation', 'force']);
  assert.ok(inside(patch, 2, 8, 7).map(String).includes('application/strategic-merge-patch+json'));
});

test('lists say how they are merged', () => {
  const document = openapiV2() as {
    definitions: Record<string, { properties: Record<string, { properties: Record<string, object> }> }>;
  };
  const containers = document.definitions['io.k8s.api.core.v1.Pod']!.properties['spec']!.properties[
    'containers'
  ] as Record<string, unknown>;
  assert.equal(containers['x-kubernetes-patch-merge-key'], 'name');
  assert.deepEqual(containers['x-kubernetes-list-map-keys'], ['name']);
});

test('version 3 has a document per group and version, and what is asked for is served', async () => {
  assert.ok(openapiV3Paths().includes('apis/policy.networking.k8s.io/v1alpha2'));
  for (const root of openapiV3Paths()) assert.ok(openapiV3(root));
  const { call } = await serveApi();
  const index = await call('GET', '/openapi/v3');
  for (const { serverRelativeURL } of Object.values(
    index.body.paths as Record<string, { serverRelativeURL: string }>,
  ))
    assert.equal((await call('GET', serverRelativeURL)).body.openapi, '3.0.0');
  assert.equal((await call('GET', '/openapi/v3/apis/none/v1')).status, 404);
  assert.equal((await call('GET', '/openapi/v2')).body.swagger, '2.0');
});

test('discovery names every kind, its group and its short names', async () => {
  const { call } = await serveApi();
  assert.deepEqual((await call('GET', '/api')).body.versions, ['v1']);
  const groups = (await call('GET', '/apis')).body.groups as {
    name: string;
    versions: { groupVersion: string }[];
  }[];
  const lists = [
    await call('GET', '/api/v1'),
    ...(await Promise.all(
      groups.flatMap(({ versions }) =>
        versions.map(({ groupVersion }) => call('GET', `/apis/${groupVersion}`)),
      ),
    )),
  ];
  const named = lists
    .flatMap(({ body }) => body.resources as { name: string; kind: string }[])
    .filter(({ name }) => !name.includes('/'));
  assert.deepEqual(new Set(named.map(({ kind }) => kind)), new Set(KINDS.map(({ kind }) => kind)));
  assert.match((await call('GET', '/version')).body.gitVersion, /^v1\.\d+\.\d+/);
  assert.equal((await call('GET', '/apis/none')).status, 404);
});
