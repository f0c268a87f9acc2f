import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isIp, parseIp } from '../../base/ip/ip.ts';
import { parseMac } from '../../base/ip/mac.ts';
import {
  type Attachment,
  formatRecord,
  formatRecordNames,
  hostLinkName,
  parseRecord,
  readRecord,
} from './attachment.ts';
import { formatPodNames, parsePodNames } from './name-record.ts';

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

test('a pod name that does not fit is recorded beside the alias; a key that does not fit is refused', () => {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789'.split('');
  const text = (length: number) =>
    fc.string({ unit: fc.constantFrom(...letters, '-', '.'), minLength: length, maxLength: length });
  const pods = fc.record(
    {
      namespace: fc.integer({ min: 1, max: 63 }).chain(text),
      name: fc.integer({ min: 1, max: 253 }).chain(text),
    },
    { noNullPrototype: true },
  );
  const lengths = new Set<number>();
  fc.assert(
    fc.property(pods, fc.boolean(), fc.boolean(), (pod, dual, full) => {
      const attachment: Attachment = {
        ...ATTACHMENT,
        containerId: 'c'.repeat(full ? 64 : 12),
        ifname: full ? 'i'.repeat(15) : 'eth0',
        ips: dual
          ? [parseIp('10.244.100.200'), parseIp('fd00:1111:2222:3333:4444:5555:6666:7777')]
          : ATTACHMENT.ips,
        pod,
        portMappings: [{ protocol: 'tcp', hostPort: 80, containerPort: 8080 }],
      };
      const names = formatRecordNames(attachment);
      lengths.add(names.length);
      const link = { name: hostLinkName(attachment), altNames: names, alias: formatRecord(attachment)! };
      assert.ok(names.every((name) => name.length <= 127));
      assert.deepEqual(readRecord(link), attachment);
      // An earlier agent reads the alias alone: the attachment, and at the most the pod's name.
      const { pod: _, portMappings: __, ...rest } = attachment;
      assert.deepEqual({ ...parseRecord(link.alias), pod: undefined }, { ...rest, pod: undefined });
    }),
  );
  assert.ok(lengths.has(1) && lengths.has(5), 'names that fit, and those that take four more');
  assert.equal(formatRecord({ ...ATTACHMENT, containerId: 'c'.repeat(300) }), undefined);
});

test('a name of which a part is missing is no other name', () => {
  const pod = { namespace: 'n'.repeat(63), name: 'p'.repeat(253) };
  const names = formatPodNames('fl0', pod);
  assert.deepEqual(parsePodNames('fl0', names.toReversed()), pod);
  for (const missing of names)
    assert.equal(
      parsePodNames(
        'fl0',
        names.filter((name) => name !== missing),
      ),
      undefined,
    );
  assert.equal(parsePodNames('fl1', names), undefined);
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
  const word = fc.oneof(fc.string(), fc.constantFrom('net=a', 'container=b', 'if=c', 'mac=x', 'ip=1.2.3.4,'));
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const read = parseRecord(`fairlead ${words.join(' ')}`);
      assert.ok(read === undefined || read.ips.every((ip) => isIp(ip)));
    }),
  );
});

test('the host interface has one name per attachment, of at most 15 characters', () => {
  assert.match(hostLinkName(ATTACHMENT), /^fl[0-9a-f]{12}$/);
  assert.equal(hostLinkName(ATTACHMENT), hostLinkName({ ...ATTACHMENT }));
  assert.notEqual(hostLinkName(ATTACHMENT), hostLinkName({ ...ATTACHMENT, ifname: 'eth1' }));
});
