/** The quick codec of elements against the general one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeStage } from '../../src/datapath/nftables/service/encode.ts';
import { serviceSets } from '../../src/datapath/nftables/service/sets.ts';
import { encodeElementChanges } from '../../src/edge/nftables/elements.ts';
import type { Element, NftType } from '../../src/edge/nftables/objects.ts';

const SAMPLES: Partial<Record<NftType, string>> = {
  ipv4_addr: '10.96.0.1',
  ipv6_addr: 'fd00:10:96::1',
  inet_proto: 'udp',
  inet_service: '30080',
  mark: '16777219',
};

test('elements of every set are the same bytes by either codec', () => {
  for (const set of serviceSets({ families: [4, 6] })) {
    if (set.interval === true && set.key.length > 1) continue;
    const key = set.key.map((type) => SAMPLES[type]!);
    const element: Element = set.interval === true ? { key: ['10.96.0.0/16'] } : { key };
    const sample: Element[] =
      set.value === 'verdict'
        ? [
            { ...element, value: { verdict: 'goto', chain: 'of4-12' } },
            { ...element, value: { verdict: 'drop' } },
          ]
        : [
            Array.isArray(set.value)
              ? { ...element, value: set.value.map((type: NftType) => SAMPLES[type]!) }
              : element,
          ];
    if (set.interval === true && set.key[0] === 'ipv6_addr') sample.splice(0, 1, { key: ['fd00::/64'] });
    for (const change of ['add', 'delete'] as const) {
      const elements = change === 'add' ? sample : sample.map(({ key: own }) => ({ key: own }));
      const stage = [{ change, set, elements }];
      const table = 'fairlead-services-a';
      assert.deepEqual(
        encodeStage(table, stage).toString('hex'),
        encodeElementChanges({ family: 'inet', name: table }, stage).toString('hex'),
        `${change} ${set.name}`,
      );
    }
  }
});
