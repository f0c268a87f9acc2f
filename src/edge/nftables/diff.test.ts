import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { changeElements, elementChanges, withoutGaps } from './diff.ts';
import type { Table } from './objects.ts';

const SETS = ['a', 'b', 'c'] as const;
const table = (places: readonly (readonly string[])[]): Table => ({
  family: 'inet',
  name: 't',
  sets: SETS.map((name) => ({
    name,
    key: ['ipv4_addr'],
    elements: places.flatMap((sets, index) => (sets.includes(name) ? [{ key: [`10.0.0.${index}`] }] : [])),
  })),
  chains: [],
});
const whereIs = ({ sets }: Table, key: string) =>
  sets.filter(({ elements }) => elements.some((one) => one.key[0] === key)).map(({ name }) => name);

test('what moves from one set to another is in one of them at every moment', () => {
  const places = fc.array(fc.subarray([...SETS]), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(places, places, (from, to) => {
      const [before, after] = [table(from), table(to)];
      let now = before;
      const seen = [before];
      for (const changes of withoutGaps(elementChanges(before, after)!)) {
        now = changeElements(now, changes);
        seen.push(now);
      }
      for (const [index, sets] of to.entries()) {
        const key = `10.0.0.${index}`;
        assert.deepEqual(whereIs(now, key), sets);
        if (from[index]!.length === 0 || sets.length === 0) continue;
        for (const [moment, one] of seen.entries()) {
          assert.ok(whereIs(one, key).length > 0, `${key} is nowhere after ${moment} transactions`);
          // Asked about in one set before a transaction, and in the others after it.
          const next = seen[moment + 1] ?? one;
          const found = SETS.some(
            (name) => whereIs(one, key).includes(name) && whereIs(next, key).includes(name),
          );
          assert.ok(found, `${key} is in no set before and after transaction ${moment + 1}`);
        }
      }
    }),
  );
});
