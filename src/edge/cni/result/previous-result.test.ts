import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePreviousResult } from './previous-result.ts';

void test('C5: prevResult of 0.3.1 to 1.1.0 has one form', () => {
  const read = {
    interfaces: [{ name: 'eth0', sandbox: '/run/netns/p' }],
    ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 0 }],
    routes: [{ dst: '0.0.0.0/0' }],
    dns: {},
  };
  for (const cniVersion of ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0', undefined]) {
    const ips = [{ version: '4', address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 0 }];
    assert.deepEqual(
      parsePreviousResult({
        cniVersion,
        interfaces: [{ name: 'eth0', mac: '', sandbox: '/run/netns/p' }],
        ips,
        routes: [{ dst: '0.0.0.0/0', gw: null }],
      }),
      read,
    );
  }
});

void test('C5: prevResult of 0.1.0 and 0.2.0 has an address per family, and routes through its gateway', () => {
  assert.deepEqual(
    parsePreviousResult({
      cniVersion: '0.2.0',
      ip4: {
        ip: '10.0.0.2/24',
        gateway: '10.0.0.1',
        routes: [{ dst: '0.0.0.0/0' }, { dst: '10.1.0.0/16', gw: '10.0.0.9' }],
      },
      ip6: { ip: 'fd00::2/64' },
      dns: { nameservers: ['10.96.0.10'] },
    }),
    {
      interfaces: [],
      ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1' }, { address: 'fd00::2/64' }],
      routes: [
        { dst: '0.0.0.0/0', gw: '10.0.0.1' },
        { dst: '10.1.0.0/16', gw: '10.0.0.9' },
      ],
      dns: { nameservers: ['10.96.0.10'] },
    },
  );
});

void test('C5: an empty result, null and none', () => {
  assert.deepEqual(parsePreviousResult({}), { interfaces: [], ips: [], routes: [], dns: {} });
  assert.equal(parsePreviousResult(null), undefined);
  assert.equal(parsePreviousResult(undefined), undefined);
});

void test('C5: a result that cannot be read is refused rather than shortened', () => {
  const wrong: unknown[] = [
    'x',
    [],
    { interfaces: {} },
    { interfaces: [{}] },
    { interfaces: [{ name: 'a', mtu: -1 }] },
    { ips: [{}] },
    { ips: [{ address: '10.0.0.2' }] },
    { ips: [{ address: '10.0.0.2/33' }] },
    { ips: [{ address: '10.0.0.2/24', gateway: 'x' }] },
    { ips: [{ address: '10.0.0.2/24', interface: 0 }] },
    { interfaces: [{ name: 'a' }], ips: [{ address: '10.0.0.2/24', interface: 1 }] },
    { interfaces: [{ name: 'a' }], ips: [{ address: '10.0.0.2/24', interface: -1 }] },
    { routes: [{}] },
    { routes: [{ dst: 'default' }] },
    { routes: [{ dst: '0.0.0.0/0', scope: 256 }] },
    { dns: { search: 'a' } },
    { ip4: 'x' },
    { ip4: { ip: 'x' } },
  ];
  for (const value of wrong)
    assert.throws(
      () => parsePreviousResult(value),
      { code: 7, message: /^prevResult/ },
      JSON.stringify(value),
    );
  assert.throws(() => parsePreviousResult({ cniVersion: '3.0.0' }), {
    code: 1,
    message: /^prevResult\.cniVersion/,
  });
});
