/** Asks an agent over its socket. */

import type { AgentStatus } from '../../agent/serve/status.ts';
import { FairleadError } from '../../base/errors/errors.ts';
import { request } from '../../base/http/http.ts';

const PATIENCE_MS = 5000;

/** @throws FairleadError FL_AGENT without an answer, with the cure. */
export async function askStatus(socketPath: string): Promise<AgentStatus> {
  return (await askAgent(socketPath, '/status')) as AgentStatus;
}

/** @returns the JSON that the agent answers. @throws as {@link askStatus}. */
export async function askAgent(socketPath: string, path: string): Promise<unknown> {
  const text = await readAgent(socketPath, path);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw noAnswer(socketPath, error as Error);
  }
}

/** @returns what the agent answers, as it is. @throws as {@link askStatus}. */
export function readAgent(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(noAnswer(socketPath, error));
    const question = request({ socketPath, path, timeout: PATIENCE_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', fail).on('end', () => resolve(text));
    });
    question.on('timeout', () => question.destroy(new Error('no answer in time')));
    question.on('error', fail);
    question.end();
  });
}

/** Calls back with each line that the agent sends. @returns when the agent ends it. @throws as {@link askStatus}. */
export function followAgent(socketPath: string, path: string, onLine: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const question = request({ socketPath, path }, (response) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach(onLine);
      });
      response.on('error', () => resolve()).on('end', resolve);
    });
    question.on('error', (error) => reject(noAnswer(socketPath, error)));
    question.end();
  });
}

function noAnswer(socketPath: string, cause: Error): FairleadError {
  return new FairleadError(
    'FL_AGENT',
    `no agent answers at ${socketPath}; start it, or name its socket with --socket`,
    { cause },
  );
}
