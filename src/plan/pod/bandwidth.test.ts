import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../base/ip/ip.ts';
import { INGRESS_PARENT, ROOT_PARENT } from '../../edge/netlink/objects.ts';
import { type Attachment, hostLinkName, SHAPER_GROUP } from './attachment.ts';
import { fitBandwidth, shapePod, shaperName } from './bandwidth.ts';
import { formatBandwidthNames, parseBandwidthNames } from './bandwidth-record.ts';

const POD: Attachment = {
  network: 'fairlead',
  containerId: 'c0ffee',
  ifname: 'eth0',
  ips: [parseIp('10.244.0.2')],
};
const PLACE = { linkIndex: 12, shaperIndex: 13, mtu: 1450 };
const LIMIT = { rate: 10_000_000, burst: 800_000 };

function bucketOf(limit: { rate: number; burst: number }) {
  return shapePod({ ...POD, bandwidth: { ingress: limit } }, PLACE).qdiscs[0]!.tbf!;
}

test('a pod without limits needs nothing', () => {
  assert.deepEqual(shapePod(POD, PLACE), { links: [], qdiscs: [], redirects: [] });
});

test('what a pod receives waits on the host’s end of its veth', () => {
  assert.deepEqual(shapePod({ ...POD, bandwidth: { ingress: LIMIT } }, PLACE), {
    links: [],
    qdiscs: [
      {
        linkIndex: 12,
        parent: ROOT_PARENT,
        kind: 'tbf',
        tbf: { rate: 1_250_000, burst: 100_000, limit: 140_000 },
      },
    ],
    redirects: [],
  });
});

test('what a pod sends goes through a shaper of its own', () => {
  const { links, qdiscs, redirects } = shapePod({ ...POD, bandwidth: { egress: LIMIT } }, PLACE);
  const name = shaperName(POD);
  assert.equal(name, hostLinkName(POD).replace(/^fl/, 'fb'));
  assert.deepEqual(links, [
    { index: 13, name, mtu: 1450, group: SHAPER_GROUP, up: true, kind: { type: 'ifb' } },
  ]);
  assert.deepEqual(
    qdiscs.map(({ linkIndex, parent, kind }) => [linkIndex, parent, kind]),
    [
      [13, ROOT_PARENT, 'tbf'],
      [12, INGRESS_PARENT, 'clsact'],
    ],
  );
  assert.deepEqual(
    redirects.map(({ linkIndex, to }) => [linkIndex, to]),
    [[12, 13]],
  );
});

test('what may wait follows from the rate, and not from a burst of half a gigabyte', () => {
  assert.equal(bucketOf({ rate: 1e9, burst: 2 ** 32 - 1 }).limit, 6_250_000);
  assert.equal(bucketOf({ rate: 1e6, burst: 2 ** 32 - 1 }).limit, 140_000, 'two of the largest sendings');
  assert.equal(bucketOf({ rate: 8e4, burst: 12_112 }).limit, 15_140, 'ten packets');
});

test('no bucket is beyond what the kernel’s fields hold, and none lets nothing pass', () => {
  const most = Number.MAX_SAFE_INTEGER;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: most }),
      fc.integer({ min: 1, max: 2 ** 35 - 8 }),
      (rate, burst) => {
        const bucket = bucketOf({ rate, burst });
        assert.ok(bucket.rate >= 1 && bucket.rate * 8 >= rate);
        assert.ok(bucket.burst >= 1 && bucket.burst < 2 ** 32);
        assert.ok(bucket.limit >= 15_140 && bucket.limit < 2 ** 32);
      },
    ),
  );
});

test('a burst below one packet becomes one packet, and that is said', () => {
  assert.deepEqual(fitBandwidth(undefined, 1450), { notices: [] });
  const asked = { ingress: { rate: 1000, burst: 1000 }, egress: { rate: 1000, burst: 11_712 } };
  const { bandwidth, notices } = fitBandwidth(asked, 1450);
  assert.deepEqual(bandwidth, { ...asked, ingress: { rate: 1000, burst: 11_712 } });
  assert.equal(notices.length, 1);
  assert.match(notices[0]!, /ingressBurst: 1000 bits are less than one packet of 1450 bytes; 11712 it is/);
});

test('limits are recorded as names that read back as the same limits', () => {
  const limit = fc.record({
    rate: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    burst: fc.integer({ min: 1, max: 2 ** 35 - 8 }),
  });
  fc.assert(
    fc.property(limit, limit, ({ rate, burst }, other) => {
      const bandwidth = { ingress: { rate, burst }, egress: { rate: other.rate, burst: other.burst } };
      const names = formatBandwidthNames('fl0123456789ab', bandwidth);
      assert.ok(names.every((name) => name.length < 128));
      assert.deepEqual(parseBandwidthNames('fl0123456789ab', names), bandwidth);
    }),
  );
  assert.deepEqual(formatBandwidthNames('fl0', { egress: LIMIT }), ['fl0.egress.10000000.800000']);
});

test('names that say something else are no limits', () => {
  for (const name of [
    'web',
    'fl0.tcp.8080.80.any',
    'fl1.ingress.1.1',
    'fl0.ingress.1',
    'fl0.ingress.1.1.1',
    'fl0.ingress.0.1',
    'fl0.ingress.1.-1',
    'fl0.ingress.1e3.1',
    'fl0.ingress.9999999999999999.1',
    'fl0.sideways.1.1',
  ]) {
    assert.equal(parseBandwidthNames('fl0', [name]), undefined, name);
  }
});
