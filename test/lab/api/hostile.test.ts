import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mapManifest, podManifest, serveApi } from './fixture.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const TIERS = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies';

test('bodies that are none are refused with what is wrong, and change nothing', async () => {
  const { call, api } = await serveApi();
  const before = api.store.version;
  const deep = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`;
  const cases: [string, unknown, number, RegExp, Record<string, string>?][] = [
    ['10 MB', Buffer.alloc(10 << 20, 0x20), 413, /limit is 3145728/],
    ['no JSON', '{"kind":', 400, /the body is no JSON/],
    ['no object', '[]', 400, /is not an object/],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 400, /not UTF-8/],
    ['too deep', deep, 400, /deeper than 64 levels/],
    ['no kind', '{}', 400, /Object 'Kind' or 'apiVersion' is missing/],
    ['another kind', podManifest('a'), 400, /a Pod of v1, but this path takes ConfigMap of v1/],
    [
      'another namespace',
      { ...mapManifest('m', {}), metadata: { name: 'm', namespace: 'x' } },
      400,
      /does not match the namespace/,
    ],
    ['a wrong type', { ...mapManifest('m', {}), data: { a: 1 } }, 400, /data\[a\]: 1 is not a text/],
    ['no name', { ...mapManifest('m', {}), metadata: {} }, 422, /metadata\.name: Required value/],
    ['a bad name', mapManifest('Not_A_Name', {}), 422, /RFC 1123 subdomain/],
    [
      'a bad label',
      { ...mapManifest('m', {}), metadata: { name: 'm', labels: { 'a b': 'c' } } },
      422,
      /is no name of a label/,
    ],
    [
      'a version',
      { ...mapManifest('m', {}), metadata: { name: 'm', resourceVersion: '1' } },
      400,
      /must not be set on objects to be created/,
    ],
    [
      'a media type',
      mapManifest('m', {}),
      415,
      /accepted media types include/,
      { 'content-type': 'text/html' },
    ],
    [
      'protobuf without envelope',
      'abc',
      400,
      /has no envelope/,
      { 'content-type': 'application/vnd.kubernetes.protobuf' },
    ],
    [
      'protobuf cut off',
      'k8s\0\x0a\x7fabc',
      400,
      /is cut off/,
      { 'content-type': 'application/vnd.kubernetes.protobuf' },
    ],
  ];
  for (const [what, body, status, message, headers] of cases) {
    const answer = await call('POST', MAPS, body, headers);
    assert.equal(answer.status, status, `${what}: ${JSON.stringify(answer.body)}`);
    assert.match(answer.body.message, message, what);
    assert.equal(answer.body.kind, 'Status');
  }
  assert.equal(api.store.version, before);
});

test('an unknown field is warned of, or refused where the client wants it so, and never stored', async () => {
  const { call } = await serveApi();
  const odd = { ...podManifest('a'), spec: { containers: [{ name: 'c', imge: 'x' }], colour: 'red' } };
  const strict = await call('POST', `${PODS}?fieldValidation=Strict`, odd);
  assert.equal(strict.status, 400);
  assert.match(
    strict.body.message,
    /strict decoding error: unknown field "spec.containers\[0\].imge", unknown field "spec.colour"/,
  );
  const warned = await call('POST', PODS, odd);
  assert.equal(warned.status, 201);
  assert.equal(warned.warnings.length, 2);
  assert.deepEqual(Object.keys(warned.body.spec.containers[0]).toSorted(), ['imagePullPolicy', 'name']);
  assert.deepEqual(
    (await call('POST', `${PODS}?fieldValidation=Ignore`, { ...odd, metadata: { name: 'b' } })).warnings,
    [],
  );
});

test('pods that cannot be are refused, each fault by its field', async () => {
  const { call } = await serveApi();
  const cases: [object, RegExp][] = [
    [{ containers: [] }, /at least one container/],
    [{ containers: [{ name: 'a' }, { name: 'a' }] }, /spec\.containers\[1\]\.name: Duplicate value/],
    [{ containers: [{ name: 'a', ports: [{ containerPort: 0 }] }] }, /containerPort: Invalid value/],
    [{ containers: [{ name: 'a', ports: [{ containerPort: 1, protocol: 'X' }] }] }, /Unsupported value: "X"/],
    [{ containers: [{ name: 'a' }], restartPolicy: 'Maybe' }, /use Always, OnFailure or Never/],
  ];
  for (const [spec, message] of cases) {
    const { status, body } = await call('POST', PODS, podManifest('p', { spec }));
    assert.equal(status, 422);
    assert.match(body.message, message);
  }
  const { status, body } = await call('POST', PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: {},
  });
  assert.equal(status, 422);
  assert.match(body.message, /spec\.containers: Required value/);
  await call('POST', PODS, podManifest('p'));
  const changed = await call(
    'PATCH',
    `${PODS}/p`,
    { spec: { containers: [{ name: 'main', command: ['x'] }] } },
    {
      'content-type': 'application/strategic-merge-patch+json',
    },
  );
  assert.match(changed.body.message, /pod updates may not change fields other than/);
});

test('policies that cannot be are refused, each fault by its field', async () => {
  const { call } = await serveApi();
  const policy = (spec: object) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'np' },
    spec: { podSelector: {}, ...spec },
  });
  const cases: [object, RegExp][] = [
    [{ policyTypes: ['Sideways'] }, /use Ingress and Egress/],
    [{ ingress: [{ from: [{}] }] }, /spec\.ingress\[0\]\.from\[0\]: Required value/],
    [
      { ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] }] },
      /both ipBlock and another peer/,
    ],
    [
      { egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0' } }] }] },
      /spec\.egress\[0\]\.to\[0\]\.ipBlock\.cidr: Invalid value/,
    ],
    [{ ingress: [{ ports: [{ port: 70000 }] }] }, /use 1 to 65535/],
    [{ ingress: [{ ports: [{ port: 'http', endPort: 90 }] }] }, /endPort: Invalid value/],
    [
      { podSelector: { matchExpressions: [{ key: 'a', operator: 'Near' }] } },
      /not a valid selector operator/,
    ],
  ];
  for (const [spec, message] of cases) {
    const { status, body } = await call('POST', POLICIES, policy(spec));
    assert.equal(status, 422, JSON.stringify(spec));
    assert.match(body.message, message);
  }
  const tier = {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 't' },
  };
  const refused = await call('POST', TIERS, {
    ...tier,
    spec: { tier: 'Middle', priority: 5000, subject: {} },
  });
  assert.deepEqual(
    refused.body.details.causes.map(({ field }: { field: string }) => field),
    ['spec.tier', 'spec.priority', 'spec.subject'],
  );
  const strategic = await call(
    'PATCH',
    `${TIERS}/t`,
    {},
    { 'content-type': 'application/strategic-merge-patch+json' },
  );
  assert.equal(strategic.status, 404);
  await call('POST', TIERS, { ...tier, spec: { tier: 'Admin', priority: 5, subject: { namespaces: {} } } });
  const custom = await call(
    'PATCH',
    `${TIERS}/t`,
    {},
    { 'content-type': 'application/strategic-merge-patch+json' },
  );
  assert.equal(custom.status, 415);
});

test('paths and parameters that are none', async () => {
  const { call } = await serveApi();
  assert.equal((await call('GET', '/api/v1/unicorns')).status, 404);
  assert.equal((await call('POST', `${MAPS}/m`, {})).status, 405);
  assert.equal((await call('GET', `${MAPS}/m/scale`)).status, 404);
  assert.match((await call('GET', `${MAPS}?limit=many`)).body.message, /limit: "many" is not a number/);
  assert.match(
    (await call('GET', `${MAPS}?labelSelector=a%20b`)).body.message,
    /unable to parse requirement/,
  );
  assert.match(
    (await call('GET', `${MAPS}?fieldSelector=data.a%3D1`)).body.message,
    /field label not supported/,
  );
  assert.equal(
    (await call('POST', '/api/v1/namespaces/nowhere/configmaps', mapManifest('m', {}))).body.message,
    'namespaces "nowhere" not found',
  );
});

test('whatever is sent, the answer is a Status and never an internal error', async () => {
  const { call } = await serveApi();
  await call('POST', PODS, podManifest('p'));
  const types = ['merge-patch+json', 'json-patch+json', 'strategic-merge-patch+json', 'apply-patch+yaml'];
  const json = fc.jsonValue() as fc.Arbitrary<unknown>;
  const field = fc.constantFrom(
    'metadata',
    'spec',
    'status',
    'containers',
    'labels',
    'name',
    'managedFields',
    '$patch',
    'kind',
  );
  const object = fc.dictionary(field, fc.oneof(json, fc.dictionary(field, json)));
  await fc.assert(
    fc.asyncProperty(fc.oneof(json, object), fc.constantFrom(...types), async (body, type) => {
      const { status } = await call('PATCH', `${PODS}/p?fieldManager=x`, body, {
        'content-type': `application/${type}`,
      });
      assert.ok(status < 500, `${type} ${JSON.stringify(body)}`);
    }),
    { numRuns: 400 },
  );
});
