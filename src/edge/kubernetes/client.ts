/** Requests to the Kubernetes API on kept connections, bounded in time and size. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { describeError } from '../../base/errors/errors.ts';
import { Agent as HttpAgent, request as httpRequest } from '../../base/http/http.ts';
import type { KubeAccess } from './access.ts';
import { type ApiError, failure, garbage, refusal, SilenceError } from './api-error.ts';
import { type Credentials, followCredentials } from './credentials.ts';

export type ApiRequest = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Of the API, `/api/v1/nodes`. */
  path: string;
  query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  body?: unknown;
  contentType?:
    | 'application/json'
    | 'application/merge-patch+json'
    | 'application/strategic-merge-patch+json';
  signal?: AbortSignal;
  /** Milliseconds without a byte after which the connection counts as dead. */
  idleMs?: number;
  /** Milliseconds for all of it; Infinity for a watch. */
  totalMs?: number;
};

/** Milliseconds; a server that thinks for ten seconds is served. */
const IDLE_MS = 30_000;
const TOTAL_MS = 300_000;
/** Milliseconds of silence before TCP asks whether the other end is still there. */
const KEEP_ALIVE_MS = 10_000;
/** Bytes of one document; etcd keeps none above 1.5 MiB. */
const LARGEST_DOCUMENT = 8 * 1024 * 1024;
/** Bytes of the text of a refusal that are read. */
const LARGEST_REFUSAL = 64 * 1024;

export class KubeClient {
  readonly #access: KubeAccess;
  readonly #agent: InstanceType<typeof HttpAgent>;
  readonly #credentials: () => Credentials;
  /** Milliseconds by which the server's clock is ahead of ours. */
  #aheadMs = 0;

  /** @throws FairleadError where the credentials cannot be used. */
  constructor(access: KubeAccess) {
    this.#access = access;
    this.#credentials = followCredentials(access);
    const options = { keepAlive: true, maxFreeSockets: 2 };
    this.#agent = access.server.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** One document. @throws ApiError */
  async json(request: ApiRequest): Promise<unknown> {
    const what = this.describe(request);
    const text = await readText(what, await this.open(request), LARGEST_DOCUMENT);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw garbage(what, `the answer is not JSON: ${describeError(error)}`);
    }
  }

  /** The body of the answer, to be read to its end or left by `break`. @throws ApiError, also while it is read. */
  async open(request: ApiRequest): Promise<AsyncIterable<Buffer>> {
    const what = this.describe(request);
    const response = await this.#send(request, what);
    const status = response.statusCode ?? 0;
    const date = Date.parse(response.headers.date ?? '');
    if (!Number.isNaN(date)) this.#aheadMs = date - Date.now();
    if (status >= 200 && status < 300) return chunks(what, response);
    const body = await readStart(chunks(what, response), LARGEST_REFUSAL);
    const message = body === '' ? (response.statusMessage ?? '') : body;
    const { origin, rights } = this.#access;
    throw refusal(what, status, message, response.headers['retry-after'], origin, rights);
  }

  /** As for an answer to a request. */
  refusal(what: string, status: number, message: string): ApiError {
    const { origin, rights } = this.#access;
    return refusal(what, status, message, undefined, origin, rights);
  }

  /** What a connection that becomes another protocol needs, with the credentials as they are now. */
  upgrade(path: string) {
    const { server, serverName } = this.#access;
    const { token, ...tls } = this.#credentials();
    const base = `${server.protocol === 'https:' ? 'wss:' : 'ws:'}//${server.host}`;
    return {
      url: `${base}${server.pathname.replace(/\/$/, '')}${path}`,
      ...tls,
      ...(serverName === undefined ? {} : { servername: serverName }),
      headers: {
        'user-agent': 'fairlead',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    };
  }

  /** Now, by the clock of the server as far as it told (`Date`, to the second); that of a laptop may be wrong. */
  get serverTimeMs(): number {
    return Date.now() + this.#aheadMs;
  }

  describe({ method = 'GET', path }: ApiRequest): string {
    return `${method} ${this.#access.server.origin}${path}`;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #send(request: ApiRequest, what: string): Promise<IncomingMessage> {
    for (let attempt = 0; ; attempt++) {
      const outgoing = this.#create(request);
      try {
        return await responseOf(outgoing, request, what);
      } catch (error) {
        request.signal?.throwIfAborted();
        // A kept connection that the server closed just now says nothing about the server.
        const code = (error as NodeJS.ErrnoException).code;
        const closed = outgoing.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
        if (!closed || attempt > 0 || outgoing.method !== 'GET') throw failure(what, error);
      }
    }
  }

  #create({ method = 'GET', path, query = {}, body, contentType, totalMs }: ApiRequest): ClientRequest {
    const { server, serverName } = this.#access;
    const { token, ...tls } = this.#credentials();
    const search = new URLSearchParams(query).toString();
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = {
      agent: this.#agent,
      method,
      host: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port === '' ? (server.protocol === 'https:' ? 443 : 80) : server.port,
      path: `${server.pathname.replace(/\/$/, '')}${path}${search === '' ? '' : `?${search}`}`,
      headers: {
        accept: 'application/json',
        'user-agent': 'fairlead',
        // A compressed watch would hold events back.
        ...(totalMs === Infinity ? {} : { 'accept-encoding': 'gzip' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined
          ? {}
          : { 'content-type': contentType ?? 'application/json', 'content-length': Buffer.byteLength(text) }),
      },
    };
    const outgoing =
      server.protocol === 'https:'
        ? httpsRequest({
            ...options,
            ...tls,
            ...(serverName === undefined ? {} : { servername: serverName }),
          })
        : httpRequest(options);
    outgoing.end(text);
    return outgoing;
  }
}

function responseOf(
  outgoing: ClientRequest,
  { signal, idleMs = IDLE_MS, totalMs = TOTAL_MS }: ApiRequest,
  what: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined;
    const end = (error: Error) => void (response ?? outgoing).destroy(error);
    const late = (ms: number, of: string) => () =>
      end(
        new SilenceError(
          `${what}: ${of} ${ms / 1000} s; look whether the API server and the network to it are overloaded, it is asked again`,
        ),
      );
    const abort = () => end(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
    const timer = totalMs === Infinity ? undefined : setTimeout(late(totalMs, 'no end after'), totalMs);
    outgoing.setTimeout(idleMs, late(idleMs, 'nothing came for'));
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    outgoing.on('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    outgoing.on('response', (incoming) => {
      response = incoming;
      // Its reader gets the error; until it is read, it must not end the process.
      incoming.on('error', () => undefined);
      resolve(incoming);
    });
    outgoing.on('error', reject);
    outgoing.on('close', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      reject(new Error('the connection was closed'));
    });
  });
}

async function* chunks(what: string, response: IncomingMessage): AsyncGenerator<Buffer> {
  const zipped = response.headers['content-encoding'] === 'gzip';
  const body = zipped ? pipeline(response, createGunzip(), () => undefined) : response;
  try {
    for await (const chunk of body) yield chunk as Buffer;
  } catch (error) {
    throw failure(what, error);
  }
}

async function readText(what: string, body: AsyncIterable<Buffer>, largest: number): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > largest) throw garbage(what, `the answer is larger than ${largest / 1024} KiB`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** As far as it comes: what it says is of use even where it breaks off. */
async function readStart(body: AsyncIterable<Buffer>, length: number): Promise<string> {
  let text = '';
  try {
    for await (const chunk of body) {
      text += chunk.toString('utf8');
      if (text.length > length) break;
    }
  } catch {
    // The status says that it is a refusal.
  }
  return text;
}
