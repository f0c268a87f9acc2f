import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLogger } from '../../base/log/logger.ts';
import { createFakeNftables, type FakeNftables } from './fake.ts';
import type { NftSet, Table } from './objects.ts';
import { TableReconciler } from './table-reconciler.ts';

const NAME = { family: 'inet', name: 'kept' } as const;
const ports = (open: Iterable<string>): NftSet => ({
  name: 'ports',
  key: ['inet_service'],
  elements: [...open].map((port) => ({ key: [port] })),
});
const table = (open: Iterable<string>, rule = 'accept'): Table => ({
  ...NAME,
  sets: [ports(open)],
  chains: [{ name: 'a', rules: [{ match: rule }] }],
});
const openKeeper = (fake: FakeNftables) =>
  new TableReconciler(fake, NAME, createLogger({ level: 'error', format: 'text' }));
const held = (fake: FakeNftables) =>
  (fake.tables.get('inet kept')?.sets[0]?.elements ?? []).map(({ key }) => String(key[0])).toSorted();
const soon = () => new Promise<void>((resolve) => setImmediate(resolve));

test('a port that is opened behind plans that do not know it stays open, and one change runs at a time', async () => {
  let [running, most] = [0, 0];
  const fake = createFakeNftables(async () => {
    most = Math.max(most, ++running);
    await soon();
    running--;
  });
  const keeper = openKeeper(fake);
  await keeper.ensure(() => table([]));
  const calls = [
    keeper.ensure(() => table([], 'drop')),
    keeper.ensure(async () => {
      const planned = table([], 'counter');
      await soon();
      return planned;
    }),
    keeper.change([{ change: 'add', set: ports([]), elements: [{ key: ['80'] }] }]),
  ];
  await Promise.all(calls);
  assert.deepEqual([held(fake), most], [['80'], 1]);
});

test('a port that is gone with the table already is closed without complaint', async () => {
  const fake = createFakeNftables();
  const keeper = openKeeper(fake);
  await keeper.ensure(() => table(['80']));
  const close = (...closed: string[]) =>
    keeper.change([{ change: 'delete', set: ports([]), elements: ports(closed).elements }]);
  await keeper.ensure(() => table(['81']));
  assert.equal(await close('80', '81'), true);
  assert.deepEqual(held(fake), []);
});

test('in whatever order plans, openings and closings come, the kernel holds what is open', async () => {
  const step = fc.record({
    what: fc.constantFrom('open', 'close', 'plan', 'wait'),
    port: fc.nat(4).map(String),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const fake = createFakeNftables(soon);
      const keeper = openKeeper(fake);
      const open = new Set<string>();
      await keeper.ensure(() => table([]));
      const calls: Promise<unknown>[] = [];
      for (const [index, { what, port }] of steps.entries()) {
        if (what === 'plan') calls.push(keeper.ensure(() => table(open, `counter ${index % 3}`)));
        if (what === 'wait') await soon();
        if (what === 'plan' || what === 'wait') continue;
        if (what === 'open') open.add(port);
        else open.delete(port);
        const change = what === 'open' ? 'add' : 'delete';
        calls.push(keeper.change([{ change, set: ports([]), elements: [{ key: [port] }] }]));
      }
      await Promise.all(calls);
      assert.deepEqual(held(fake), [...open].toSorted());
    }),
    { numRuns: 200 },
  );
});

test('what others do in their own tables costs nothing; what they do in ours is put right, once', async () => {
  const fake = createFakeNftables();
  const keeper = openKeeper(fake);
  using _watch = fake.watch((tables) => {
    if (tables?.has(NAME.name) ?? true) keeper.distrust();
  });
  await keeper.ensure(() => table(['80']));
  await keeper.change([{ change: 'add', set: ports([]), elements: [{ key: ['81'] }] }]);
  const wanted = () => table(['80', '81']);
  const before = fake.generation;
  for (let time = 0; time < 10; time++) {
    fake.others.replace({ family: 'ip', name: 'theirs', sets: [], chains: [] });
    await keeper.ensure(wanted);
  }
  assert.deepEqual([fake.generation - before, fake.listings], [10, 0]);
  fake.others.remove(NAME);
  for (let time = 0; time < 10; time++) await keeper.ensure(wanted);
  assert.deepEqual([held(fake), fake.generation - before], [['80', '81'], 12]);
});
