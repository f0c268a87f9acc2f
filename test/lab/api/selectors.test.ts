import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { kindNamed } from '../../../lab/api/kinds.ts';
import { parseFieldSelector } from '../../../lab/api/request/field-selector.ts';
import { matchesLabels, parseLabelSelector } from '../../../lab/api/request/label-selector.ts';
import { parseTarget } from '../../../lab/api/request/request.ts';
import { formatSeconds } from '../../../lab/api/table/age.ts';

test('label selectors select what they say', () => {
  const labels = { app: 'web', tier: 'front', n: '5', empty: '', 'example.com/x': 'y' };
  const matching = [
    '',
    'app=web',
    'app==web',
    'app!=db',
    'nosuch!=x',
    'app in (db, web)',
    'app notin (db)',
    'app,tier',
    '!nosuch',
    'n>4',
    'n<6',
    'empty=',
    'example.com/x=y',
    'app=web,tier in (front,back),!z',
  ];
  const others = [
    'app=db',
    'app!=web',
    'app in (db)',
    'app notin (web)',
    'nosuch',
    '!app',
    'n>5',
    'nosuch>1',
    'nosuch=',
  ];
  for (const text of matching) assert.ok(matchesLabels(parseLabelSelector(text), labels), text);
  for (const text of others) assert.ok(!matchesLabels(parseLabelSelector(text), labels), text);
  assert.ok(!matchesLabels(parseLabelSelector('constructor'), {}), 'a prototype has no labels');
});

test('a text that is no selector is refused with the part that is none', () => {
  for (const text of ['a=b=c', 'a in b', 'a in (b', '=b', 'a,,b', 'a ~ b', 'a>x'])
    assert.throws(() => parseLabelSelector(text), /unable to parse requirement/, text);
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseLabelSelector(text);
      } catch (error) {
        assert.equal((error as Error).name, 'ApiFailure');
      }
    }),
  );
});

test('field selectors name only what a kind offers', () => {
  const pod = kindNamed('Pod');
  assert.deepEqual(parseFieldSelector('spec.nodeName=node-1,status.phase!=Running', pod), [
    { field: 'spec.nodeName', equal: true, value: 'node-1' },
    { field: 'status.phase', equal: false, value: 'Running' },
  ]);
  assert.throws(
    () => parseFieldSelector('spec.color=red', pod),
    /not supported: "spec.color"; pods offer metadata.name/,
  );
  assert.throws(() => parseFieldSelector('metadata.namespace=x', kindNamed('Node')), /not supported/);
});

test('paths lead to kinds, namespaces and names', () => {
  const describe = (path: string) => {
    const target = parseTarget(path);
    return target && [target.kind.kind, target.namespace, target.name, target.subresource];
  };
  assert.deepEqual(describe('/api/v1/pods'), ['Pod', undefined, undefined, undefined]);
  assert.deepEqual(describe('/api/v1/namespaces/a/pods/b/status'), ['Pod', 'a', 'b', 'status']);
  assert.deepEqual(describe('/api/v1/namespaces/a/status'), ['Namespace', undefined, 'a', 'status']);
  assert.deepEqual(describe('/api/v1/namespaces/a'), ['Namespace', undefined, 'a', undefined]);
  assert.deepEqual(describe('/apis/networking.k8s.io/v1/namespaces/a/networkpolicies'), [
    'NetworkPolicy',
    'a',
    undefined,
    undefined,
  ]);
  for (const path of [
    '/api/v1/pods/x',
    '/api/v1/nodes//x',
    '/api/v2/pods',
    '/apis/v1/pods',
    '/api/v1/namespaces/a/nodes/b/c',
    '/api/v1/%zz',
    '/',
  ])
    assert.equal(describe(path), undefined, path);
});

test('ages have two units while they are small', () => {
  const cases: [number, string][] = [
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [125, '2m5s'],
    [600, '10m'],
    [10_799, '179m'],
    [10_860, '3h1m'],
    [86_400, '24h'],
    [180_000, '2d2h'],
    [864_000, '10d'],
  ];
  for (const [seconds, text] of cases) assert.equal(formatSeconds(seconds), text);
});
