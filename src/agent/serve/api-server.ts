/**
 * What the agent tells: its status to the command line over a unix socket for root alone, metrics and health to
 * scrapers, there and at an address if one is configured.
 */
import { chmodSync } from 'node:fs';
import type { Server, ServerOptions } from 'node:http';
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import { createServer } from '../../base/http/http.ts';
import { prepareSocket } from '../attach/cni-server.ts';
import type { AgentStatus } from './status.ts';

/** A way of being asked: what is said, and how it is. */
export type Answer = { status: number; type: string; body: string };

export type Questions = {
  status: () => Promise<AgentStatus>;
  /** @param query of `/why`. @returns JSON. */
  why: (query: URLSearchParams) => Promise<string>;
  /** Denied packets. @returns JSON. */
  drops: () => string;
  /** Connections that are open, and such as were denied lately. @returns JSON. */
  flows: () => Promise<string>;
  /** Services as they are served here. @param query of `/services`. @returns JSON. */
  services: (query: URLSearchParams) => string;
  /** Calls back with a line of JSON for each denied packet from now on. */
  followDrops: (onLine: (line: string) => void) => { [Symbol.dispose](): void };
  /** @param audience `anybody` gets less, and no more often than once a second. */
  metrics: (audience: 'root' | 'anybody') => Promise<string>;
  /** Whether the agent works; a sentence where it does not. */
  health: () => string | undefined;
  /** Whether pods can be attached; a sentence where they cannot. */
  readiness: () => string | undefined;
};

/** At an address: connections at a time, and of these from one address, so that one pod leaves room for the kubelet. */
const MOST_CALLERS = 64;
const MOST_OF_ONE_ADDRESS = 16;
/** Milliseconds for a whole request, and for its answer to be taken. */
const REQUEST_MS = 5000;
const CHECK_MS = 1000;

const TEXT = 'text/plain; charset=utf-8';

/** @param withStatus for root alone: it names pods. */
export async function answer(
  url: string,
  { status, why, drops, flows, services, metrics, health, readiness }: Questions,
  withStatus: boolean,
): Promise<Answer> {
  const judge = (fault: string | undefined): Answer => ({
    status: fault === undefined ? 200 : 503,
    type: TEXT,
    body: `${fault ?? 'ok'}\n`,
  });
  const [path = '', query = ''] = url.split('?');
  switch (path) {
    case '/metrics':
      return {
        status: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        body: await metrics(withStatus ? 'root' : 'anybody'),
      };
    case '/healthz':
      return judge(health());
    case '/readyz':
      return judge(readiness());
  }
  const inside: Readonly<Record<string, () => string | Promise<string>>> = withStatus
    ? {
        '/status': async () => JSON.stringify(await status()),
        '/why': () => why(new URLSearchParams(query)),
        '/drops': drops,
        '/flows': flows,
        '/services': () => services(new URLSearchParams(query)),
      }
    : {};
  const ask = Object.hasOwn(inside, path) ? inside[path] : undefined;
  if (ask !== undefined) return { status: 200, type: 'application/json', body: await ask() };
  const known = ['/metrics', '/healthz', '/readyz', ...Object.keys(inside)];
  return { status: 404, type: TEXT, body: `ask for one of ${known.join(', ')}\n` };
}

export async function listenForQuestions(path: string, questions: Questions): Promise<Server> {
  await prepareSocket(path);
  const server = serve(questions, true);
  await listen(server, { path });
  chmodSync(path, 0o600);
  return server;
}

/** @param address as in `127.0.0.1:9630`. @throws FairleadError FL_CONFIGURATION where it cannot be listened at. */
export async function listenForScrapes(
  address: string,
  questions: Questions,
  requestMs = REQUEST_MS,
): Promise<Server> {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const server = serve(questions, false, {
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    keepAliveTimeout: requestMs,
    connectionsCheckingInterval: Math.min(requestMs, CHECK_MS),
  });
  boundCallers(server, requestMs);
  try {
    await listen(server, { host, port: Number(address.slice(at + 1)) });
  } catch (error) {
    throw new FairleadError(
      'FL_CONFIGURATION',
      `metrics.address: nobody can listen at ${address}; choose a free port of an address of this node`,
      { cause: error },
    );
  }
  return server;
}

function serve(questions: Questions, withStatus: boolean, options: ServerOptions = {}): Server {
  return createServer(options, (request, response) => {
    const url = request.method === 'GET' ? (request.url ?? '') : '';
    if (withStatus && url === '/drops?follow') {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders();
      const following = questions.followDrops((line) => {
        // Who reads slower than packets are denied misses some.
        if (!response.writableNeedDrain) response.write(`${line}\n`);
      });
      response.on('close', () => following[Symbol.dispose]());
      return;
    }
    void answer(url, questions, withStatus)
      .catch((error): Answer => ({ status: 500, type: TEXT, body: `${describeError(error)}\n` }))
      .then(({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body));
  });
}

/** Whatever pods do to a port of the node, the agent's memory and the answers to others stay as they are. */
function boundCallers(server: Server, requestMs: number): void {
  server.maxConnections = MOST_CALLERS;
  server.timeout = requestMs;
  const callers = new Map<string, number>();
  server.on('connection', (socket) => {
    const from = socket.remoteAddress ?? '';
    const already = callers.get(from) ?? 0;
    if (already >= MOST_OF_ONE_ADDRESS) return void socket.destroy();
    callers.set(from, already + 1);
    socket.on('close', () => {
      const left = callers.get(from)! - 1;
      if (left === 0) callers.delete(from);
      else callers.set(from, left);
    });
    return undefined;
  });
  server.on('request', (_, response) => {
    // Counts from the question to the last byte taken: a caller that reads slowly holds its place no longer.
    const late = setTimeout(() => response.destroy(), requestMs);
    response.on('close', () => clearTimeout(late));
  });
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
}
