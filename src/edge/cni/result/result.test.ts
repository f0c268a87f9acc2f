import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseIp } from '../../../base/ip/ip.ts';
import { parseMac } from '../../../base/ip/mac.ts';
import { CNI_VERSIONS, type CniVersion } from '../version.ts';
import { type PreviousResult, parsePreviousResult } from './previous-result.ts';
import { type AddResult, encodeResult, extendResult, formatResult } from './result.ts';

const RESULT: AddResult = {
  host: { name: 'fl0123456789ab', mac: parseMac('02:00:00:00:00:01'), mtu: 1450 },
  pod: { name: 'eth0', mac: parseMac('02:00:00:00:00:02'), mtu: 1450, sandbox: '/run/netns/p' },
  addresses: [
    { ip: parseIp('10.244.0.2'), gateway: parseIp('10.244.0.1') },
    { ip: parseIp('fd00::2'), gateway: parseIp('fd00::1') },
  ],
  isDefault: true,
  dns: { nameservers: ['10.96.0.10'] },
};

const PREVIOUS: PreviousResult = {
  interfaces: [
    { name: 'dummy0', mac: '02:00:00:00:00:09', mtu: 9000, socketPath: '/run/s', pciID: '0000:00:1f.6' },
  ],
  ips: [{ address: '192.0.2.2/24', gateway: '192.0.2.1', interface: 0 }, { address: '192.0.2.3/24' }],
  routes: [
    { dst: '198.51.100.0/24', gw: '192.0.2.1', mtu: 1400, advmss: 1360, priority: 7, table: 100, scope: 0 },
  ],
  dns: { domain: 'example.org', nameservers: ['192.0.2.53'] },
};

function format(version: CniVersion, previous?: PreviousResult): Record<string, Record<string, unknown>[]> {
  return JSON.parse(formatResult(RESULT, version, previous));
}

void test('C3: the result of 1.1.0', () => {
  assert.deepEqual(format('1.1.0'), {
    cniVersion: '1.1.0',
    interfaces: [
      { name: 'fl0123456789ab', mac: '02:00:00:00:00:01', mtu: 1450 },
      { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1450, sandbox: '/run/netns/p' },
    ],
    ips: [
      { address: '10.244.0.2/32', gateway: '10.244.0.1', interface: 1 },
      { address: 'fd00::2/128', gateway: 'fd00::1', interface: 1 },
    ],
    routes: [
      { dst: '0.0.0.0/0', gw: '10.244.0.1' },
      { dst: '::/0', gw: 'fd00::1' },
    ],
    dns: { nameservers: ['10.96.0.10'] },
  });
});

void test('C4: 1.0.0 has no MTU; 0.3.1 and 0.4.0 name the family of an address', () => {
  for (const version of ['0.3.1', '0.4.0', '1.0.0'] as const) {
    const { cniVersion, interfaces, ips, routes } = format(version);
    assert.equal(cniVersion, version);
    assert.deepEqual(interfaces, [
      { name: 'fl0123456789ab', mac: '02:00:00:00:00:01' },
      { name: 'eth0', mac: '02:00:00:00:00:02', sandbox: '/run/netns/p' },
    ]);
    const families = version === '1.0.0' ? [{}, {}] : [{ version: '4' }, { version: '6' }];
    assert.deepEqual(ips, [
      { ...families[0], address: '10.244.0.2/32', gateway: '10.244.0.1', interface: 1 },
      { ...families[1], address: 'fd00::2/128', gateway: 'fd00::1', interface: 1 },
    ]);
    assert.equal(routes?.length, 2);
  }
});

void test('C3: interface index 0 is written, a missing index is left out', () => {
  for (const version of CNI_VERSIONS) {
    const { ips = [] } = format(version, PREVIOUS);
    assert.equal(ips[0]?.['interface'], 0);
    assert.equal(Object.hasOwn(ips[1]!, 'interface'), false);
  }
});

