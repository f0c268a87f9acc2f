/** DELs that the plugin kept: completed while the agent runs, and not given up before they are done. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '../../base/log/logger.ts';
import { CniError } from '../../edge/cni/errors.ts';
import { encodeRequest } from '../../edge/cni/frame.ts';
import { type CniReply, errorReply, SUCCESS } from '../../edge/cni/result/reply.ts';
import { openPendingDeletions } from './pending-deletions.ts';

/** A state directory in which DELs are kept, and an agent that answers them. */
function start(answer: (containerId: string) => CniReply | Promise<CniReply>) {
  const directory = mkdtempSync(join(tmpdir(), 'flt-kept-'));
  mkdirSync(join(directory, 'pending'));
  const done: string[] = [];
  const keep = (containerId: string, command = 'DEL') =>
    writeFileSync(
      join(directory, 'pending', `${containerId}.del`),
      encodeRequest({
        environment: {
          CNI_COMMAND: command,
          CNI_CONTAINERID: containerId,
          CNI_IFNAME: 'eth0',
          CNI_PATH: '/x',
        },
        stdin: '{"cniVersion":"1.0.0","name":"net"}',
      }),
    );
  const pending = openPendingDeletions({
    stateDirectory: () => directory,
    handle: async ({ environment }) => {
      done.push(environment['CNI_CONTAINERID']!);
      return answer(environment['CNI_CONTAINERID']!);
    },
    log: createLogger({ level: 'error', format: 'text' }, () => undefined),
  });
  return {
    pending,
    done,
    keep,
    left: () => readdirSync(join(directory, 'pending')).toSorted(),
    directory,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

test('a kept DEL stays until it is done; what is none, and what no try can mend, is dropped', async () => {
  const refusals: Record<string, CniReply> = {
    later: errorReply(new CniError('TRY_AGAIN', 'not yet'), ''),
    broken: errorReply(new Error('a fault of the agent'), ''),
    wrong: errorReply(new CniError('INVALID_CONFIGURATION', 'no name'), ''),
  };
  using node = start((id) => refusals[id] ?? SUCCESS);
  for (const id of ['fine', ...Object.keys(refusals)]) node.keep(id);
  node.keep('add', 'ADD');
  writeFileSync(join(node.directory, 'pending', 'garbage.del'), 'garbage');
  writeFileSync(join(node.directory, 'pending', 'later.del.7.new'), '');
  await node.pending.complete();
  assert.deepEqual(node.left(), ['broken.del', 'later.del', 'later.del.7.new']);
  delete refusals['later'];
  await node.pending.complete();
  assert.deepEqual(node.left(), ['broken.del', 'later.del.7.new']);
});

test('an ADD has the kept DEL of its own attachment completed, and no look after it completes that again', async () => {
  const gate = Promise.withResolvers<CniReply>();
  using node = start((id) => (id === 'a' ? gate.promise : SUCCESS));
  node.keep('a');
  node.keep('b');
  node.keep('c');
  const look = node.pending.complete();
  const key = { network: 'net', containerId: 'b', ifname: 'eth0' };
  let completed = 0;
  await node.pending.completeOf(key, async () => {
    completed++;
    return SUCCESS;
  });
  assert.deepEqual([completed, node.left()], [1, ['a.del', 'c.del']]);
  await node.pending.complete();
  gate.resolve(SUCCESS);
  await look;
  assert.deepEqual([node.done.toSorted(), node.left()], [['a', 'c'], []]);
});
