import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { openDirectoryStore, removeNode, writeNode } from '../../src/cluster/directory-store.ts';
import type { ClusterNode } from '../../src/plan/node/cluster-node.ts';

const directory = mkdtempSync(join(tmpdir(), 'flt-cluster-'));
after(() => rmSync(directory, { recursive: true }));

function node(name: string): ClusterNode {
  return { name, uid: `uid-${name}`, createdAt: '2026-01-01T00:00:00Z', internalIps: [], podCidrs: [] };
}

test('a written record is seen by who watches; garbage is a problem beside it', async () => {
  const store = openDirectoryStore(directory);
  let changes = 0;
  using _ = store.watch(() => changes++);
  writeNode(directory, node('node-1'));
  writeFileSync(join(directory, 'nodes', 'bad.json'), '{"name": "ba');
  await sleep(200);
  assert.ok(changes >= 1);
  assert.deepEqual(
    store.state.nodes.map(({ name }) => name),
    ['node-1'],
  );
  assert.match(store.state.problems[0] ?? '', /record bad\.json: .*ignored until it is mended/);
  removeNode(directory, node('node-1'));
  rmSync(join(directory, 'nodes', 'bad.json'));
  await sleep(200);
  assert.deepEqual(store.state, { nodes: [], problems: [] });
  store.close();
});

test('a claim is one node own, also after its crash, until the node is removed', async () => {
  const store = openDirectoryStore(directory);
  const range = parseCidr('10.244.9.0/24');
  assert.equal(await store.claimRanges(node('a'), [range]), true);
  assert.equal(await store.claimRanges(node('b'), [range]), false);
  assert.equal(await store.claimRanges(node('a'), [range]), true);
  removeNode(directory, node('a'));
  assert.equal(await store.claimRanges(node('b'), [range]), true);
  removeNode(directory, node('b'));
  store.close();
});

test('twenty processes that want a range at once get twenty different ones', async () => {
  const script = `
    import { openDirectoryStore } from '${new URL('../../src/cluster/directory-store.ts', import.meta.url).href}';
    import { claimFreeRanges } from '${new URL('../../src/cluster/ranges/claim.ts', import.meta.url).href}';
    const store = openDirectoryStore(process.argv[1]);
    const name = process.argv[2];
    const node = { name, uid: 'uid-' + name, createdAt: '2026-01-01T00:00:00Z', internalIps: [], podCidrs: [] };
    console.log((await claimFreeRanges(store, node, ['10.244.0.0/16'], { 4: 24, 6: 64 }))[0]);
    store.close();`;
  const runs = Array.from({ length: 20 }, (_, i) =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, directory, `n${i}`]),
  );
  const ranges = (await Promise.all(runs)).map(({ stdout }) => stdout.trim());
  assert.equal(new Set(ranges).size, 20);
  assert.ok(ranges.every((range) => range.startsWith('10.244.')));
});
