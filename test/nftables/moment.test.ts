/** A table of ranges changes while packets pass: each of them meets the old one or the new one, whatever the kernel does meanwhile. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, test } from 'node:test';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import type { NftSet, Table } from '../../src/edge/nftables/objects.ts';
import { createNamespace } from '../namespace.ts';

const TIMES = 15;
const RANGES = 2000;

const host = createNamespace('moment');
host.exec('ip', 'link', 'set', 'lo', 'up');
const namespace = NetworkNamespace.open(host.path);
const nftables = openNftables(namespace);
after(() => {
  nftables[Symbol.dispose]();
  namespace[Symbol.dispose]();
  host[Symbol.dispose]();
});

/** Marks what is not within its ranges, which everything is. */
function table(set: string, more = 0): Table {
  const ranges: NftSet = {
    name: set,
    key: ['ipv4_addr'],
    interval: true,
    elements: [
      { key: ['127.0.0.0/8'] },
      ...Array.from({ length: RANGES + more }, (_, index) => ({
        key: [`10.${index >> 8}.${index & 255}.0/25`],
      })),
    ],
  };
  return {
    family: 'inet',
    name: 'moment',
    sets: [ranges],
    chains: [
      { name: 'asked', rules: [{ match: `ip daddr @${set} accept` }, { match: 'meta mark set 7' }] },
      {
        name: 'out',
        hook: { type: 'filter', hook: 'output', priority: '0' },
        rules: [{ match: 'ip protocol icmp accept' }, { match: 'jump asked' }],
      },
    ],
  };
}

const WITNESS: Table = {
  family: 'inet',
  name: 'witness',
  counters: ['seen', 'missed'],
  sets: [],
  chains: [
    {
      name: 'out',
      hook: { type: 'filter', hook: 'output', priority: '10' },
      rules: [{ match: 'counter name "seen"' }, { match: 'meta mark 7 counter name "missed"' }],
    },
  ],
};

/** Packets to an address without an owner, one after another, as long as it lives. */
const FLOOD = `
  const socket = require('node:dgram').createSocket('udp4');
  const more = () => socket.send('x', 9, '127.0.0.1', () => setImmediate(more));
  for (let i = 0; i < 64; i++) more();`;

async function missed(change: (time: number) => Promise<void>): Promise<number> {
  await nftables.replace(WITNESS);
  const flood = spawn('nsenter', [`--net=${host.path}`, process.execPath, '-e', FLOOD], { stdio: 'inherit' });
  const count = async (name: string) => (await nftables.counts(WITNESS)).get(name)!.packets;
  try {
    for (let time = 0; time < TIMES; time++) {
      const before = await count('seen');
      await change(time);
      while ((await count('seen')) === before);
    }
  } finally {
    flood.kill();
  }
  return count('missed');
}

test('a table that is replaced by one like it', async () => {
  await nftables.remove(table('ranges'));
  await nftables.replace(table('ranges'));
  assert.equal(await missed((time) => nftables.replace(table('ranges', time))), 0);
});

test('a table that is replaced by another one', async () => {
  await nftables.replace(table('ranges-0'));
  assert.equal(await missed((time) => nftables.replace(table(`ranges-${time + 1}`))), 0);
});

test('a table that is amended', async () => {
  let now = table('ranges-0');
  await nftables.replace(now);
  const next = async (time: number) => {
    const wanted = table(`ranges-${time + 1}`);
    await nftables.amend(now, wanted);
    now = wanted;
  };
  assert.equal(await missed(next), 0);
});

test('what somebody made of another kind under our names gives way', async () => {
  await nftables.remove(table('ranges'));
  host.exec('nft', 'add table inet moment; add set inet moment ranges { type ipv6_addr; }');
  await nftables.replace(table('ranges'));
  assert.match(
    (await nftables.read({ family: 'inet', name: 'moment' })) ?? '',
    /set ranges \{\s*type ipv4_addr/,
  );
});