void test('C5: what plugins before made stays, with its indexes; the pod comes behind it', () => {
  const result = format('1.1.0', PREVIOUS);
  assert.deepEqual(result['interfaces']?.[0], PREVIOUS.interfaces[0]);
  assert.deepEqual(result['ips']?.slice(0, 2), PREVIOUS.ips);
  assert.deepEqual(result['ips']?.[2], { address: '10.244.0.2/32', gateway: '10.244.0.1', interface: 2 });
  assert.deepEqual(result['routes']?.[0], PREVIOUS.routes[0]);
  assert.deepEqual(result['dns'], { domain: 'example.org', nameservers: ['10.96.0.10'] });
});

void test('C4: keys of 1.1.0 in what came before are left out below it', () => {
  const { interfaces, routes } = format('1.0.0', PREVIOUS);
  assert.deepEqual(interfaces?.[0], { name: 'dummy0', mac: '02:00:00:00:00:09' });
  assert.deepEqual(routes?.[0], { dst: '198.51.100.0/24', gw: '192.0.2.1' });
});

void test('C3: a second interface of a pod claims no default route', () => {
  assert.deepEqual(JSON.parse(formatResult({ ...RESULT, isDefault: false }, '1.1.0')).routes, []);
});

const anyText = fc.string({ minLength: 1 });
const anyV4 = fc.ipV4();
const anyUint32 = fc.nat(2 ** 32 - 1);
/** Every key that 1.1.0 has, each there or not. */
const anyResult: fc.Arbitrary<PreviousResult> = fc
  .array(
    fc.record(
      { name: anyText, mac: anyText, sandbox: anyText, mtu: anyUint32, socketPath: anyText, pciID: anyText },
      { requiredKeys: ['name'], noNullPrototype: true },
    ),
    { minLength: 1, maxLength: 4 },
  )
  .chain((interfaces) =>
    fc.record(
      {
        interfaces: fc.constant(interfaces),
        ips: fc.array(
          fc.record(
            {
              address: fc.oneof(
                fc.tuple(anyV4, fc.nat(32)).map(([ip, length]) => `${ip}/${length}`),
                fc.nat(128).map((length) => `fd00::1/${length}`),
              ),
              gateway: anyV4,
              interface: fc.nat(interfaces.length - 1),
            },
            { requiredKeys: ['address'], noNullPrototype: true },
          ),
          { maxLength: 4 },
        ),
        routes: fc.array(
          fc.record(
            {
              dst: anyV4.map((ip) => `${ip}/32`),
              gw: anyV4,
              mtu: anyUint32,
              advmss: anyUint32,
              priority: anyUint32,
              table: anyUint32,
              scope: fc.nat(255),
            },
            { requiredKeys: ['dst'], noNullPrototype: true },
          ),
          { maxLength: 4 },
        ),
        dns: fc.record(
          { domain: anyText, search: fc.array(anyText, { minLength: 1 }) },
          { requiredKeys: [], noNullPrototype: true },
        ),
      },
      { noNullPrototype: true },
    ),
  );

void test('C5: what is written in any version reads as the same, less the keys that the version lacks', () => {
  fc.assert(
    fc.property(anyResult, fc.constantFrom(...CNI_VERSIONS), (result, version) => {
      const expected: PreviousResult =
        version === '1.1.0'
          ? result
          : {
              ...result,
              interfaces: result.interfaces.map(({ mtu: _m, socketPath: _s, pciID: _p, ...old }) => old),
              routes: result.routes.map(
                ({ mtu: _m, advmss: _a, priority: _p, table: _t, scope: _s, ...old }) => old,
              ),
            };
      assert.deepEqual(parsePreviousResult(JSON.parse(encodeResult(result, version))), expected);
    }),
  );
});

void test('C5: extending never changes what was there', () => {
  fc.assert(
    fc.property(anyResult, (previous) => {
      const { interfaces, ips, routes } = extendResult(previous, RESULT);
      assert.deepEqual(interfaces.slice(0, previous.interfaces.length), previous.interfaces);
      assert.deepEqual(ips.slice(0, previous.ips.length), previous.ips);
      assert.deepEqual(routes.slice(0, previous.routes.length), previous.routes);
      assert.equal(interfaces[ips.at(-1)?.interface ?? -1]?.name, 'eth0');
    }),
  );
});
