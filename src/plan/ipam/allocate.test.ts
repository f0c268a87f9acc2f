import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCidr } from '../../base/ip/cidr.ts';
import { type Ip, parseIp } from '../../base/ip/ip.ts';
import {
  allocate,
  capacityOf,
  EMPTY_HISTORY,
  gatewayOf,
  type History,
  isPodAddress,
  release,
} from './allocate.ts';

const RANGE = parseCidr('10.244.0.0/24');

function take(taken: Set<Ip>, history: History, range = RANGE): { ip: Ip; history: History } {
  const result = allocate(range, taken, history);
  assert.equal(result.outcome, 'allocated');
  taken.add(result.ip);
  return result;
}

test('the first pod gets .2, the next ones .3 and .4; .1 is the gateway', () => {
  const taken = new Set<Ip>();
  let history = EMPTY_HISTORY;
  const given: Ip[] = [];
  for (let i = 0; i < 3; i++) {
    const next = take(taken, history);
    history = next.history;
    given.push(next.ip);
  }
  assert.deepEqual(given, ['10.244.0.2', '10.244.0.3', '10.244.0.4']);
  assert.equal(gatewayOf(RANGE), '10.244.0.1');
  assert.equal(capacityOf(RANGE), 253);
});

test('an address that was given back is used after all others', () => {
  const taken = new Set<Ip>();
  let history = EMPTY_HISTORY;
  for (let i = 0; i < 10; i++) ({ history } = take(taken, history));
  for (const gone of ['10.244.0.5', '10.244.0.3'].map((ip) => parseIp(ip))) {
    taken.delete(gone);
    history = release(gone, history);
  }
  const order: Ip[] = [];
  for (let i = 0; i < 245; i++) {
    const next = take(taken, history);
    history = next.history;
    order.push(next.ip);
  }
  assert.equal(order[0], '10.244.0.12');
  assert.deepEqual(order.slice(-2), ['10.244.0.5', '10.244.0.3']);
});

test('a full range says how many are used', () => {
  const range = parseCidr('10.244.0.0/29');
  const taken = new Set<Ip>();
  let history = EMPTY_HISTORY;
  for (let i = 0; i < 5; i++) ({ history } = take(taken, history, range));
  assert.deepEqual(allocate(range, taken, history), { outcome: 'exhausted', used: 5, capacity: 5 });
});

test('ranges too small for a pod have no capacity, and an IPv6 range gives ::2 first', () => {
  for (const text of ['10.0.0.0/30', '10.0.0.0/31', '10.0.0.0/32']) {
    assert.equal(capacityOf(parseCidr(text)), text.endsWith('30') ? 1 : 0);
  }
  assert.equal(take(new Set(), EMPTY_HISTORY, parseCidr('fd00:10:244::/64')).ip, 'fd00:10:244::2');
});

test('any run of adds and deletes hands out only free pod addresses, never network, gateway or broadcast', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20), { nil: undefined }), { maxLength: 80 }), (steps) => {
      const range = parseCidr('10.244.7.0/28');
      const taken = new Set<Ip>();
      let history = EMPTY_HISTORY;
      for (const step of steps) {
        if (step === undefined) {
          const result = allocate(range, taken, history);
          if (result.outcome === 'exhausted') {
            assert.equal(taken.size, 13);
            continue;
          }
          assert.ok(!taken.has(result.ip) && isPodAddress(range, result.ip));
          taken.add(result.ip);
          history = result.history;
        } else {
          const gone = [...taken][step % Math.max(1, taken.size)];
          if (gone === undefined) continue;
          taken.delete(gone);
          history = release(gone, history);
        }
      }
    }),
  );
});
