/**
 * The frames between the plugin and the agent. A request: the magic `FLC1`, the length of the environment, the length
 * of standard input (32 bits each, big-endian), then both. The environment is `NAME=VALUE` texts, each ended by a zero
 * byte, of the variables that begin with `CNI_`. A reply: the magic, the exit code, the length, the text to print.
 * The other end is cmd/cni.
 */
import { FairleadError } from '../errors/errors.ts';
import type { Environment } from './environment.ts';
import type { CniReply } from './reply.ts';

const MAGIC = 0x464c4331;
const HEADER = 12;
/** Bytes. */
export const ENVIRONMENT_LIMIT = 64 * 1024;
export const STDIN_LIMIT = 1024 * 1024;
export const REPLY_LIMIT = 1024 * 1024;

export type RequestFrame = { environment: Environment; stdin: string };

export function encodeRequest({ environment, stdin }: RequestFrame): Buffer {
  const variables = Buffer.from(
    Object.entries(environment)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  );
  const input = Buffer.from(stdin);
  return Buffer.concat([words(MAGIC, variables.length, input.length), variables, input]);
}

/**
 * @returns undefined while bytes are missing.
 * @throws FairleadError as soon as the bytes cannot become a request.
 */
export function decodeRequest(bytes: Buffer): RequestFrame | undefined {
  if (bytes.length >= 4 && bytes.readUInt32BE(0) !== MAGIC) throw refuse('does not begin with FLC1');
  if (bytes.length < HEADER) return undefined;
  const environmentLength = bytes.readUInt32BE(4);
  const stdinLength = bytes.readUInt32BE(8);
  if (environmentLength > ENVIRONMENT_LIMIT)
    throw refuse(`has ${environmentLength} bytes of environment, more than ${ENVIRONMENT_LIMIT}`);
  if (stdinLength > STDIN_LIMIT)
    throw refuse(`has ${stdinLength} bytes of configuration, more than ${STDIN_LIMIT}`);
  const end = HEADER + environmentLength + stdinLength;
  if (bytes.length > end) throw refuse('has bytes behind its end');
  if (bytes.length < end) return undefined;
  const variables = bytes.toString('utf8', HEADER, HEADER + environmentLength);
  return {
    environment: parseEnvironment(variables),
    stdin: bytes.toString('utf8', HEADER + environmentLength),
  };
}

export function encodeReply({ exitCode, stdout }: CniReply): Buffer {
  const text = Buffer.from(stdout);
  return Buffer.concat([words(MAGIC, exitCode, text.length), text]);
}

/** The plugin's part in C reads replies; this is for tests and for the lab. */
export function decodeReply(bytes: Buffer): CniReply | undefined {
  if (bytes.length < HEADER) return undefined;
  const length = bytes.readUInt32BE(8);
  if (bytes.readUInt32BE(0) !== MAGIC || length > REPLY_LIMIT) throw refuse('is not a reply');
  if (bytes.length < HEADER + length) return undefined;
  return {
    exitCode: bytes.readUInt32BE(4) === 0 ? 0 : 1,
    stdout: bytes.toString('utf8', HEADER, HEADER + length),
  };
}

function parseEnvironment(text: string): Environment {
  const environment: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const variable of text.split('\0')) {
    const at = variable.indexOf('=');
    if (at > 0) environment[variable.slice(0, at)] = variable.slice(at + 1);
  }
  return environment;
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
}

function refuse(reason: string): FairleadError {
  return new FairleadError(
    'FL_FRAME',
    `the message on the agent's socket ${reason}; only fairlead-cni speaks to it`,
  );
}
