/**
 * Runs a command in a container by the API server, with the caller's own rights (`pods/exec`): the subprotocols
 * v5.channel.k8s.io and v4 of a WebSocket, whose messages begin with the number of a stream
 * (k8s.io/apimachinery/pkg/util/remotecommand).
 */
import type { IncomingMessage } from 'node:http';
import { type ApiError, failure, garbage } from './api-error.ts';
import type { KubeClient } from './client.ts';

export type Exec = {
  namespace: string;
  pod: string;
  container: string;
  command: readonly string[];
  onStdout: (chunk: Buffer) => void;
  onStderr: (chunk: Buffer) => void;
  /** Ends it; the command sees its streams close. */
  signal?: AbortSignal;
};

export const EXEC_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;
export const STREAM = { stdout: 1, stderr: 2, status: 3 } as const;

/** Bytes of one message; servers send at most 32 KiB. */
const LARGEST_MESSAGE = 16 * 1024 * 1024;
const LARGEST_REFUSAL = 64 * 1024;
/** Milliseconds for the connection and its upgrade. */
const PATIENCE_MS = 10_000;

/** @returns the exit status of the command. @throws ApiError */
export async function execInPod(client: KubeClient, exec: Exec): Promise<number> {
  // Loaded where it is needed: agents never are.
  const { WebSocket: Client } = await import('ws');
  const { namespace, pod, container, command } = exec;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`;
  const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true' });
  for (const word of command) query.append('command', word);
  const { url, ...options } = client.upgrade(`${path}?${query.toString()}`);
  const what = client.describe({ path });
  const socket = new Client(url, [...EXEC_PROTOCOLS], {
    ...options,
    handshakeTimeout: PATIENCE_MS,
    maxPayload: LARGEST_MESSAGE,
    perMessageDeflate: false,
  });
  return new Promise((resolve, reject) => {
    const end = () => socket.terminate();
    exec.signal?.addEventListener('abort', end, { once: true });
    let outcome: (() => void) | undefined;
    const fail = (error: ApiError) => (outcome ??= () => reject(error));
    socket.on('unexpected-response', (_, response) => {
      void refusalText(response).then((text) => {
        fail(client.refusal(what, response.statusCode ?? 0, text));
        end();
      });
    });
    socket.on('error', (error) => fail(failure(what, error)));
    socket.on('message', (data: Buffer) => {
      const rest = data.subarray(1);
      if (data[0] === STREAM.stdout) exec.onStdout(rest);
      if (data[0] === STREAM.stderr) exec.onStderr(rest);
      if (data[0] !== STREAM.status) return;
      const status = exitStatusOf(rest.toString());
      if (typeof status === 'number') outcome ??= () => resolve(status);
      else fail(garbage(what, status.problem));
      socket.close();
    });
    socket.on('close', () => {
      exec.signal?.removeEventListener('abort', end);
      if (exec.signal?.aborted === true) return resolve(0);
      fail(failure(what, new Error('the connection was closed before the command ended')));
      outcome!();
    });
  });
}

/** A Status (meta/v1): a command that fails tells its exit status in a cause. */
export function exitStatusOf(text: string): number | { problem: string } {
  try {
    const status = JSON.parse(text) as {
      status?: string;
      message?: string;
      details?: { causes?: { reason?: string; message?: string }[] };
    };
    if (status.status === 'Success') return 0;
    const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message ?? '';
    return /^\d{1,3}$/.test(code)
      ? Number(code)
      : { problem: status.message ?? 'the command could not be run' };
  } catch {
    return { problem: text === '' ? 'the command could not be run' : text };
  }
}

function refusalText(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > LARGEST_REFUSAL) response.destroy();
    });
    response.on('close', () => resolve(text));
  });
}
