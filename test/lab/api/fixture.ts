/** The API on the machine's loopback, over an empty store, with a client of few words. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import type { Api } from '../../../lab/api/api.ts';
import { apiListener } from '../../../lab/api/server.ts';
import { createStore, type Store } from '../../../lab/api/storage/store.ts';
import { ensureObject } from '../../../lab/api/validation/owner.ts';

export type Reply = { status: number; body: Json; warnings: string[] };
/** Whatever a test looks into: wrong paths fail there. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;
export type WatchEvent = { type: string; object: Json };

export type Watching = {
  /** The next event; waits for it. @returns undefined at the end. */
  next: () => Promise<WatchEvent | undefined>;
  close: () => void;
};

export type TestApi = {
  api: Api;
  url: string;
  call: (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Reply>;
  watch: (path: string, headers?: Record<string, string>) => Promise<Watching>;
};

export function emptyStore(window?: number): Store {
  return createStore({ version: 0, objects: [] }, undefined, window);
}

export async function serveApi(
  options: { store?: Store; token?: string; stopsPods?: (node: string) => boolean } = {},
): Promise<TestApi> {
  const api: Api = {
    store: options.store ?? emptyStore(),
    now: Date.now,
    newUid: randomUUID,
    stopsPods: options.stopsPods ?? (() => false),
    logs: () => undefined,
  };
  if (options.store === undefined) ensureObject(api, 'Namespace', { metadata: { name: 'default' } });
  const server = createServer(
    apiListener(api, options.token === undefined ? [] : [{ token: options.token }]),
  );
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const open = (method: string, path: string, body: Buffer | undefined, headers: Record<string, string>) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const question = request(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          headers: { ...headers, 'content-length': body?.length ?? 0 },
        },
        resolve,
      );
      question.on('error', reject);
      question.end(body);
    });
  return {
    api,
    url: `http://127.0.0.1:${port}`,
    call: async (method, path, body, headers = {}) => {
      const type = body === undefined ? {} : { 'content-type': 'application/json' };
      const bytes = encode(body);
      const response = await open(method, path, bytes, { ...type, ...headers });
      const text = await textOf(response);
      const warning = response.headers['warning'] ?? '';
      return {
        status: response.statusCode ?? 0,
        body: /json/.test(response.headers['content-type'] ?? '') ? JSON.parse(text) : text,
        warnings: [...warning.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]!),
      };
    },
    watch: async (path, headers = {}) => {
      const response = await open('GET', path, undefined, headers);
      const lines = linesOf(response);
      response.on('error', () => undefined);
      return {
        next: async () => {
          const { value, done } = await lines.next();
          return done === true ? undefined : (JSON.parse(value) as WatchEvent);
        },
        close: () => response.destroy(),
      };
    },
  };
}

function encode(body: unknown): Buffer | undefined {
  if (body === undefined || Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Reads no more than is asked for. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string, undefined> {
  let rest = '';
  for await (const chunk of response) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

export function podManifest(
  name: string,
  more: { labels?: Record<string, string>; spec?: object } = {},
): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...(more.labels === undefined ? {} : { labels: more.labels }) },
    spec: { containers: [{ name: 'main', image: 'any' }], ...more.spec },
  };
}

export function mapManifest(name: string, data: Record<string, string>): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}
