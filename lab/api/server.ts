/** The API over HTTP: who asks, what is asked, the answer in the form that was asked for. */
import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { attemptOf, type Grant, refusalOf, rulesFor } from './access/authorize.ts';
import type { Answer, Api } from './api.ts';
import { deleteCollection, deleteObject } from './delete.ts';
import { discover } from './discovery.ts';
import { openLog } from './log.ts';
import { openapiV2, openapiV3, openapiV3Paths } from './openapi/documents.ts';
import { encodeOpenapiV2 } from './openapi/protobuf.ts';
import { readList, readObject, type View } from './read.ts';
import { readBody } from './request/body.ts';
import { ApiFailure, failureStatus } from './request/failure.ts';
import { parseQuery, parseTarget, type Query, type Target } from './request/request.ts';
import { openWatch } from './watch.ts';
import { createObject, patchObject, replaceObject } from './write.ts';

/** With an `@`, as the client writes it, its own parser of media types refuses the answer. */
const OPENAPI_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

export type Account = {
  /** What it shows. */
  token: string;
  /** Absent: it may do everything. */
  grants?: readonly Grant[];
};

/** @param accounts without any, every request is served. */
export function apiListener(api: Api, accounts: readonly Account[] = []): RequestListener {
  return (request, response) => {
    answer(api, accounts, request, response).catch((error: unknown) => {
      const { code, body } = failureStatus(error);
      if (response.headersSent) response.destroy();
      else send(request, response, code, body);
    });
  };
}

async function answer(
  api: Api,
  accounts: readonly Account[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://api');
  const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, '') : '/';
  if (/^\/(healthz|livez|readyz)$/.test(path)) return send(request, response, 200, 'ok');
  const account = authenticate(request, accounts);
  authorize(account, request.method ?? 'GET', path, url.searchParams);
  const served = discover(path) ?? openapi(path);
  if (served !== undefined && request.method === 'GET') return send(request, response, 200, served);
  if (path === '/openapi/v2') return sendOpenapiV2(request, response);
  const target = parseTarget(path);
  if (target === undefined)
    throw new ApiFailure(
      'NotFound',
      `the server could not find the requested resource: ${path} is not served by the lab`,
    );
  const query = parseQuery(url.searchParams, target.kind);
  if (request.method === 'GET' && target.subresource === 'log' && target.kind.kind === 'Pod')
    return sendLog(api, target, url.searchParams, request, response);
  if (request.method === 'GET' && query.watch) return watch(api, target, query, request, response);
  const body = request.method === 'GET' ? Buffer.alloc(0) : await readBody(request);
  const { code, body: content, warnings = [] } = dispatch(api, target, query, request, body);
  for (const warning of warnings) response.appendHeader('warning', `299 - ${JSON.stringify(warning)}`);
  send(request, response, code, content);
}

function dispatch(api: Api, target: Target, query: Query, request: IncomingMessage, body: Buffer): Answer {
  const { kind, name, namespace, subresource } = target;
  const method = request.method ?? 'GET';
  const write = { target, query, body, contentType: mediaType(request), manager: managerOf(request, query) };
  if (subresource !== undefined && !(subresource === 'status' && kind.status))
    throw new ApiFailure(
      'NotFound',
      `the server could not find the requested resource: ${kind.plural} have no ${subresource}`,
    );
  if (name === undefined) {
    if (method === 'GET') return readList(api, target, query, viewOf(request));
    if (method === 'POST' && (namespace !== undefined || !kind.namespaced)) return createObject(api, write);
    if (method === 'DELETE') return deleteCollection(api, target, query);
  } else {
    if (method === 'GET') return readObject(api, target, query, viewOf(request));
    if (method === 'PUT') return replaceObject(api, write);
    if (method === 'PATCH') return patchObject(api, write);
    if (method === 'DELETE' && subresource === undefined) return deleteObject(api, target, query, write);
  }
  throw new ApiFailure(
    'MethodNotAllowed',
    `the server does not allow this method on the requested resource: ${method}`,
  );
}

