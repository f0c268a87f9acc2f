/** Changes a table in each way that there is, then lets another program change its own; prints what it was told of. */
import { execFileSync } from 'node:child_process';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import type { NftSet, Table } from '../../src/edge/nftables/objects.ts';

const set: NftSet = { name: 's', key: ['ipv4_addr'], elements: [] };
const table: Table = { family: 'inet', name: 'ours', sets: [set], chains: [{ name: 'a', rules: [] }] };
const amended: Table = { ...table, chains: [...table.chains, { name: 'b', rules: [] }] };

using nftables = openNftables();
const { promise: told, resolve } = Promise.withResolvers<ReadonlySet<string> | undefined>();
using _watch = nftables.watch(resolve);
await nftables.replace(table);
await nftables.amend(table, amended);
nftables.change(table, [{ change: 'add', set, elements: [{ key: ['10.0.0.1'] }] }]);
await nftables.remove(table);
execFileSync('nft', ['add table ip theirs']);
// A watch by itself keeps no process alive.
const awake = setInterval(() => undefined, 1000);
console.log([...((await told) ?? ['?'])].join());
clearInterval(awake);
