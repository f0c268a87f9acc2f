import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { kindNamed } from '../../../lab/api/kinds.ts';
import { openStore } from '../../../lab/api/storage/journal.ts';
import type { ApiObject } from '../../../lab/api/storage/object.ts';
import { createStore } from '../../../lab/api/storage/store.ts';
import { emptyStore } from './fixture.ts';

const MAP = kindNamed('ConfigMap');

function map(name: string, value = ''): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    data: { value },
  };
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'fairlead-store-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('one version counts every change; the last ones are kept in order', () => {
  const store = emptyStore(4);
  for (const name of ['a', 'b', 'c']) store.put(MAP, map(name));
  store.remove(MAP, map('b'));
  assert.equal(store.version, 4);
  assert.deepEqual(
    store.since(1)?.map(({ type, object }) => [type, object.metadata.name, object.metadata.resourceVersion]),
    [
      ['ADDED', 'b', '2'],
      ['ADDED', 'c', '3'],
      ['DELETED', 'b', '4'],
    ],
  );
  assert.deepEqual(store.since(4), []);
  for (let count = 0; count < 20; count++) store.put(MAP, map('a', String(count)));
  assert.equal(store.since(1), undefined, 'what is forgotten is said to be');
  assert.equal(store.since(store.version - 4)?.length, 4);
  assert.deepEqual(
    store.list(MAP, 'default').map(({ metadata }) => metadata.name),
    ['a', 'c'],
  );
  assert.deepEqual(store.list(MAP, 'def'), [], 'a namespace is no prefix');
});

test('a change that cannot be recorded has not happened', () => {
  const store = createStore({ version: 0, objects: [] }, () => {
    throw new Error('no space left on device');
  });
  assert.throws(() => store.put(MAP, map('a')), /no space/);
  assert.equal(store.version, 0);
  assert.equal(store.get(MAP, 'default', 'a'), undefined);
});

test('objects and their version outlive the process, a line that was cut off does not count', () => {
  const path = directory();
  const first = openStore(path);
  first.put(MAP, map('a', '1'));
  first.put(MAP, map('a', '2'));
  first.put(MAP, map('b'));
  first.remove(MAP, map('b'));
  appendFileSync(join(path, 'journal.ndjson'), '{"type":"ADDED","version":5,"kind":"Conf');
  const second = openStore(path);
  assert.equal(second.version, 4);
  assert.deepEqual(second.list(MAP), first.list(MAP));
  assert.equal(second.since(3), undefined, 'a watch from before lists again');
  assert.deepEqual(second.since(4), []);
  second.put(MAP, map('c'));
  assert.equal(openStore(path).list(MAP).length, 2);
});

test('the journal is folded into the snapshot before it grows long', () => {
  const path = directory();
  const store = openStore(path);
  for (let count = 0; count <= 2500; count++) store.put(MAP, map('a', String(count)));
  assert.ok(readFileSync(join(path, 'journal.ndjson'), 'utf8').split('\n').length < 600);
  assert.deepEqual(openStore(path).get(MAP, 'default', 'a'), store.get(MAP, 'default', 'a'));
});
