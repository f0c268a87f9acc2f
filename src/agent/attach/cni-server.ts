/** The socket of the plugin: frames in, frames out, for root alone, and no caller can make others wait. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import { CniError } from '../../edge/cni/errors.ts';
import {
  decodeRequest,
  ENVIRONMENT_LIMIT,
  encodeReply,
  type RequestFrame,
  STDIN_LIMIT,
} from '../../edge/cni/frame.ts';
import { type CniReply, errorReply } from '../../edge/cni/result/reply.ts';
import { native } from '../../edge/netlink/native.ts';

/** Milliseconds within which a caller has to have sent its request. */
const REQUEST_MS = 10_000;
/** Requests that are worked on at a time; more wait for their turn. */
const MOST_SERVED = 512;
/** Callers that are let in at a time, silent ones among them; more are told to try again. */
const MOST_CALLERS = 4096;
const LARGEST_REQUEST = ENVIRONMENT_LIMIT + STDIN_LIMIT + 64;

export type Limits = { served: number; callers: number };

export type CniHandler = (frame: RequestFrame) => Promise<CniReply>;

/** @throws FairleadError when another agent answers at this path. */
export async function listenForPlugins(
  path: string,
  handler: CniHandler,
  log: Logger,
  { served, callers }: Limits = { served: MOST_SERVED, callers: MOST_CALLERS },
): Promise<Server> {
  await prepareSocket(path);
  const inTurn = limitConcurrency(handler, served);
  let present = 0;
  const server = createServer((socket) => {
    present++;
    socket.once('close', () => present--);
    serve(socket, present > callers ? refuseBusy : inTurn, log);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: 4096 }, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}

/**
 * No socket that a crash left; one that answers is another agent's. A directory that is made here is for root alone, one
 * that is there stays as it is: it may be others' too.
 */
export async function prepareSocket(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (await answers(path)) {
    throw new FairleadError(
      'FL_SOCKET_IN_USE',
      `another fairlead agent serves ${path} already; stop it first`,
    );
  }
  rmSync(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function serve(socket: Socket, handler: CniHandler, log: Logger): void {
  let bytes: Buffer = Buffer.alloc(0);
  const refuse = (reason: string) => {
    log.warn('a caller was refused', { reason });
    socket.destroy();
  };
  socket.setTimeout(REQUEST_MS, () => refuse('it sent no whole request in time'));
  socket.on('error', (error) => log.debug('a caller is gone', { reason: describeError(error) }));
  if (!isRoot(socket)) return refuse('it is not root');
  socket.on('data', (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    if (bytes.length > LARGEST_REQUEST) return refuse('its request is too large');
    let frame: RequestFrame | undefined;
    try {
      frame = decodeRequest(bytes);
    } catch (error) {
      return refuse(describeError(error));
    }
    if (frame === undefined) return undefined;
    socket.setTimeout(0).removeAllListeners('data').resume();
    void handler(frame).then((reply) => socket.end(encodeReply(reply)));
    return undefined;
  });
}

/** A caller that gets no answer would take the agent for gone, and keep its DEL. */
const refuseBusy: CniHandler = async ({ stdin }) =>
  errorReply(
    new CniError('TRY_AGAIN', `more than ${MOST_CALLERS} callers wait for the agent of this node; try again`),
    stdin,
  );

/** Runs at most so many at a time; the others wait in the order in which they came. */
function limitConcurrency(handler: CniHandler, most: number): CniHandler {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (frame) => {
    if (running < most) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await handler(frame);
    } finally {
      const next = waiting.shift();
      // A place that is handed over stays taken.
      if (next === undefined) running--;
      else next();
    }
  };
}

/** The socket's mode keeps others out; this also holds where it was changed. */
function isRoot(socket: Socket): boolean {
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  return fd !== undefined && native.peerCredentials(fd).uid === 0;
}
