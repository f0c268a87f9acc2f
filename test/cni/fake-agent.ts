/** The other end of the plugin's socket: answers as a test says, or fails to. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeRequest, encodeReply, type RequestFrame } from '../../src/edge/cni/frame.ts';
import type { CniReply } from '../../src/edge/cni/result/reply.ts';

/** `die`: the connection ends; `silence`: nothing comes; bytes: whatever they are. */
export type Conduct = CniReply | 'die' | 'silence' | Buffer;

export type FakeAgent = {
  socketPath: string;
  /** The requests that came, in order. */
  requests: readonly RequestFrame[];
  [Symbol.asyncDispose](): Promise<void>;
};

/** @param conduct what to do with the request of that number, counted from 0. */
export async function startFakeAgent(
  directory: string,
  conduct: (request: RequestFrame, number: number) => Conduct,
): Promise<FakeAgent> {
  const socketPath = join(directory, 'agent.sock');
  const requests: RequestFrame[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0);
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => undefined);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const request = decodeRequest(bytes);
      if (request === undefined) return;
      requests.push(request);
      behave(socket, conduct(request, requests.length - 1));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });
  return {
    socketPath,
    requests,
    [Symbol.asyncDispose]: () => {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** A directory for a test's sockets and files, removed at its end. */
export function createDirectory(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), 'flt-cni-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function behave(socket: Socket, conduct: Conduct): void {
  if (conduct === 'die') socket.destroy();
  else if (Buffer.isBuffer(conduct)) socket.end(conduct);
  else if (conduct !== 'silence') socket.end(encodeReply(conduct));
}
