/**
 * The frames between the plugin and the agent. A request: the magic `FLC1`, the length of the environment, the length
 * of standard input (32 bits each, big-endian), then both. The environment is `NAME=VALUE` texts, each ended by a zero
 * byte, of the variables that begin with `CNI_`. A reply: the magic, the exit code, the length, the text to print.
 * A DEL that the plugin keeps for the agent is a request in a file. The other end is cmd/cni.
 */
import { FairleadError } from '../../base/errors/errors.ts';
import type { Environment } from './environment.ts';
import { CniError } from './errors.ts';
import { type CniReply, errorReply } from './result/reply.ts';

const MAGIC = Buffer.from('FLC1');
const HEADER = 12;
/** Bytes. */
export const ENVIRONMENT_LIMIT = 64 * 1024;
export const STDIN_LIMIT = 1024 * 1024;
/** More than standard input: a result repeats prevResult, in a version that may need more bytes for it. */
export const REPLY_LIMIT = 2 * 1024 * 1024;

export type RequestFrame = { environment: Environment; stdin: string };

export function encodeRequest({ environment, stdin }: RequestFrame): Buffer {
  const variables = Buffer.from(
    Object.entries(environment)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  );
  const input = Buffer.from(stdin);
  return Buffer.concat([header(variables.length, input.length), variables, input]);
}

/**
 * @param bytes all that came so far.
 * @returns undefined while bytes are missing.
 * @throws FairleadError as soon as the bytes cannot become a request.
 */
export function decodeRequest(bytes: Buffer): RequestFrame | undefined {
  const lengths = decodeHeader(bytes, 'a request');
  if (lengths === undefined) return undefined;
  const [environmentLength, stdinLength] = lengths;
  if (environmentLength > ENVIRONMENT_LIMIT)
    throw refuse(`has ${environmentLength} bytes of environment, more than ${ENVIRONMENT_LIMIT}`);
  if (stdinLength > STDIN_LIMIT)
    throw refuse(`has ${stdinLength} bytes of configuration, more than ${STDIN_LIMIT}`);
  const end = HEADER + environmentLength + stdinLength;
  if (bytes.length > end) throw refuse('has bytes behind its end');
  if (bytes.length < end) return undefined;
  return {
    environment: parseEnvironment(bytes.toString('utf8', HEADER, HEADER + environmentLength)),
    stdin: bytes.toString('utf8', HEADER + environmentLength),
  };
}

/** A text that is longer than the plugin takes becomes an error. */
export function encodeReply({ exitCode, stdout }: CniReply): Buffer {
  const text = Buffer.from(stdout);
  if (text.length <= REPLY_LIMIT) return Buffer.concat([header(exitCode, text.length), text]);
  const message = `the answer is ${text.length} bytes long, and ${REPLY_LIMIT} are the most; shorten the configuration`;
  return encodeReply(errorReply(new CniError('INTERNAL', message), ''));
}

/** The plugin's part in C reads replies; this is for tests and for the lab. */
export function decodeReply(bytes: Buffer): CniReply | undefined {
  const words = decodeHeader(bytes, 'a reply');
  if (words === undefined) return undefined;
  const [exitCode, length] = words;
  if (length > REPLY_LIMIT || bytes.length > HEADER + length) throw refuse('is longer than a reply');
  if (bytes.length < HEADER + length) return undefined;
  return { exitCode: exitCode === 0 ? 0 : 1, stdout: bytes.toString('utf8', HEADER) };
}

function header(first: number, second: number): Buffer {
  const bytes = Buffer.alloc(HEADER);
  MAGIC.copy(bytes);
  bytes.writeUInt32BE(first, MAGIC.length);
  bytes.writeUInt32BE(second, MAGIC.length + 4);
  return bytes;
}

/** The two words behind the magic. */
function decodeHeader(bytes: Buffer, what: string): [number, number] | undefined {
  const start = bytes.subarray(0, MAGIC.length);
  if (!start.equals(MAGIC.subarray(0, start.length)))
    throw refuse(`is not ${what}: it does not begin with FLC1`);
  return bytes.length < HEADER ? undefined : [bytes.readUInt32BE(4), bytes.readUInt32BE(8)];
}

/** Of a variable that is there twice the first counts, as with getenv(3). */
function parseEnvironment(text: string): Environment {
  const environment: Record<string, string> = Object.create(null);
  if (text === '') return environment;
  if (!text.endsWith('\0')) throw refuse('has an environment without its last zero byte');
  for (const variable of text.slice(0, -1).split('\0')) {
    const at = variable.indexOf('=');
    const name = variable.slice(0, Math.max(at, 0));
    if (!name.startsWith('CNI_')) throw refuse('has a variable that does not begin with CNI_');
    if (!Object.hasOwn(environment, name)) environment[name] = variable.slice(at + 1);
  }
  return environment;
}

function refuse(reason: string): FairleadError {
  return new FairleadError(
    'FL_FRAME',
    `the message on the agent's socket ${reason}; only fairlead-cni speaks to it`,
  );
}
