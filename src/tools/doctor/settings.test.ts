import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeForwarding, judgeKernel, judgeReversePath } from './settings.ts';

test('forwarding that is off, and a family that the kernel does not have', () => {
  const [first, ...others] = judgeForwarding({
    'net.ipv4.ip_forward': '0',
    'net.ipv6.conf.all.forwarding': undefined,
  });
  assert.equal(first?.verdict, 'broken');
  assert.match(first.cure ?? '', /grep -r net\.ipv4\.ip_forward/);
  assert.deepEqual(others, []);
});

test('a strict reverse path filter, its own or that of all', () => {
  const names = new Map([[2, 'eth0']]);
  const judge = (all: number, own: number) =>
    judgeReversePath(names, [
      { family: 4, scope: 'all', rpFilter: all },
      { family: 4, scope: { link: 2 }, rpFilter: own },
    ])[0]?.verdict;
  assert.deepEqual(
    [judge(0, 1), judge(1, 0), judge(1, 2), judge(0, 0)],
    ['broken', 'broken', 'fine', 'fine'],
  );
});

test('kernels', () => {
  assert.deepEqual(
    ['5.4.0-generic', '5.8.0', '5.10.0-28-amd64', '6.1.0', '10.0.0'].map(
      (release) => judgeKernel(release).verdict,
    ),
    ['broken', 'fine', 'fine', 'fine', 'fine'],
  );
});
