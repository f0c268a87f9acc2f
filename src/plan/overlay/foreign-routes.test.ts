import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import { MAIN_TABLE, type Route } from '../../edge/netlink/objects.ts';
import { conflictingRoute, describeRoute, foreignRoutes } from './foreign-routes.ts';

const RANGE = parseCidr('10.244.1.0/24');
const POOL = [parseCidr('10.244.0.0/16'), parseCidr('fd00:10:244::/48')];

function route(destination: string, more: Partial<Route> = {}): Route {
  return {
    destination: parseCidr(destination),
    table: MAIN_TABLE,
    protocol: 3,
    type: 'unicast',
    scope: 0,
    linkIndex: 2,
    ...more,
  };
}
const via = { gateway: parseIp('192.168.1.9') };

test('routes of others that meet the pod network, and no others', () => {
  const own = route('10.244.1.0/24', { protocol: ROUTE_PROTOCOL });
  const others = [
    route('0.0.0.0/0', via),
    route('192.168.1.0/24'),
    route('10.244.1.0/24', { linkIndex: 1 }),
    route('10.244.1.0/24', { type: 'unreachable' }),
  ];
  const meant = [route('10.0.0.0/8', via), route('10.244.1.9/32', via), route('fd00:10:244::/64')];
  assert.deepEqual(foreignRoutes([own, ...others, ...meant], POOL, 1), meant);
});

test('what takes addresses of the range, or is connected where they are, is a conflict; a wider way out is none', () => {
  const conflicts = (...routes: Route[]) => conflictingRoute(RANGE, routes)?.destination;
  assert.equal(conflicts(route('10.244.1.128/25', via)), '10.244.1.128/25');
  assert.equal(conflicts(route('10.244.1.0/24', via)), '10.244.1.0/24');
  assert.equal(conflicts(route('10.244.0.0/16')), '10.244.0.0/16', 'a network of hosts');
  assert.equal(conflicts(route('10.0.0.0/8', via)), undefined);
  assert.equal(conflicts(route('10.244.2.0/24'), route('fd00:10:244::/64')), undefined);
  const names = new Map([[2, 'docker0']]);
  assert.equal(describeRoute(route('10.244.0.0/16'), names), '10.244.0.0/16 (interface docker0)');
  assert.equal(describeRoute(route('10.244.0.0/16', via), names), '10.244.0.0/16 (via 192.168.1.9)');
});
