import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cidrContains,
  cidrSize,
  cidrsOverlap,
  makeCidr,
  nthIp,
  nthSubnet,
  parseCidr,
  subnetCount,
} from './cidr.ts';
import {
  addToIp,
  compareIps,
  ipFromBigInt,
  ipFromBytes,
  ipToBigInt,
  ipToBytes,
  isIp,
  parseIp,
} from './ip.ts';
import { isUnicastMac, macFromBytes, macFromSeed, macToBytes, parseMac } from './mac.ts';

const anyIp = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value) => ipFromBigInt(value, 4)),
  fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value) => ipFromBigInt(value, 6)),
);

test('IPv6 addresses take the canonical form of RFC 5952', () => {
  const forms: Record<string, string> = {
    '2001:DB8:0:0:0:0:2:1': '2001:db8::2:1',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1',
    '2001:0:0:1:0:0:0:1': '2001:0:0:1::1',
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '::': '::',
    '::1': '::1',
    'fe80::': 'fe80::',
    '::ffff:10.244.0.2': '::ffff:af4:2',
  };
  for (const [text, canonical] of Object.entries(forms)) assert.equal(parseIp(text), canonical);
});

test('what is not an address is refused, and the error names field, value and cure', () => {
  for (const text of [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    '01.2.3.4',
    '1.2.3.4 ',
    ':',
    ':::',
    '1::2::3',
    '12345::',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::1.2.3',
    '1.2.3.4::',
  ]) {
    assert.equal(isIp(text), false, text);
  }
  assert.throws(
    () => parseIp('10.244.0.256', 'gateway'),
    /gateway: "10\.244\.0\.256" is not an IP address; write it like/,
  );
});

test('text, bytes and numbers are the same address', () => {
  fc.assert(
    fc.property(anyIp, (ip) => {
      assert.equal(parseIp(ip), ip);
      assert.equal(ipFromBytes(ipToBytes(ip)), ip);
      assert.equal(ipFromBigInt(ipToBigInt(ip), ip.includes(':') ? 6 : 4), ip);
      assert.equal(compareIps(ip, ip), 0);
    }),
  );
  assert.equal(addToIp(parseIp('10.244.0.255'), 1), '10.244.1.0');
  assert.throws(() => addToIp(parseIp('255.255.255.255'), 1), RangeError);
});

test('a range with host bits is refused with the range that was probably meant', () => {
  assert.throws(
    () => parseCidr('10.244.0.5/24', 'podNetwork'),
    /podNetwork: "10\.244\.0\.5\/24" has host bits set; the range is 10\.244\.0\.0\/24/,
  );
  for (const text of [
    '10.244.0.0',
    '10.244.0.0/',
    '10.244.0.0/33',
    '10.244.0.0/08',
    '10.244.0.0/-1',
    'fd00::/129',
    '10.0.0.0/8/8',
  ]) {
    assert.throws(() => parseCidr(text), { code: 'FL_CIDR_SYNTAX' }, text);
  }
});

test('ranges hold, overlap and divide', () => {
  const pool = parseCidr('10.244.0.0/16');
  assert.equal(nthSubnet(pool, 24, 3), '10.244.3.0/24');
  assert.equal(subnetCount(pool, 24), 256n);
  assert.equal(subnetCount(pool, 8), 0n);
  assert.equal(nthIp(parseCidr('10.244.3.0/24'), 1), '10.244.3.1');
  assert.throws(() => nthIp(parseCidr('10.244.3.0/24'), 256), RangeError);
  assert.ok(cidrsOverlap(pool, parseCidr('10.244.3.0/24')));
  assert.ok(!cidrsOverlap(parseCidr('10.244.2.0/24'), parseCidr('10.244.3.0/24')));
  assert.ok(!cidrsOverlap(parseCidr('0.0.0.0/0'), parseCidr('::/0')));
  fc.assert(
    fc.property(anyIp, fc.nat(128), (ip, bits) => {
      const cidr = makeCidr(ip, Math.min(bits, ip.includes(':') ? 128 : 32));
      assert.equal(parseCidr(cidr), cidr);
      assert.ok(cidrContains(cidr, ip));
      assert.ok(cidrContains(cidr, nthIp(cidr, cidrSize(cidr) - 1n)));
    }),
  );
});

test('MAC addresses read in both notations; one from a seed is unicast, local and always the same', () => {
  assert.equal(parseMac('02-42-0A-F4-00-02'), '02:42:0a:f4:00:02');
  assert.throws(() => parseMac('02:42:0a:f4:00'), { code: 'FL_MAC_SYNTAX' });
  fc.assert(
    fc.property(fc.string(), (seed) => {
      const mac = macFromSeed(seed);
      assert.equal(macFromSeed(seed), mac);
      assert.equal(macFromBytes(macToBytes(mac)), mac);
      assert.ok(isUnicastMac(mac) && (macToBytes(mac)[0]! & 2) === 2);
    }),
  );
});
