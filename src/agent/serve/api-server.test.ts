import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { listenForQuestions, listenForScrapes, type Questions } from './api-server.ts';

async function serve(requestMs?: number) {
  const questions = { metrics: () => Promise.resolve('fairlead_ready 1\n') };
  const server = await listenForScrapes('127.0.0.1:0', questions as unknown as Questions, requestMs);
  after(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  return (localAddress: string): Socket => {
    const socket = connect({ host: '127.0.0.1', port, localAddress }).resume();
    after(() => socket.destroy());
    // One that is refused ends at once.
    return socket.on('error', () => undefined);
  };
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

/** Connects as often as said; @returns those that were let in, once each was let in or refused. */
async function crowd(open: (address: string) => Socket, address: string, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => open(address));
  const served = await Promise.all(
    sockets.map(async (socket) => {
      socket.write('GET /metrics HTTP/1.1\r\nhost: node\r\n\r\n');
      return await new Promise<boolean>((resolve) => {
        socket.once('data', () => resolve(true)).once('close', () => resolve(false));
      });
    }),
  );
  return sockets.filter((_, index) => served[index]);
}

test('one address holds a quarter of the places, all addresses together hold 64, and each place is given back', async () => {
  const open = await serve();
  const first = await crowd(open, '127.0.0.2', 200);
  assert.equal(first.length, 16);
  assert.equal((await crowd(open, '127.0.0.1', 1)).length, 1, 'the kubelet is served meanwhile');
  for (const last of [3, 4, 5, 6]) await crowd(open, `127.0.0.${last}`, 100);
  assert.equal((await crowd(open, '127.0.0.7', 1)).length, 0);
  for (const socket of first) socket.destroy();
  await Promise.all(first.map(closed));
  let again: Socket[] = [];
  while (again.length === 0) again = await crowd(open, '127.0.0.7', 1);
});

test('a caller that sends nothing, or a byte now and then, is cut off', async () => {
  const open = await serve(50);
  await closed(open('127.0.0.1'));
  const slow = open('127.0.0.1');
  const dripping = setInterval(() => slow.write('G'), 10);
  await closed(slow);
  clearInterval(dripping);
});

test('a folder of sockets that is made here is for root alone, one that was there stays as it was', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flt-sockets-'));
  after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const modeOf = (path: string) => statSync(path).mode & 0o777;
  for (const path of [join(folder, 'api.sock'), join(folder, 'own', 'api.sock')]) {
    const server = await listenForQuestions(path, {} as Questions);
    after(() => server.close());
    assert.equal(modeOf(path), 0o600);
  }
  assert.equal(modeOf(folder), 0o755);
  assert.equal(modeOf(join(folder, 'own')), 0o700);
});
