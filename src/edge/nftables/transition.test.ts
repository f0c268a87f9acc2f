import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runToEnd } from '../../base/run/slices.ts';
import { formatOperations } from './batch/operations.ts';
import type { Table } from './objects.ts';
import { amendTable, refillTable, type Transition } from './transition.ts';

/** A map that leads to a chain of this name. */
function table(name: string): Table {
  return {
    family: 'inet',
    name: 't',
    counters: [name],
    sets: [
      {
        name: 'lead',
        key: ['ipv4_addr'],
        value: 'verdict',
        elements: [{ key: ['10.0.0.1'], value: { verdict: 'goto', chain: name } }],
      },
      { name: `${name}-set`, key: ['ipv4_addr'], elements: [{ key: ['10.0.0.2'] }] },
    ],
    chains: [
      { name, rules: [{ match: `ip daddr @${name}-set accept` }] },
      {
        name: 'forward',
        hook: { type: 'filter', hook: 'forward', priority: 'filter' },
        rules: [{ match: 'ip saddr vmap @lead' }],
      },
    ],
  };
}

const verbs = (stages: Transition) =>
  stages.map((operations) => [...new Set(operations.map(({ verb }) => verb))]);
const format = (stage: Transition[number] = []) => runToEnd(formatOperations(table('new'), stage));

test('what is new is made first, then led to, and what is left goes last', () => {
  const stages = runToEnd(amendTable(table('old'), table('new')));
  assert.deepEqual(verbs(stages), [
    ['add counter', 'add chain', 'add set', 'add rule'],
    ['delete element', 'add element'],
    ['flush chain', 'delete set', 'delete chain', 'delete counter'],
  ]);
  assert.match(format(stages[0]), /new/);
  assert.match(format(stages[2]), /old/);
  assert.doesNotMatch(format(stages[2]), /new/);
});

test('a table that nobody knows is refilled in the same way; the chain that the kernel calls is made anew', () => {
  const present = {
    counters: ['old'],
    sets: [{ name: 'lead', value: 'verdict' as const }, { name: 'old-set' }],
    chains: [
      { name: 'old', called: false },
      { name: 'forward', called: true },
    ],
  };
  assert.deepEqual(verbs(runToEnd(refillTable(present, table('new')))), [
    ['add counter', 'add chain', 'add set', 'add rule'],
    ['flush set', 'add element', 'flush chain', 'delete chain', 'add chain', 'add rule'],
    ['flush chain', 'delete set', 'delete chain', 'delete counter'],
  ]);
});

test('where there is no table, the chain that the kernel calls comes last', () => {
  const [first, second, ...more] = runToEnd(refillTable(undefined, table('new')));
  assert.match(format(first), /^table inet t\n/);
  assert.doesNotMatch(format(first), /hook forward/);
  assert.match(format(second), /hook forward/);
  assert.deepEqual(more, []);
});

test('a table that is as it shall be takes no transaction', () => {
  assert.deepEqual(runToEnd(amendTable(table('old'), table('old'))), []);
});
