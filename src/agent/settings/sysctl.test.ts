import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openSysctls } from '../../edge/sysctl/sysctls.ts';
import { ensureSysctls, nodeSysctls } from './sysctl.ts';

const folder = mkdtempSync(join(tmpdir(), 'sysctl-'));
after(() => rmSync(folder, { recursive: true }));

test('what cannot be read or set is named, and the others are set all the same', () => {
  const [own, other] = ['net.ipv4.conf.lo.tag', 'net.ipv4.conf.lo.medium_id'];
  mkdirSync(join(folder, 'net/ipv4/conf/lo'), { recursive: true });
  // A folder in its place refuses the write, as a read-only file system would.
  mkdirSync(join(folder, 'net/ipv4/conf/lo/tag'));
  writeFileSync(join(folder, 'net/ipv4/conf/lo/medium_id'), '0');
  const missing = 'net.ipv6.conf.none-such.accept_ra';
  const { changed, problems } = ensureSysctls(
    [missing, own, other].map((name) => ({ name, value: '77' })),
    openSysctls(folder),
  );
  assert.deepEqual(
    changed.map(({ name, value }) => [name, value]),
    [[other, '77']],
  );
  assert.equal(readFileSync(join(folder, 'net/ipv4/conf/lo/medium_id'), 'utf8'), '77');
  assert.equal(problems.length, 2);
  assert.match(
    problems[0]!,
    /^IPv6: net\.ipv6\.conf\.none-such\.accept_ra must be 77, but this kernel has no such/,
  );
  assert.match(
    problems[1]!,
    /^IPv4: net\.ipv4\.conf\.lo\.tag must be 77, but is 0 and cannot be set \(EISDIR\): set it/,
  );
});

test('each family is set once, however many ranges it has', () => {
  assert.deepEqual(
    nodeSysctls([4, 4], () => [], openSysctls(folder)).map(({ name }) => name),
    ['net.ipv4.ip_forward'],
  );
});
