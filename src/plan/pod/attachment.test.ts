import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../base/ip/ip.ts';
import { parseMac } from '../../base/ip/mac.ts';
import { type Attachment, formatRecord, hostLinkName, parseRecord } from './attachment.ts';

const ATTACHMENT: Attachment = {
  network: 'fairlead',
  containerId: 'c0ffee',
  ifname: 'eth0',
  ips: [parseIp('10.244.0.2')],
  pod: { namespace: 'default', name: 'web-0' },
};

test('the record is one line that a person can read, and reads back as the same attachment', () => {
  const record = formatRecord(ATTACHMENT);
  assert.equal(record, 'fairlead net=fairlead container=c0ffee if=eth0 ip=10.244.0.2 pod=default/web-0');
  assert.deepEqual(parseRecord(record), ATTACHMENT);
  const dual = {
    ...ATTACHMENT,
    ips: [parseIp('10.244.0.2'), parseIp('fd00::2')],
    mac: parseMac('02:00:00:00:00:07'),
  };
  assert.deepEqual(parseRecord(formatRecord(dual) ?? ''), dual);
});

test('a pod name that does not fit is left out; a key that does not fit is refused', () => {
  const named = { ...ATTACHMENT, pod: { namespace: 'n'.repeat(63), name: 'p'.repeat(253) } };
  assert.equal(parseRecord(formatRecord(named) ?? '')?.pod, undefined);
  assert.equal(formatRecord({ ...ATTACHMENT, containerId: 'c'.repeat(300) }), undefined);
});

test('an alias that is not a complete record is none', () => {
  for (const alias of [
    '',
    'uplink to rack 4',
    'fairlead',
    'fairlead net=a container=b if=eth0',
    'fairlead net=a container=b if=eth0 ip=',
    'fairlead net=a container=b if=eth0 ip=10.244.0.999',
    'fairlead net=a container=b if=eth0 ip=10.244.0.2 mac=nonsense',
  ]) {
    assert.equal(parseRecord(alias), undefined, alias);
  }
  fc.assert(fc.property(fc.string(), (alias) => parseRecord(`fairlead ${alias}`) === undefined || true));
});

test('the host interface has one name per attachment, of at most 15 characters', () => {
  assert.match(hostLinkName(ATTACHMENT), /^fl[0-9a-f]{12}$/);
  assert.equal(hostLinkName(ATTACHMENT), hostLinkName({ ...ATTACHMENT }));
  assert.notEqual(hostLinkName(ATTACHMENT), hostLinkName({ ...ATTACHMENT, ifname: 'eth1' }));
});
