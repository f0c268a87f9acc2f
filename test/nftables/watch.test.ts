import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import { watchRulesets } from '../../src/edge/nftables/watch.ts';
import { createNamespace } from '../namespace.ts';
import { until } from '../until.ts';

test('what others change is told with the names of their tables; what we change is no news', async () => {
  using space = createNamespace();
  using namespace = NetworkNamespace.open(space.path);
  using nftables = openNftables(namespace);
  const told: string[][] = [];
  using _watch = watchRulesets(
    nftables.pids,
    (tables) => void told.push([...(tables ?? ['unknown'])].toSorted()),
    namespace,
  );
  await nftables.replace({ family: 'inet', name: 'ours', sets: [], chains: [{ name: 'a', rules: [] }] });
  space.exec('nft', 'add table ip theirs; add set ip theirs s { type ipv4_addr; elements = { 10.0.0.1 }; }');
  await until('a change of others is told', () => told.length === 1);
  space.exec('nft', 'add chain inet ours b; add chain ip theirs c');
  await until('a change of ours by others is told', () => told.length === 2);
  space.exec('nft', 'flush ruleset');
  await until('that all is gone is told', () => told.length === 3);
  assert.deepEqual(told, [['theirs'], ['ours', 'theirs'], ['ours', 'theirs']]);
});
