import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closedChains, closedLegacyChains } from './forward-chains.ts';

const ruleset = (...rules: string[]) =>
  [
    'table inet x {',
    '\tchain f {',
    '\t\ttype filter hook forward priority filter + 10; policy accept;',
    ...rules.map((rule) => `\t\t${rule}`),
    '\t}',
    '\tchain rest {',
    '\t\tlog prefix "no: drop" level warn',
    '\t\tcounter packets 3 bytes 180 reject with icmpx admin-prohibited comment "the rest"',
    '\t}',
    '\tchain in {',
    '\t\ttype filter hook input priority filter; policy drop;',
    '\t\tdrop',
    '\t}',
    '}',
    'table inet fairlead-policy {',
    '\tchain f {',
    '\t\ttype filter hook forward priority filter; policy drop;',
    '\t}',
    '}',
  ].join('\n');

test('a chain that refuses everything that comes to its end, itself or where it sends it', () => {
  const by = (...rules: string[]) =>
    closedChains(ruleset(...rules)).map((closed) => `${closed.chain}: ${closed.by}`);
  assert.deepEqual(by('ct state established,related accept', 'iifname "lo" accept'), []);
  assert.deepEqual(by('ct state invalid drop', 'ip saddr 10.0.0.0/8 drop'), []);
  assert.deepEqual(by('ct state invalid drop', 'drop'), ['f: drop']);
  assert.deepEqual(by('counter packets 0 bytes 0 reject with icmp type host-prohibited'), [
    'f: reject with icmp type host-prohibited',
  ]);
  assert.deepEqual(by('jump rest'), ['rest: reject with icmpx admin-prohibited comment "the rest"']);
  assert.deepEqual(by('iifname "eth0" jump rest'), []);
  assert.deepEqual(by('accept', 'drop'), [], 'behind what lets all pass');
  assert.deepEqual(by('log prefix "drop" drop'), ['f: log prefix "drop" drop']);
  assert.deepEqual(closedChains(ruleset().replace('policy accept', 'policy drop')), [
    { table: 'inet x', chain: 'f', by: 'policy drop', refusesAll: true },
  ]);
});

test('legacy iptables', () => {
  const closed = (text: string) => closedLegacyChains(text, 4).map(({ by }) => by);
  assert.deepEqual(closed('*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT'), []);
  assert.deepEqual(closed(':FORWARD DROP [0:0]\n-A FORWARD -s 10.0.0.0/8 -j ACCEPT'), ['policy DROP']);
  assert.deepEqual(
    closed(':FORWARD ACCEPT [0:0]\n-A FORWARD -i eth0 -j DROP\n-A FORWARD -j REJECT --reject-with x'),
    ['-A FORWARD -j REJECT --reject-with x'],
  );
});

test('whether anything new may pass before', () => {
  const all = (...rules: string[]) => closedChains(ruleset(...rules)).map(({ refusesAll }) => refusesAll);
  assert.deepEqual(
    all('ct state { established, related } accept', 'iifname "lo" accept', 'ct state invalid drop', 'drop'),
    [true],
  );
  assert.deepEqual(all('ct status dnat accept', 'counter packets 1 bytes 2 jump rest'), [true]);
  assert.deepEqual(all('ip saddr 10.244.0.0/16 accept', 'drop'), [false]);
  assert.deepEqual(all('ct state established,new accept', 'drop'), [false]);
  assert.deepEqual(all('ct state vmap { new : accept }', 'drop'), [false]);
  assert.deepEqual(all('iifname "eth0" jump in', 'drop'), [true], 'it accepts nothing');
  assert.deepEqual(all('xt target "REJECT"'), [true]);
});
