/** `pods/NAME/exec` over a WebSocket: a command in the network of a pod, with its streams and its exit status. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { describeError } from '../../src/base/errors/errors.ts';
import { EXEC_PROTOCOLS, STREAM } from '../../src/edge/kubernetes/exec.ts';
import { refusalOf, rulesFor } from './access/authorize.ts';
import type { Api } from './api.ts';
import { ApiFailure, failureStatus } from './request/failure.ts';
import { parseTarget, type Target } from './request/request.ts';
import { type Account, authenticate } from './server.ts';
import { requireObject } from './write.ts';

/** Where a pod's commands run. */
export type Runnable = {
  /** Path of the network namespace. */
  network: string;
  /** Of programs that the image of the pod would have. */
  path?: string;
  /** The command as it is run there; absent: as it is. */
  wrap?: (command: readonly string[]) => readonly string[];
};

export type ExecOptions = {
  api: Api;
  accounts: readonly Account[];
  /** @returns undefined for a pod that is not there, or has no network. */
  runnable: (namespace: string, pod: string) => Runnable | undefined;
};

/** Bytes: a client sends nothing but what it closes with. */
const LARGEST_MESSAGE = 1024;

/** For the event `upgrade` of a server. */
export function execListener(options: ExecOptions) {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: LARGEST_MESSAGE,
    handleProtocols: (offered) => EXEC_PROTOCOLS.find((known) => offered.has(known)) ?? false,
  });
  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    let started: { where: Runnable; command: string[] };
    try {
      started = admit(options, request);
    } catch (error) {
      refuse(socket, error);
      return;
    }
    server.handleUpgrade(request, socket, head, (client) => run(client, started.where, started.command));
  };
}

/** @throws ApiFailure for what is not served, not allowed, or not there. */
function admit({ api, accounts, runnable }: ExecOptions, request: IncomingMessage) {
  const url = new URL(request.url ?? '/', 'http://api');
  const account = authenticate(request, accounts);
  const target = parseTarget(url.pathname);
  if (target?.kind.kind !== 'Pod' || target.subresource !== 'exec')
    throw new ApiFailure('NotFound', `the server could not find the requested resource: ${url.pathname}`);
  if (account?.grants !== undefined) {
    const { namespace = '', name = '' } = target;
    const attempt = { verb: 'create', group: '', resource: 'pods/exec', namespace, name };
    if (rulesFor(attempt, account.grants).length === 0) throw new ApiFailure('Forbidden', refusalOf(attempt));
  }
  if (request.method !== 'GET' || request.headers.upgrade?.toLowerCase() !== 'websocket')
    throw new ApiFailure('BadRequest', 'exec: the lab speaks WebSocket alone, as kubectl does since 1.31');
  return { where: whereOf(api, target, runnable), command: commandOf(url.searchParams) };
}

function whereOf(api: Api, target: Target, runnable: ExecOptions['runnable']): Runnable {
  requireObject(api, target);
  const where = runnable(target.namespace ?? '', target.name ?? '');
  if (where !== undefined) return where;
  throw new ApiFailure('BadRequest', `pod ${target.name} has no network in which a command could run`);
}

function commandOf(search: URLSearchParams): string[] {
  const command = search.getAll('command');
  if (command.length > 0) return command;
  throw new ApiFailure('BadRequest', 'command: is missing; name the program to run');
}

function run(client: WebSocket, { network, path, wrap }: Runnable, command: readonly string[]): void {
  const words = wrap === undefined ? command : wrap(command);
  const child: ChildProcess = spawn('nsenter', [`--net=${network}`, '--', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...(path === undefined ? {} : { PATH: `${path}:${process.env['PATH'] ?? ''}` }) },
  });
  const send = (stream: number, data: Buffer) => {
    if (client.readyState === client.OPEN) client.send(Buffer.concat([Buffer.of(stream), data]));
  };
  const finish = (status: object) => {
    send(STREAM.status, Buffer.from(JSON.stringify({ metadata: {}, ...status })));
    client.close(1000);
  };
  child.stdout?.on('data', (chunk: Buffer) => send(STREAM.stdout, chunk));
  child.stderr?.on('data', (chunk: Buffer) => send(STREAM.stderr, chunk));
  child.on('error', (error) => finish({ status: 'Failure', message: describeError(error) }));
  child.on('close', (code) => finish(statusOf(code ?? 137)));
  client.on('error', () => client.terminate());
  // A command whose caller has gone has no reader.
  client.on('close', () => child.kill());
}

function statusOf(code: number): object {
  if (code === 0) return { status: 'Success' };
  return {
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

function refuse(socket: Duplex, error: unknown): void {
  const { code, body } = failureStatus(error);
  const text = JSON.stringify(body);
  const head = `HTTP/1.1 ${code} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close`;
  socket.end(`${head}\r\n\r\n${text}`);
}