function sendLog(
  api: Api,
  target: Target,
  search: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { text, follow } = openLog(api, target, search);
  if (follow === undefined) return send(request, response, 200, text);
  response.writeHead(200, { 'content-type': 'text/plain' });
  // Headers alone would wait for the first line.
  response.flushHeaders();
  response.write(text);
  const following = follow(
    (more) => response.write(more),
    () => response.end(),
  );
  response.on('close', () => following[Symbol.dispose]());
}

function watch(
  api: Api,
  target: Target,
  query: Query,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const opened = openWatch(api, target, query, viewOf(request), {
    write: (line) => {
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' });
      response.write(line);
    },
    waiting: () => response.writableLength,
    end: () => response.end(),
    abort: () => response.destroy(),
  });
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  response.on('close', () => opened[Symbol.dispose]());
}

export function authenticate(request: IncomingMessage, accounts: readonly Account[]): Account | undefined {
  const said = Buffer.from(request.headers.authorization ?? '');
  const account = accounts.find(({ token }) => {
    const wanted = Buffer.from(`Bearer ${token}`);
    return said.length === wanted.length && timingSafeEqual(said, wanted);
  });
  if (account === undefined && accounts.length > 0)
    throw new ApiFailure('Unauthorized', "Unauthorized: use the kubeconfig of 'fairlead lab kubeconfig'");
  return account;
}

/** @throws ApiFailure for what the account's roles do not allow. */
function authorize(
  account: Account | undefined,
  method: string,
  path: string,
  search: URLSearchParams,
): void {
  const watches = ['true', '1'].includes(search.get('watch') ?? '');
  const attempt = account?.grants === undefined ? undefined : attemptOf(method, path, watches);
  if (attempt !== undefined && rulesFor(attempt, account?.grants ?? []).length === 0)
    throw new ApiFailure('Forbidden', refusalOf(attempt));
}

function openapi(path: string): object | undefined {
  if (path === '/openapi/v3')
    return {
      paths: Object.fromEntries(
        openapiV3Paths().map((root) => [root, { serverRelativeURL: `/openapi/v3/${root}` }]),
      ),
    };
  return path.startsWith('/openapi/v3/') ? openapiV3(path.slice('/openapi/v3/'.length)) : undefined;
}

function sendOpenapiV2(request: IncomingMessage, response: ServerResponse): void {
  if (!(request.headers.accept ?? '').includes('protobuf')) return send(request, response, 200, openapiV2());
  response.writeHead(200, { 'content-type': OPENAPI_PROTOBUF }).end(encodeOpenapiV2(openapiV2()));
}

/** @throws ApiFailure where nothing that the client takes can be served. */
function viewOf({ headers }: IncomingMessage): View {
  const accepted = (headers.accept ?? '*/*').split(',').map((part) => part.trim().toLowerCase());
  for (const part of accepted) {
    const [type, ...parameters] = part.split(';').map((piece) => piece.trim());
    if (type === 'application/json' && parameters.includes('as=table')) return 'table';
    const plain = !parameters.some((parameter) => parameter.startsWith('as='));
    if (plain && (type === 'application/json' || type === '*/*' || type === 'application/*')) return 'object';
  }
  throw new ApiFailure(
    'NotAcceptable',
    'only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io',
  );
}

function mediaType({ headers }: IncomingMessage): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

/** Who says nothing is known by the program that it is. */
function managerOf({ headers }: IncomingMessage, { fieldManager }: Query): string {
  return fieldManager ?? ((headers['user-agent'] ?? '').split('/', 1)[0]!.slice(0, 128) || 'unknown');
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  body: object | string | Buffer,
): void {
  const isText = typeof body === 'string' || Buffer.isBuffer(body);
  const content = Buffer.from(isText ? body : JSON.stringify(body));
  const type = isText ? 'text/plain' : 'application/json';
  response.writeHead(code, { 'content-type': type, 'content-length': content.length });
  // What the client still sends has been judged already: the connection cannot be used again.
  if (!request.complete) response.shouldKeepAlive = false;
  response.end(content);
}
