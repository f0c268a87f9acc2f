import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { MAIN_TABLE, type Route, type Rule } from '../../edge/netlink/objects.ts';
import { describeDiversion, findDiversion, rulesBeforeMain } from './policy-routing.ts';

const INPUT = {
  podNetwork: [parseCidr('10.244.0.0/16')],
  localIps: [parseIp('192.168.1.2')],
  inputLinks: ['eth0'],
};
const USUAL: Rule[] = [
  { family: 4, priority: 0, table: 255, protocol: 2 },
  { family: 4, priority: 32766, table: MAIN_TABLE, protocol: 2 },
  { family: 4, priority: 32767, table: 253, protocol: 2 },
];

function rule(priority: number, table: number, more: Partial<Rule> = {}): Rule {
  return { family: 4, priority, table, protocol: 0, ...more };
}

function route(destination: string, table: number, more: Partial<Route> = {}): Route {
  return {
    destination: parseCidr(destination),
    table,
    protocol: 3,
    type: 'unicast',
    scope: 0,
    linkIndex: 2,
    ...more,
  };
}

test('rules that packets for pods meet before the main table, and no others', () => {
  const found = [
    rule(1000, 100, { from: parseCidr('192.168.1.2/32') }),
    rule(1001, 101, { from: parseCidr('10.244.0.0/24') }),
    rule(5270, 52),
    rule(5271, 53, { to: parseCidr('10.0.0.0/8') }),
    rule(5272, 54, { inputLink: 'eth0' }),
    rule(5273, 55, { fwmark: 1, inverted: true }),
  ];
  const others = [
    rule(900, 56, { fwmark: 0x80000, fwmask: 0xff0000 }),
    rule(901, 57, { from: parseCidr('172.16.0.9/32') }),
    rule(902, 58, { to: parseCidr('172.16.0.0/12') }),
    rule(903, 59, { inputLink: 'eth7' }),
    rule(904, MAIN_TABLE, { from: parseCidr('192.168.1.2/32') }),
    rule(7010, 7010, { protocol: 70, from: parseCidr('10.244.0.0/24') }),
    rule(40_000, 60),
    { ...rule(905, 61), family: 6 as const },
  ];
  assert.deepEqual(rulesBeforeMain([...USUAL, ...found, ...others].toReversed(), INPUT), found);
  // As a VPN has it that means to leave the main table its own: looked up first, but for its default route.
  assert.deepEqual(rulesBeforeMain([...USUAL, rule(100, MAIN_TABLE), rule(101, 52)], INPUT), []);
});

test('a table that has a route for pods, by whatever way, and none where it leads by links of ours', () => {
  const ours = new Set([9]);
  const find = (...routes: Route[]) => findDiversion(rule(5270, 52), routes, INPUT, ours)?.destination;
  assert.equal(find(route('10.244.1.0/24', 52)), '10.244.1.0/24');
  assert.equal(find(route('0.0.0.0/0', 52)), '0.0.0.0/0');
  assert.equal(find(route('10.0.0.0/8', 52, { type: 'blackhole' })), '10.0.0.0/8');
  assert.equal(find(route('10.244.1.0/24', 51), route('100.64.0.0/10', 52)), undefined);
  assert.equal(find(route('10.244.0.2/32', 52, { linkIndex: 9 })), undefined);
  assert.equal(
    find(route('10.244.0.0/16', 52, { type: 'other' })),
    undefined,
    'throw goes on to the next rule',
  );
});

test('it is named with the cure', () => {
  const text = describeDiversion(
    rule(1000, 100, { from: parseCidr('192.168.1.2/32') }),
    route('0.0.0.0/0', 100, { gateway: parseIp('192.168.1.1') }),
    INPUT.podNetwork,
    new Map([[2, 'eth0']]),
  );
  assert.match(
    text,
    /rule 1000 “from 192\.168\.1\.2\/32 lookup 100”.*0\.0\.0\.0\/0 via 192\.168\.1\.1 dev eth0/,
  );
  assert.match(text, /ip rule add to 10\.244\.0\.0\/16 lookup main priority 999/);
});
