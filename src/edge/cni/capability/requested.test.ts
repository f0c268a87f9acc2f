import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRequested } from './requested.ts';

const MAC = { runtime: '02:00:00:00:00:01', cni: '02:00:00:00:00:02', args: '02:00:00:00:00:03' };

void test('C9: runtimeConfig is stronger than args.cni, and that than CNI_ARGS', () => {
  const runtime = { ips: ['10.244.0.1'], mac: MAC.runtime };
  const cni = { ips: ['10.244.0.2'], mac: MAC.cni };
  const args = { IP: '10.244.0.3', MAC: MAC.args };
  assert.deepEqual(parseRequested(runtime, cni, args), { ips: ['10.244.0.1'], mac: MAC.runtime });
  assert.deepEqual(parseRequested({}, cni, args), { ips: ['10.244.0.2'], mac: MAC.cni });
  assert.deepEqual(parseRequested({}, {}, args), { ips: ['10.244.0.3'], mac: MAC.args });
  assert.deepEqual(parseRequested({}, {}, {}), { ips: [] });
});

void test('C9: a source that names none counts as absent', () => {
  for (const empty of [
    { ips: [], mac: '' },
    { ips: null, mac: null },
  ])
    assert.deepEqual(parseRequested(empty, {}, { IP: '10.244.0.3', MAC: '' }), { ips: ['10.244.0.3'] });
  assert.deepEqual(parseRequested({}, {}, { IP: '' }), { ips: [] });
});

void test('I: ips with or without a prefix length, of both families', () => {
  assert.deepEqual(parseRequested({ ips: ['10.244.0.7/24', 'FD00::7'] }, {}, {}).ips, [
    '10.244.0.7',
    'fd00::7',
  ]);
  assert.deepEqual(parseRequested({}, {}, { IP: '10.244.0.7,fd00::7/64' }).ips, ['10.244.0.7', 'fd00::7']);
});

void test('I: what is no address, or two of one family, is refused', () => {
  for (const ips of [
    ['10.244.0.300'],
    ['10.244.0.7/33'],
    ['10.244.0.7/24/24'],
    ['10.244.0.7/'],
    [''],
    [7],
    [['10.244.0.7']],
    [{ toString: 1 }],
    ['10.244.0.7', '10.244.0.8'],
    '10.244.0.7',
  ])
    assert.throws(() => parseRequested({ ips }, {}, {}), { code: 7, message: /^runtimeConfig\.ips/ });
});

void test('I: a MAC address in both notations, and only one that an interface may have', () => {
  assert.equal(parseRequested({ mac: '02-42-0A-F4-00-07' }, {}, {}).mac, '02:42:0a:f4:00:07');
  for (const mac of ['02:42', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '00:00:00:00:00:00', 7, {}])
    assert.throws(() => parseRequested({ mac }, {}, {}), { code: 7, message: /mac: / }, JSON.stringify(mac));
});
