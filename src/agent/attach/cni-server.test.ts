/** More callers at once than are served: each gets an answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createLogger } from '../../base/log/logger.ts';
import { decodeReply, encodeRequest } from '../../edge/cni/frame.ts';
import type { CniReply } from '../../edge/cni/result/reply.ts';
import { listenForPlugins } from './cni-server.ts';

const SILENT = createLogger({ level: 'error', format: 'text' }, () => undefined);

async function call(path: string, id: string): Promise<CniReply | undefined> {
  const socket = connect(path);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(encodeRequest({ environment: { CNI_CONTAINERID: id }, stdin: '{"cniVersion":"1.0.0"}' }));
  await once(socket, 'close');
  return decodeReply(Buffer.concat(chunks));
}

test('a caller more than are served waits for its turn, and one more than may wait is told to try again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'flt-server-'));
  const path = join(directory, 'cni.sock');
  const opened = Promise.withResolvers<void>();
  const begun: string[] = [];
  const handler = async ({ environment }: { environment: Record<string, string> }): Promise<CniReply> => {
    begun.push(environment['CNI_CONTAINERID']!);
    await opened.promise;
    return { exitCode: 0, stdout: environment['CNI_CONTAINERID']! };
  };
  const server = await listenForPlugins(path, handler, SILENT, { served: 2, callers: 4 });
  try {
    const callers = ['1', '2', '3', '4'].map((id) => call(path, id));
    await turnsUntil(async () => (await connections(server)) === callers.length && begun.length === 2);
    const refused = await call(path, '5');
    assert.equal(refused?.exitCode, 1);
    assert.deepEqual(
      { ...(JSON.parse(refused.stdout) as object), msg: '' },
      { cniVersion: '1.0.0', code: 11, msg: '' },
    );
    assert.equal(begun.length, 2);
    opened.resolve();
    const replies = await Promise.all(callers);
    assert.deepEqual(
      replies.map((reply) => reply?.stdout),
      ['1', '2', '3', '4'],
    );
    await turnsUntil(async () => (await connections(server)) === 0);
    assert.equal((await call(path, '6'))?.exitCode, 0, 'there is room again');
  } finally {
    server.close();
    rmSync(directory, { recursive: true });
  }
});

async function turnsUntil(holds: () => Promise<boolean>): Promise<void> {
  do await setImmediate();
  while (!(await holds()));
}

function connections(server: Awaited<ReturnType<typeof listenForPlugins>>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}
