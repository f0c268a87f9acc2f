import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Table } from './objects.ts';
import { deleteTable, formatTable, replaceTable } from './transaction.ts';

const TABLE: Table = {
  family: 'inet',
  name: 'fairlead',
  sets: [
    { name: 'inside4', key: ['ipv4_addr'], interval: true, elements: [{ key: ['10.244.0.0/16'] }] },
    {
      name: 'ports',
      key: ['inet_proto', 'inet_service'],
      value: 'verdict',
      elements: [{ key: ['tcp', '80'], value: { verdict: 'goto', chain: 'web' } }],
    },
  ],
  chains: [
    { name: 'web', rules: [{ match: 'counter accept' }] },
    {
      name: 'outside',
      hook: { type: 'nat', hook: 'postrouting', priority: 'srcnat' },
      rules: [{ match: 'ip daddr != @inside4 masquerade', comment: 'to the "outside"\n' }],
    },
  ],
};

test('a table is one transaction that works whether or not it is there', () => {
  assert.equal(
    replaceTable(TABLE),
    `table inet fairlead
delete table inet fairlead
table inet fairlead {
  set inside4 {
    type ipv4_addr
    flags interval
    elements = { 10.244.0.0/16 }
  }
  map ports {
    type inet_proto . inet_service : verdict
    elements = { tcp . 80 : goto web }
  }
  chain web {
    counter accept
  }
  chain outside {
    type nat hook postrouting priority srcnat; policy accept;
    ip daddr != @inside4 masquerade comment "to the ?outside??"
  }
}
`,
  );
  assert.equal(deleteTable(TABLE), 'table inet fairlead\ndelete table inet fairlead\n');
});

test('names and values that would end a word are refused', () => {
  const hostile = fc.string().filter((text) => !/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/.test(text));
  fc.assert(
    fc.property(hostile, (name) => {
      assert.throws(() => formatTable({ ...TABLE, name }), TypeError);
      assert.throws(() => formatTable({ ...TABLE, chains: [{ name, rules: [] }] }), TypeError);
    }),
  );
  const elements = [{ key: ['10.0.0.1 } ; flush ruleset'] }];
  assert.throws(
    () => formatTable({ ...TABLE, sets: [{ name: 'x', key: ['ipv4_addr'], elements }] }),
    TypeError,
  );
  assert.throws(
    () => formatTable({ ...TABLE, chains: [{ name: 'x', rules: [{ match: 'accept; flush ruleset' }] }] }),
    TypeError,
  );
});
