import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handleOf, readTraces } from './traced.ts';

test('traces: how far a packet came, and what took it', () => {
  const flow = 'ip saddr 10.244.0.2 ip daddr 10.244.0.3 ip ttl 64';
  const text = [
    `trace id 1 inet fairlead-doctor arrived packet: iif "a" ${flow} ip protocol icmp icmp type echo-request icmp id 3 `,
    'trace id 1 inet fairlead-doctor arrived rule ip saddr 10.244.0.2 meta nftrace set 1 (verdict continue)',
    'trace id 1 inet fairlead-doctor arrived policy accept ',
    'trace id 1 inet fairlead-doctor routed policy accept ',
    'trace id 1 ip filter FORWARD rule counter packets 7 bytes 90 reject with icmp type host-prohibited (verdict drop)',
    `trace id 2 inet fairlead-doctor arrived packet: ${flow} ip protocol tcp tcp sport 1 tcp dport 9 tcp flags == syn`,
    'trace id 2 ip filter FORWARD policy drop ',
    'trace id 3 inet fairlead-doctor left packet: iif "a" ip6 saddr fd00::2 ip6 daddr fd00::3 udp sport 1 udp dport 9',
    'trace id 3 inet fairlead-doctor left policy accept ',
    '',
  ].join('\n');
  const ends = { source: '10.244.0.2', destination: '10.244.0.3' };
  assert.deepEqual(readTraces(text), [
    {
      ...ends,
      protocol: 'icmp',
      stage: 'routed',
      dropped: { table: 'ip filter', chain: 'FORWARD', rule: 'reject with icmp type host-prohibited' },
    },
    { ...ends, protocol: 'tcp', stage: 'arrived', dropped: { table: 'ip filter', chain: 'FORWARD' } },
    { source: 'fd00::2', destination: 'fd00::3', protocol: 'udp', stage: 'left' },
  ]);
});

test('the handle of a rule, whatever it has counted since', () => {
  const listing =
    '\tchain f { # handle 1\n\t\tcounter packets 9 bytes 756 drop # handle 4\n\t\taccept # handle 5\n\t}';
  assert.deepEqual(
    [handleOf('drop', listing), handleOf('accept', listing), handleOf('reject', listing)],
    [4, 5, undefined],
  );
});
