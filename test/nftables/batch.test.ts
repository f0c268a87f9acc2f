/** What is written without nft(8) is what nft(8) makes of the same words: it lists both alike. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { runToEnd } from '../../src/base/run/slices.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { encodeOperations } from '../../src/edge/nftables/batch/batch.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import type { NftSet, Table } from '../../src/edge/nftables/objects.ts';
import { amendTable } from '../../src/edge/nftables/transition.ts';
import { createNamespace } from '../namespace.ts';

const host = createNamespace('batch');
const namespace = NetworkNamespace.open(host.path);
const nftables = openNftables(namespace);
after(() => {
  nftables[Symbol.dispose]();
  namespace[Symbol.dispose]();
  host[Symbol.dispose]();
});

const NAME = { family: 'inet', name: 'batch' } as const;
const jump = { verdict: 'goto', chain: 'denied' } as const;

/** Of every shape that a pod's policies have. */
const SETS: readonly NftSet[] = [
  {
    name: 'one4',
    key: ['ipv4_addr'],
    value: 'verdict',
    elements: [
      { key: ['10.0.0.1'], value: jump },
      { key: ['10.0.0.2'], value: { verdict: 'return' } },
    ],
  },
  { name: 'one6', key: ['ipv6_addr'], value: 'verdict', elements: [{ key: ['fd00::1'], value: jump }] },
  {
    name: 'range4',
    key: ['ipv4_addr'],
    value: 'verdict',
    interval: true,
    elements: [
      { key: ['10.0.0.0-10.0.0.9'], value: jump },
      { key: ['224.0.0.0/3'], value: { verdict: 'drop' } },
    ],
  },
  {
    name: 'range6',
    key: ['ipv6_addr'],
    value: 'verdict',
    interval: true,
    elements: [{ key: ['fd00::/64'], value: jump }],
  },
  {
    name: 'port',
    key: ['inet_proto', 'inet_service'],
    value: 'verdict',
    elements: [
      { key: ['tcp', '80'], value: jump },
      { key: ['sctp', '81'], value: { verdict: 'return' } },
    ],
  },
  {
    name: 'ports',
    key: ['inet_proto', 'inet_service'],
    value: 'verdict',
    interval: true,
    elements: [
      { key: ['tcp', '1-65535'], value: jump },
      { key: ['udp', '53-54'], value: { verdict: 'return' } },
    ],
  },
  { name: 'many4', key: ['ipv4_addr'], elements: [{ key: ['10.0.0.1'] }] },
  { name: 'many6', key: ['ipv6_addr'], elements: [] },
  { name: 'itself4', key: ['ipv4_addr', 'ipv4_addr'], elements: [{ key: ['10.0.0.1', '10.0.0.1'] }] },
  { name: 'itself6', key: ['ipv6_addr', 'ipv6_addr'], elements: [{ key: ['fd00::1', 'fd00::1'] }] },
];

const AFTER: Table = {
  ...NAME,
  counters: ['denied', 'passed'],
  sets: SETS,
  chains: [
    {
      name: 'denied',
      rules: [
        { match: 'ip saddr . ip daddr @itself4 accept' },
        { match: 'ip6 saddr . ip6 daddr @itself6 accept' },
        {
          match: 'limit rate 20/second burst 50 packets log prefix "fairlead denied" group 10244 snaplen 128',
        },
        { match: 'counter name "denied" drop' },
      ],
    },
    { name: 'passed', rules: [{ match: 'counter name "passed" return' }] },
    {
      name: 'pod',
      rules: [
        { match: 'ip saddr vmap @one4' },
        { match: 'ip daddr vmap @range4' },
        { match: 'ip6 saddr vmap @one6' },
        { match: 'ip6 daddr vmap @range6' },
        { match: 'ip daddr @many4 goto denied' },
        { match: 'ip6 saddr @many6 return' },
        { match: 'goto passed' },
      ],
    },
    {
      name: 'port-pod',
      rules: [
        { match: 'meta l4proto . th dport vmap @port' },
        { match: 'meta l4proto . th dport vmap @ports' },
        { match: 'jump passed' },
        { match: 'return' },
      ],
    },
  ],
};
const BEFORE: Table = {
  ...NAME,
  counters: [],
  sets: [],
  chains: [{ name: 'pod', rules: [{ match: 'drop' }] }],
};

/** Without the order of what has none. */
async function listing(): Promise<string[]> {
  return ((await nftables.read(NAME)) ?? '').split('\n').toSorted();
}

test('a table that is amended without nft is listed as one that nft made, there and back', async () => {
  for (const [from, to] of [
    [BEFORE, AFTER],
    [AFTER, BEFORE],
  ] as const) {
    await nftables.remove(NAME);
    await nftables.replace(to);
    const wanted = await listing();
    await nftables.remove(NAME);
    await nftables.replace(from);
    for (const stage of runToEnd(amendTable(from, to)))
      assert.ok(encodeOperations(NAME, stage) !== undefined, `nft is run for ${JSON.stringify(stage)}`);
    await nftables.amend(from, to);
    assert.deepEqual(await listing(), wanted);
  }
});

test('a shape that is not known here, and what is large, is left to nft', async () => {
  const stageOf = (table: Table) => runToEnd(amendTable(BEFORE, table))[0]!;
  const other: Table = {
    ...BEFORE,
    chains: [...BEFORE.chains, { name: 'other', rules: [{ match: 'ip ttl 1 drop' }] }],
  };
  const large: Table = {
    ...BEFORE,
    sets: [
      {
        name: 'large',
        key: ['ipv4_addr'],
        elements: Array.from({ length: 6000 }, (_, index) => ({
          key: [`10.0.${index >> 8}.${index & 255}`],
        })),
      },
    ],
  };
  for (const table of [other, large]) {
    assert.equal(encodeOperations(NAME, stageOf(table)), undefined);
    await nftables.remove(NAME);
    await nftables.replace(BEFORE);
    await nftables.amend(BEFORE, table);
    assert.match((await listing()).join('\n'), /ip ttl 1 drop|10\.0\.19\.135/);
  }
});
