/** A kubeconfig as access to one cluster: that of its current context. What would run programs or skip checks is refused. */
import { isIP } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { parseDocument } from 'yaml';
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import type { KubeAccess, Material } from './access.ts';

/** Bytes. */
const LARGEST = 1024 * 1024;

type Fields = Readonly<Record<string, unknown>>;

/** Fields of a user that are not served, each with what to do instead. */
const REFUSED_USER = {
  exec: 'an agent runs no programs to log in; use a client certificate, a token or a tokenFile',
  'auth-provider':
    'such providers are gone from Kubernetes; use a client certificate, a token or a tokenFile',
  username: 'Kubernetes accepts no passwords since 1.19; use a client certificate, a token or a tokenFile',
  as: 'the agent acts as itself alone; make a user with the rights of its role',
} as const;

const REFUSED_CLUSTER = {
  'proxy-url': 'the API is reached directly; give the address at which this node reaches it',
} as const;

/**
 * @param origin the file's name, for errors.
 * @param directory to which paths in it are relative.
 * @throws FairleadError that names the field, its value and the cure.
 */
export function parseKubeconfig(text: string, origin: string, directory: string): KubeAccess {
  const refuse = (reason: string) => new FairleadError('FL_KUBECONFIG', `${origin}: ${reason}`);
  const root = readRoot(text, refuse);
  const contextName = root['current-context'];
  if (typeof contextName !== 'string' || contextName === '') {
    throw refuse(
      `current-context: ${show(contextName)} does not fit; name one of ${names(root, 'contexts')}`,
    );
  }
  const context = pick(root, 'contexts', 'context', contextName, refuse);
  const cluster = pick(root, 'clusters', 'cluster', context['cluster'], refuse);
  const user = context['user'] === undefined ? {} : pick(root, 'users', 'user', context['user'], refuse);
  const at = { refuse, directory };
  refuseFields(user, REFUSED_USER, refuse);
  refuseFields(cluster, REFUSED_CLUSTER, refuse);
  if (cluster['insecure-skip-tls-verify'] === true) {
    throw refuse(
      'insecure-skip-tls-verify: true would give the credentials to whoever answers; name the certificate-authority instead',
    );
  }
  const server = readServer(cluster['server'], refuse);
  const ca = material(cluster, 'certificate-authority', at);
  const certificate = material(user, 'client-certificate', at);
  const key = material(user, 'client-key', at);
  const token = readToken(user, at);
  if ((certificate === undefined) !== (key === undefined)) {
    throw refuse('client-certificate and client-key come together; add the one that is missing');
  }
  const secret = certificate !== undefined || token !== undefined;
  if (server.protocol === 'http:' && secret && !isLoopback(server.hostname)) {
    throw refuse(`server: ${server.href} would carry the credentials in the clear; write https://`);
  }
  const serverName = cluster['tls-server-name'];
  if (serverName !== undefined && typeof serverName !== 'string') {
    throw refuse(`tls-server-name: ${show(serverName)} does not fit; write the name in the certificate`);
  }
  return {
    server,
    origin,
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined || key === undefined ? {} : { certificate, key }),
    ...(token === undefined ? {} : { token }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

type Refuse = (reason: string) => FairleadError;
type Place = { refuse: Refuse; directory: string };

function readRoot(text: string, refuse: Refuse): Fields {
  if (Buffer.byteLength(text) > LARGEST) throw refuse('is larger than 1 MiB; this is not a kubeconfig');
  let root: unknown;
  try {
    const document = parseDocument(text, { prettyErrors: false });
    const [error] = document.errors;
    if (error !== undefined) throw error;
    root = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw refuse(`is not YAML: ${describeError(error).split('\n')[0]}; write a kubeconfig as kubectl does`);
  }
  if (!isFields(root)) throw refuse('is not a map of keys; write a kubeconfig as kubectl does');
  const { kind } = root;
  if (kind !== undefined && kind !== 'Config') {
    throw refuse(`kind: ${show(kind)} is not Config; name a kubeconfig`);
  }
  return root;
}

function pick(root: Fields, list: string, field: string, name: unknown, refuse: Refuse): Fields {
  const entry = entries(root, list).find((candidate) => candidate['name'] === name);
  const value = entry?.[field];
  if (typeof name !== 'string' || !isFields(value)) {
    throw refuse(`${list}: has no ${field} named ${show(name)}; there are ${names(root, list)}`);
  }
  return value;
}

function entries(root: Fields, list: string): Fields[] {
  const value = root[list];
  return Array.isArray(value) ? value.filter(isFields) : [];
}

function names(root: Fields, list: string): string {
  return (
    entries(root, list)
      .map(({ name }) => String(name))
      .join(', ') || 'none'
  );
}

function refuseFields(fields: Fields, refused: Readonly<Record<string, string>>, refuse: Refuse): void {
  for (const [name, cure] of Object.entries(refused)) {
    if (fields[name] !== undefined) throw refuse(`${name}: is not served: ${cure}`);
  }
}

function readServer(value: unknown, refuse: Refuse): URL {
  const server = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  if (server === undefined || !/^https?:$/.test(server.protocol) || server.search !== '') {
    throw refuse(`server: ${show(value)} is not an address; write it like https://192.168.1.2:6443`);
  }
  if (server.username !== '' || server.password !== '') {
    throw refuse('server: holds a password; use a client certificate, a token or a tokenFile');
  }
  return server;
}

/** Of `NAME-data` (base64) and `NAME` (a file) the first counts, as in kubectl. */
function material(fields: Fields, name: string, { refuse, directory }: Place): Material | undefined {
  const data = fields[`${name}-data`];
  if (data !== undefined && data !== '') {
    if (typeof data !== 'string' || !/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(data)) {
      throw refuse(`${name}-data: is not base64; write the PEM text in base64, or name a file in ${name}`);
    }
    return { text: Buffer.from(data, 'base64').toString('utf8') };
  }
  const file = fields[name];
  if (file === undefined || file === '') return undefined;
  if (typeof file !== 'string') throw refuse(`${name}: ${show(file)} is not the path of a file; write one`);
  return { file: isAbsolute(file) ? file : join(directory, file) };
}

/** A tokenFile counts before a token, since it is renewed. */
function readToken(user: Fields, { refuse, directory }: Place): Material | undefined {
  for (const name of ['tokenFile', 'token'] as const) {
    const value = user[name];
    if (value === undefined || value === '') continue;
    // Never the value itself: it is a secret, wherever it was meant to stand.
    if (typeof value !== 'string') throw refuse(`${name}: is not a text; write one`);
    if (name === 'token') return { text: value };
    return { file: isAbsolute(value) ? value : join(directory, value) };
  }
  return undefined;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
