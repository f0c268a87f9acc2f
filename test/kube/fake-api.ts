/**
 * A small Kubernetes API on loopback: lists with pages, watches with history, compare-and-swap. Every request can be
 * intercepted, and then does whatever a hostile or broken server would do.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export type Json = Readonly<Record<string, unknown>>;

export type FakeObject = { metadata: Json; spec?: Json; status?: Json } & Json;

export type Interceptor = (
  url: URL,
  response: ServerResponse,
  request: IncomingMessage,
) => boolean | Promise<boolean>;

type Watcher = { path: string; response: ServerResponse };

export class FakeApi {
  readonly server: Server;
  readonly objects = new Map<string, FakeObject>();
  readonly requests: string[] = [];
  /** Returns true when it dealt with the request. */
  intercept: Interceptor = () => false;
  version = 100;
  readonly #history: { version: number; path: string; event: Json }[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #sockets = new Set<Socket>();

  private constructor(tls?: ServerOptions) {
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      response.on('error', () => undefined);
      void this.#handle(request, response);
    };
    this.server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
    const keep = (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    };
    this.server.on('connection', keep);
    this.server.on('tlsClientError', () => undefined);
  }

  static async start(tls?: ServerOptions): Promise<FakeApi> {
    const api = new FakeApi(tls);
    await new Promise<void>((resolve) => {
      api.server.listen(0, '127.0.0.1', resolve);
    });
    return api;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Ends all streams without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.dispose](): void {
    this.cut();
    this.server.close();
  }

  get watching(): number {
    return this.#watchers.size;
  }

  /** Creates or replaces an object of a collection, `/api/v1/nodes`. */
  put(path: string, object: FakeObject): FakeObject {
    const key = keyIn(path, object);
    const type = this.objects.has(key) ? 'MODIFIED' : 'ADDED';
    const next: FakeObject = {
      ...object,
      metadata: { uid: `uid-${key}`, ...object.metadata, resourceVersion: String(++this.version) },
    };
    this.objects.set(key, next);
    this.#emit(path, { type, object: next });
    return next;
  }

  delete(path: string, name: string): void {
    const key = `${path}/${name}`;
    const object = this.objects.get(key);
    this.objects.delete(key);
    this.version++;
    this.#emit(path, {
      type: 'DELETED',
      object: { ...object, metadata: { ...object?.metadata, resourceVersion: String(this.version) } },
    });
  }

  /** Sends a line to all who watch. */
  send(line: string): void {
    for (const { response } of this.#watchers) response.write(line);
  }

  /** Forgets what happened: who resumes from before gets 410. */
  compact(): void {
    this.#history.length = 0;
    this.version++;
  }

  #emit(path: string, event: Json): void {
    this.#history.push({ version: this.version, path, event });
    for (const watcher of this.#watchers) {
      if (watcher.path === path) watcher.response.write(`${JSON.stringify(event)}\n`);
    }
  }

  /** The ranges of a node, or undefined where there is none. */
  rangesOf(node: string): unknown {
    return this.objects.get(`/api/v1/nodes/${node}`)?.spec?.['podCIDRs'];
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    if (await this.intercept(url, response, request)) return;
    const body = await readBody(request);
    const path = url.pathname;
    if (request.method === 'GET' && url.searchParams.get('watch') === '1') this.#watch(url, response);
    else if (request.method === 'GET' && this.objects.has(path))
      reply(response, 200, this.objects.get(path)!);
    else if (
      request.method === 'GET' &&
      /\/(nodes|namespaces|pods|leases|services|endpointslices|servicecidrs|[a-z]+policies)$/.test(path)
    )
      this.#list(url, response);
    else if (request.method === 'POST') this.#write(path, keyIn(path, body), body, response);
    else if (this.objects.has(path)) this.#write(path.replace(/\/[^/]+$/, ''), path, body, response, request);
    else reply(response, 404, status(404, `${path} not found`));
  }

  #list(url: URL, response: ServerResponse): void {
    const all = [...this.objects].filter(([key]) => key.startsWith(`${url.pathname}/`)).map(([, o]) => o);
    const from = Number(url.searchParams.get('continue') ?? '0');
    const to = from + Number(url.searchParams.get('limit') ?? Infinity);
    reply(response, 200, listOf(all.slice(from, to), this.version, to < all.length ? String(to) : ''));
  }

  #watch(url: URL, response: ServerResponse): void {
    const path = url.pathname;
    const since = Number(url.searchParams.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const oldest = this.#history[0]?.version ?? this.version + 1;
    if (since < oldest - 1 && since < this.version) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: status(410, 'too old resource version') })}\n`);
      return;
    }
    for (const { version, path: of, event } of this.#history) {
      if (version > since && of === path) response.write(`${JSON.stringify(event)}\n`);
    }
    const watcher = { path, response };
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
  }

  #write(
    path: string,
    key: string,
    body: FakeObject,
    response: ServerResponse,
    request?: IncomingMessage,
  ): void {
    const current = this.objects.get(key);
    if (current !== undefined && request === undefined) {
      reply(response, 409, status(409, `${key} already exists`));
      return;
    }
    const { uid, resourceVersion } = body.metadata as { uid?: string; resourceVersion?: string };
    const before = current?.metadata;
    if (
      before !== undefined &&
      (before['uid'] !== (uid ?? before['uid']) || before['resourceVersion'] !== resourceVersion)
    ) {
      reply(response, 409, status(409, 'the object has been modified'));
      return;
    }
    const merged =
      request?.method === 'PATCH'
        ? {
            ...current,
            spec: { ...current?.spec, ...body.spec },
            metadata: before ?? {},
          }
        : body;
    reply(response, request === undefined ? 201 : 200, this.put(path, merged));
  }
}

export function listOf(items: readonly unknown[], version: number | string, next = ''): Json {
  const metadata = { resourceVersion: String(version), ...(next === '' ? {} : { continue: next }) };
  return { kind: 'List', apiVersion: 'v1', metadata, items };
}

export function status(code: number, message: string): Json {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message };
}

export function reply(
  response: ServerResponse,
  code: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(text);
}

export function nodeObject(
  name: string,
  podCIDRs: readonly string[] = [],
  rest: Partial<FakeObject> = {},
): FakeObject {
  return {
    metadata: { name, uid: `uid-${name}`, creationTimestamp: '2026-01-01T00:00:00Z', ...rest.metadata },
    spec: { podCIDRs, ...rest.spec },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.1.2' }], ...rest.status },
  };
}

function keyIn(path: string, object: FakeObject): string {
  return `${path}/${String(object.metadata['name'])}`;
}

async function readBody(request: IncomingMessage): Promise<FakeObject> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text === '' ? { metadata: {} } : (JSON.parse(text) as FakeObject);
}
