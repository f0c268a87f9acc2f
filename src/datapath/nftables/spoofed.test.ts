/** What the kernel has counted of spoofed packets, on a kernel that counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNamespace } from '../../../test/namespace.ts';
import { NetworkNamespace } from '../../edge/netlink/namespace.ts';
import { openNftables } from '../../edge/nftables/nft.ts';
import { judgeSpoofed } from '../../tools/doctor/spoofed.ts';
import { describeSpoofDrops, readSpoofDrops } from './spoofed.ts';

const now = () => new Date('2026-01-01T00:00:00Z');

test('counters of the table are read by their names; what is not counted is absent, what cannot be read is not zero', async () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using nftables = openNftables(opened);
  const none = await readSpoofDrops(nftables, now);
  assert.deepEqual(none, { known: true, packets: {} });
  assert.equal(describeSpoofDrops(none), 'not counted');
  namespace.exec(
    'nft',
    'add table inet fairlead; add counter inet fairlead spoofed-source { packets 12 bytes 700 }; ' +
      'add counter inet fairlead tunnel-stranger; add counter inet fairlead other { packets 7 bytes 7 }',
  );
  const some = await readSpoofDrops(nftables, now);
  assert.deepEqual(some, { known: true, packets: { 'spoofed-source': 12, 'tunnel-stranger': 0 } });
  assert.equal(describeSpoofDrops(some), '12 of pods with an address that they do not have');
  assert.equal(judgeSpoofed(some).verdict, 'doubtful');
  assert.equal(judgeSpoofed({ known: true, packets: { 'spoofed-source': 0 } }).verdict, 'fine');

  const unknown = await readSpoofDrops({ counts: () => Promise.reject(new Error('nft is gone')) }, now);
  assert.deepEqual(unknown, { known: false, since: '2026-01-01T00:00:00.000Z', why: 'nft is gone' });
  assert.match(judgeSpoofed(unknown).seen, /not known since 2026-01-01.*nft is gone/);
});
