import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isEqual } from '../../../lab/api/patch/equal.ts';
import { jsonPatch } from '../../../lab/api/patch/json-patch.ts';
import { mergePatch } from '../../../lab/api/patch/merge-patch.ts';
import { strategicPatch } from '../../../lab/api/patch/strategic.ts';
import { pod } from '../../../src/edge/kubernetes/schema/pod.ts';

test('JSON merge patch: the examples of RFC 7386, appendix A', () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, expected] of cases) assert.deepEqual(mergePatch(target, patch), expected);
});

test('JSON patch: the examples of RFC 6902, appendix A', () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { baz: 'qux', foo: 'bar' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo', foo: 'bar' }],
    [
      { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    ],
    [
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [
      { foo: 'bar' },
      [{ op: 'add', path: '/child', value: { grandchild: {} } }],
      { foo: 'bar', child: { grandchild: {} } },
    ],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [
      { foo: ['bar'] },
      [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }],
      { foo: ['bar', ['abc', 'def']] },
    ],
    [{ a: 1 }, [{ op: 'copy', from: '/a', path: '/b' }], { a: 1, b: 1 }],
  ];
  for (const [document, patch, expected] of cases) assert.deepEqual(jsonPatch(document, patch), expected);
  const refused: [unknown, unknown][] = [
    [{ baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'bar' }]],
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz/bat', value: 'qux' }]],
    [{ foo: [] }, [{ op: 'add', path: '/foo/2', value: 1 }]],
    [{ foo: [] }, [{ op: 'add', path: '/foo/01', value: 1 }]],
    [{}, [{ op: 'remove', path: '/a' }]],
    [{}, [{ op: 'replace', path: '/a', value: 1 }]],
    [{}, [{ op: 'jump', path: '/a' }]],
    [{}, [{ op: 'add', path: 'a', value: 1 }]],
    [{}, [{ op: 'add', path: '/a' }]],
    [{}, { op: 'add' }],
    [{}, [null]],
  ];
  for (const [document, patch] of refused) assert.throws(() => jsonPatch(document, patch), /JSON/);
});

test('no patch reaches a prototype', () => {
  const hostile = JSON.parse(
    '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}',
  ) as unknown;
  mergePatch({}, hostile);
  strategicPatch(pod, {}, hostile);
  jsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: 1 } }]);
  assert.throws(() => jsonPatch({}, [{ op: 'add', path: '/__proto__/polluted', value: 1 }]), /does not have/);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

const CONTAINERS = {
  spec: {
    containers: [
      { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
      { name: 'b', image: '1' },
    ],
  },
};

test('strategic merge: lists with keys are merged by item, the others replaced', () => {
  const patched = strategicPatch(pod, CONTAINERS, {
    spec: {
      containers: [{ name: 'b', image: '2' }, { name: 'c' }],
      readinessGates: [{ conditionType: 'x' }],
    },
  });
  assert.deepEqual(patched, {
    spec: {
      containers: [
        { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
        { name: 'b', image: '2' },
        { name: 'c' },
      ],
      readinessGates: [{ conditionType: 'x' }],
    },
  });
});

test('strategic merge: directives', () => {
  const spec = (patch: object, target: object = CONTAINERS) =>
    (strategicPatch(pod, target, { spec: patch }) as { spec: object }).spec;
  assert.deepEqual(spec({ containers: [{ name: 'a', $patch: 'delete' }] }), {
    containers: [{ name: 'b', image: '1' }],
  });
  assert.deepEqual(spec({ containers: [{ $patch: 'replace' }, { name: 'z' }] }), {
    containers: [{ name: 'z' }],
  });
  assert.deepEqual(spec({ $patch: 'replace', nodeName: 'n' }), { nodeName: 'n' });
  assert.deepEqual(spec({ '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] }), {
    containers: CONTAINERS.spec.containers.toReversed(),
  });
  assert.deepEqual(
    spec(
      { volumes: [{ name: 'v', $retainKeys: ['name', 'configMap'], configMap: {} }] },
      { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
    ),
    { volumes: [{ name: 'v', configMap: {} }] },
  );
  const meta = { metadata: { finalizers: ['a', 'b'] } };
  assert.deepEqual(
    strategicPatch(pod, meta, {
      metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] },
    }),
    {
      metadata: { finalizers: ['b', 'c'] },
    },
  );
  assert.throws(() => spec({ containers: [{ image: 'x' }] }), /lacks its merge key name/);
  assert.throws(() => spec({ $patch: 'explode' }), /use merge, replace or delete/);
});

test('whatever the documents are, a merge patch of itself changes nothing, and nothing crashes', () => {
  const json = fc.jsonValue() as fc.Arbitrary<unknown>;
  const withoutNulls = (value: unknown): boolean => !JSON.stringify(value).includes('null');
  fc.assert(
    fc.property(json.filter(withoutNulls), (value) => {
      assert.ok(isEqual(mergePatch(value, value), value));
    }),
  );
  fc.assert(
    fc.property(json, json, (target, patch) => {
      try {
        strategicPatch(pod, target, patch);
        jsonPatch(target, patch);
      } catch (error) {
        assert.equal((error as Error).name, 'ApiFailure');
      }
    }),
  );
});
