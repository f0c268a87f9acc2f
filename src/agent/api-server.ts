/** What the agent tells the command line: `GET /status`, over HTTP on a unix socket for root alone. */
import { chmodSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from '../http/http.ts';
import { prepareSocket } from './cni-server.ts';
import type { AgentStatus } from './status.ts';

export async function listenForQuestions(path: string, status: () => AgentStatus): Promise<Server> {
  await prepareSocket(path);
  const server = createServer((request, response) => {
    const known = request.method === 'GET' && request.url === '/status';
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(known ? status() : { error: 'ask for GET /status' }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}
