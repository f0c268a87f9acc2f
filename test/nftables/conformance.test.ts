/** One suite for the kernel's nftables and for the fake. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { createFakeNftables } from '../../src/edge/nftables/fake.ts';
import { type Nftables, openNftables } from '../../src/edge/nftables/nft.ts';
import type { Element, NftSet, Table } from '../../src/edge/nftables/objects.ts';
import { createNamespace } from '../namespace.ts';

const host = createNamespace('nft');
const namespace = NetworkNamespace.open(host.path);
after(() => {
  namespace[Symbol.dispose]();
  host[Symbol.dispose]();
});

const kinds: Record<string, () => Nftables> = {
  kernel: () => openNftables(namespace),
  fake: createFakeNftables,
};

const RANGES: NftSet = {
  name: 'ranges',
  key: ['ipv4_addr'],
  interval: true,
  elements: [{ key: ['10.0.0.0/8'] }],
};
const PORTS: NftSet = {
  name: 'ports',
  key: ['inet_proto', 'inet_service'],
  value: ['ipv4_addr', 'inet_service'],
  elements: [],
};
const CHAINS: NftSet = { name: 'chains', key: ['ipv4_addr'], value: 'verdict', elements: [] };

function table(name: string, ...sets: NftSet[]): Table {
  return { family: 'inet', name, sets, chains: [{ name: 'web', rules: [{ match: 'accept' }] }] };
}

for (const [kind, open] of Object.entries(kinds)) {
  describe(kind, () => {
    test('a table is replaced whole, read back, and removed; removing what is not there is fine', async () => {
      using nftables = open();
      await nftables.replace(table('a', RANGES));
      await nftables.replace(table('a', PORTS));
      const text = (await nftables.read({ family: 'inet', name: 'a' })) ?? '';
      assert.match(text, /map ports/);
      assert.doesNotMatch(text, /ranges/);
      await nftables.remove({ family: 'inet', name: 'a' });
      await nftables.remove({ family: 'inet', name: 'a' });
      assert.equal(await nftables.read({ family: 'inet', name: 'a' }), undefined);
    });

    test('a table is amended by what differs, and what it is not cannot be amended', async () => {
      using nftables = open();
      const lookup = (name: string, chain: string): NftSet => ({
        name,
        key: ['ipv4_addr'],
        value: 'verdict',
        interval: true,
        elements: [{ key: ['10.0.0.1-10.0.0.9'], value: { verdict: 'goto', chain } }],
      });
      const amended = (chain: string, ...sets: NftSet[]): Table => ({
        family: 'inet',
        name: 'amended',
        counters: ['kept', `of-${chain}`],
        sets,
        chains: [
          { name: chain, rules: [{ match: `counter name "of-${chain}" drop` }] },
          { name: 'base', rules: sets.map((set) => ({ match: `ip daddr vmap @${set.name}` })) },
        ],
      });
      const [first, second] = [
        amended('one', lookup('a', 'one'), lookup('b', 'one')),
        amended('two', lookup('b', 'two'), lookup('c', 'two')),
      ];
      await nftables.remove(first);
      await assert.rejects(nftables.amend(first, second), /FL_NFT|refused|failed/);
      assert.equal(await nftables.read(first), undefined, 'nothing was done by halves');
      await nftables.replace(second);
      const wanted = lines(await nftables.read(second));
      await nftables.replace(first);
      await nftables.amend(first, second);
      assert.deepEqual(lines(await nftables.read(second)), wanted);
      assert.deepEqual([...(await nftables.counts(second)).keys()].toSorted(), ['kept', 'of-two']);
      await nftables.amend(second, second);
      assert.deepEqual(lines(await nftables.read(second)), wanted);
    });

    test('elements come and go, with values and verdicts; one that is there may be added again', async () => {
      using nftables = open();
      const name = { family: 'inet', name: 'b' } as const;
      await nftables.replace(table('b', RANGES, PORTS, CHAINS));
      const port: Element = { key: ['tcp', '8080'], value: ['10.244.0.2', '80'] };
      nftables.change(name, [
        { change: 'add', set: RANGES, elements: [{ key: ['192.168.1.2'] }, { key: ['240.0.0.0/4'] }] },
        { change: 'add', set: PORTS, elements: [port] },
        {
          change: 'add',
          set: CHAINS,
          elements: [{ key: ['10.244.0.2'], value: { verdict: 'goto', chain: 'web' } }],
        },
      ]);
      nftables.change(name, [{ change: 'add', set: PORTS, elements: [port] }]);
      const text = ((await nftables.read(name)) ?? '').replaceAll(/\s+/g, ' ');
      for (const expected of [
        '10.0.0.0/8',
        '192.168.1.2',
        '240.0.0.0/4',
        'tcp . 8080 : 10.244.0.2 . 80',
        '10.244.0.2 : goto web',
      ]) {
        assert.ok(text.includes(expected), `${expected} in ${text}`);
      }
      const other: Element = { key: ['udp', '8080'], value: ['10.244.0.2', '80'] };
      assert.equal(nftables.holds(name, [{ set: PORTS, elements: [port] }]), true);
      assert.equal(nftables.holds(name, [{ set: PORTS, elements: [port, other] }]), false);
      nftables.change(name, [{ change: 'delete', set: PORTS, elements: [port] }]);
      assert.ok(!((await nftables.read(name)) ?? '').includes('8080'));
    });

    test('of several changes all take effect or none', async () => {
      using nftables = open();
      const name = { family: 'inet', name: 'c' } as const;
      await nftables.replace(table('c', RANGES));
      const before = await nftables.read(name);
      assert.throws(
        () =>
          nftables.change(name, [
            { change: 'add', set: RANGES, elements: [{ key: ['192.168.1.2'] }] },
            { change: 'delete', set: RANGES, elements: [{ key: ['172.16.0.1'] }] },
          ]),
        { code: 'FL_NFT', message: /ENOENT/ },
      );
      assert.equal(await nftables.read(name), before);
      assert.throws(
        () =>
          nftables.change({ family: 'inet', name: 'none' }, [
            { change: 'add', set: RANGES, elements: [{ key: ['192.168.1.2'] }] },
          ]),
        { code: 'FL_NFT' },
      );
    });

    test('tables of others that translate addresses are told, our own is not', async () => {
      using nftables = open();
      const nat = {
        name: 'x',
        hook: { type: 'nat', hook: 'prerouting', priority: 'dstnat' },
        rules: [],
      } as const;
      await nftables.replace({ family: 'ip', name: 'kube', sets: [], chains: [nat] });
      await nftables.replace({ family: 'inet', name: 'own', sets: [], chains: [nat] });
      assert.deepEqual(await nftables.foreignNat({ family: 'inet', name: 'own' }), ['ip kube']);
      await nftables.remove({ family: 'ip', name: 'kube' });
      assert.deepEqual(await nftables.foreignNat({ family: 'inet', name: 'own' }), []);
      await nftables.remove({ family: 'inet', name: 'own' });
    });
  });
}

test('whatever is added and deleted in whatever batches, the kernel holds what is left', async () => {
  using nftables = openNftables(namespace);
  const name = { family: 'inet', name: 'd' } as const;
  const ip = fc.nat(200).map((last) => `10.9.0.${last}`);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.boolean(), ip), { maxLength: 60 }), async (steps) => {
      await nftables.replace(table('d', { name: 'ips', key: ['ipv4_addr'], elements: [] }));
      const set: NftSet = { name: 'ips', key: ['ipv4_addr'], elements: [] };
      const model = new Set<string>();
      for (const [add, key] of steps) {
        if (!add && !model.delete(key)) continue;
        if (add) model.add(key);
        nftables.change(name, [{ change: add ? 'add' : 'delete', set, elements: [{ key: [key] }] }]);
      }
      const listed = ((await nftables.read(name)) ?? '').match(/10\.9\.0\.\d+/g) ?? [];
      assert.deepEqual(listed.toSorted(), [...model].toSorted());
    }),
    { numRuns: 15 },
  );
});

test('ten thousand elements in one batch', async () => {
  using nftables = openNftables(namespace);
  const set: NftSet = { name: 'many', key: ['ipv4_addr'], elements: [] };
  await nftables.replace(table('e', set));
  const elements = Array.from({ length: 10_000 }, (_, i) => ({
    key: [`10.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`],
  }));
  nftables.change({ family: 'inet', name: 'e' }, [{ change: 'add', set, elements }]);
  const listed =
    ((await nftables.read({ family: 'inet', name: 'e' })) ?? '').match(/10\.\d+\.\d+\.\d+/g) ?? [];
  assert.equal(listed.length, 10_000);
});

test('changes and questions share one socket, which is open until the end: closing one waits for the kernel', async () => {
  const set: NftSet = { name: 'ips', key: ['ipv4_addr'], elements: [{ key: ['10.9.0.1'] }] };
  const name = { family: 'inet', name: 'g' } as const;
  const sockets = () =>
    host
      .exec('cat', '/proc/net/netlink')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, protocol]) => protocol === '12')
      .map(([address]) => address);
  const others = sockets();
  const own = () => sockets().filter((address) => !others.includes(address));
  {
    using nftables = openNftables(namespace);
    await nftables.replace(table('g', set));
    nftables.change(name, [{ change: 'delete', set, elements: set.elements }]);
    const first = own();
    assert.equal(first.length, 1);
    nftables.change(name, [{ change: 'add', set, elements: set.elements }]);
    assert.equal(nftables.holds(name, [{ set, elements: set.elements }]), true);
    assert.deepEqual(own(), first);
  }
  assert.deepEqual(own(), []);
});

test('a refused ruleset names what nft said', async () => {
  using nftables = openNftables(namespace);
  await assert.rejects(
    nftables.replace({
      family: 'inet',
      name: 'f',
      sets: [],
      chains: [{ name: 'x', rules: [{ match: 'jump nowhere' }] }],
    }),
    { code: 'FL_NFT', message: /nft -f - failed: .*(No such file|nowhere)/ },
  );
});

/** Without the order of what has none. */
function lines(text: string | undefined): string[] {
  return (text ?? '').split('\n').toSorted();
}
