import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foreignRules } from './routing-rules.ts';
import { judgeWhere, type Where } from './where.ts';

const HERE: Where = {
  node: 'node-1',
  network: 'net:[1]',
  onHost: false,
  agent: { known: true, network: 'net:[1]' },
};

test('where it ran, and whether that is where the agent is', () => {
  assert.equal(
    judgeWhere(HERE).seen,
    'node node-1, network namespace net:[1], in a container, where the agent is',
  );
  assert.match(
    judgeWhere({ ...HERE, onHost: true, agent: { known: false } }).seen,
    /on the host; the agent's process is not seen/,
  );
  const elsewhere = judgeWhere({ ...HERE, agent: { known: true, network: 'net:[2]' } });
  assert.equal(elsewhere.verdict, 'broken');
  assert.match(elsewhere.seen, /but the agent is in net:\[2\]/);
});

test('rules of others for routing', () => {
  const listing = [
    '0:\tfrom all lookup local',
    '78:\tfrom 10.244.0.0/24 blackhole',
    '100:\tfrom all lookup main suppress_prefixlength 0',
    '7010:\tfrom 10.244.0.0/24 lookup 7010 proto 70',
    '32766:\tfrom all lookup main',
    '32767:\tfrom all lookup default',
    '',
  ].join('\n');
  assert.deepEqual(foreignRules(listing), [
    'rule 78 “from 10.244.0.0/24 blackhole”',
    'rule 100 “from all lookup main suppress_prefixlength 0”',
  ]);
});
