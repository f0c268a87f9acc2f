import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeNameOf } from './node-name.ts';

test('a node is called as it is configured, else as its pod says, else as its kubelet makes of the host', () => {
  assert.equal(nodeNameOf('a', 'b', 'c'), 'a');
  assert.equal(nodeNameOf('', 'b', 'c'), 'b');
  assert.equal(nodeNameOf('', '', ' Worker-1.Example.COM\n'), 'worker-1.example.com');
  assert.equal(nodeNameOf('', undefined, 'W1'), 'w1');
  assert.throws(() => nodeNameOf('', undefined, ' '), /node\.name: this machine has no name/);
});
