/** Whose a change of the ruleset was: by generations, since process ids say nothing in a container. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import type { Table } from '../../src/edge/nftables/objects.ts';
import { createNamespace } from '../namespace.ts';
import { until } from '../until.ts';

const ours = (elements: number): Table => ({
  family: 'inet',
  name: 'ours',
  sets: [
    {
      name: 's',
      key: ['ipv4_addr'],
      elements: Array.from({ length: elements }, (_, index) => ({
        key: [`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`],
      })),
    },
  ],
  chains: [{ name: 'a', rules: [] }],
});

test('what others change while we do is told with the names of their tables; what we change is no news', async () => {
  using space = createNamespace();
  using namespace = NetworkNamespace.open(space.path);
  using nftables = openNftables(namespace);
  const told: string[] = [];
  using _watch = nftables.watch((tables) => void told.push([...(tables ?? ['?'])].toSorted().join()));
  space.exec('nft', 'add table ip theirs');
  await Promise.all([
    (async () => {
      for (let time = 0; time < 6; time++) await nftables.replace(ours(time % 2 === 0 ? 100 : 10));
    })(),
    (async () => {
      for (let time = 0; time < 6; time++) await space.execAsync('nft', `add chain ip theirs c${time}`);
    })(),
  ]);
  space.exec('nft', 'add chain inet ours b; add chain ip theirs last');
  space.exec('nft', 'flush ruleset');
  const wanted = [...Array.from({ length: 7 }, () => 'theirs'), 'ours,theirs', 'ours,theirs'];
  await until('all of them are told', () => told.length >= wanted.length);
  assert.deepEqual(told, wanted);
});

test('tables of sixty thousand elements that only we load are no news, although the kernel tells of each', async () => {
  using space = createNamespace();
  using namespace = NetworkNamespace.open(space.path);
  using nftables = openNftables(namespace);
  const told: string[] = [];
  using _watch = nftables.watch((tables) => void told.push([...(tables ?? ['?'])].join()));
  for (const elements of [60_000, 0]) await nftables.replace(ours(elements));
  space.exec('nft', 'add table ip theirs');
  await until('what others do is told', () => told.length > 0);
  assert.deepEqual(told, ['theirs']);
});

test('in a PID namespace of its own a process knows its transactions too', () => {
  using space = createNamespace();
  const script = fileURLToPath(new URL('own-transactions.ts', import.meta.url));
  const inside = ['unshare', '--pid', '--fork', '--mount-proc', process.execPath, script];
  assert.equal(execFileSync('nsenter', [`--net=${space.path}`, ...inside], { encoding: 'utf8' }), 'theirs\n');
});
