/** Starting and ending the API of a lab: a process in the network between the nodes, with a listener on the machine's. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, FairleadError } from '../src/base/errors/errors.ts';
import { type ApiAccess, createAccess, readAccess } from './api-access.ts';
import { listNamespaces, namespacePath, processesIn } from './namespaces.ts';
import { FAIRLEAD } from './processes.ts';
import { apiPaths } from './state.ts';
import { type LabPlan, namespaceName } from './topology.ts';

const START_MS = 30_000;
const STOP_MS = 5000;
const STEP_MS = 20;

/** @returns once it serves. Its port, token and certificate are those of an earlier start. */
export async function startApi(plan: LabPlan): Promise<'new' | 'already up'> {
  const { name } = plan.options;
  if (apiProcesses(name).length > 0) return 'already up';
  const known = readAccess(name);
  const listener = await listen(known?.port ?? 0);
  const access = known ?? createAccess(plan, portOf(listener));
  const { log, directory } = apiPaths(name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const out = openSync(log, 'a', 0o600);
  // The socket stays one of the machine's network, whichever namespace its process lives in.
  const child = spawn(
    'nsenter',
    [`--net=${namespacePath(plan.underlay.namespace)}`, FAIRLEAD, 'lab', 'api', 'serve', '--name', name],
    { detached: true, stdio: ['ignore', out, out, descriptorOf(listener)] },
  );
  closeSync(out);
  let ended = false;
  child.once('exit', () => (ended = true));
  child.once('error', () => (ended = true));
  listener.close();
  await awaitApi(access, log, () => ended);
  child.unref();
  return 'new';
}

/** Nothing there is fine. */
export async function stopApi(lab: string): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const pid of apiProcesses(lab)) endProcess(pid, signal);
    for (let waited = 0; waited < STOP_MS && apiProcesses(lab).length > 0; waited += STEP_MS)
      await sleep(STEP_MS);
  }
}

/** Process ids of a lab's API. */
export function apiProcesses(lab: string): number[] {
  const underlay = namespaceName(lab, 'underlay');
  if (!listNamespaces(underlay).includes(underlay)) return [];
  return processesIn([underlay]).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0lab\0api\0serve\0');
    } catch {
      return false;
    }
  });
}

function endProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** A process that was killed holds its port until its last thread is gone. */
async function listen(port: number): Promise<Server> {
  for (let waited = 0; ; waited += STEP_MS) {
    try {
      return await listenOnce(port);
    } catch (error) {
      if (waited < STOP_MS && (error as NodeJS.ErrnoException).code === 'EADDRINUSE') await sleep(STEP_MS);
      else
        throw new FairleadError(
          'FL_LAB',
          `the port ${port} of the lab's API cannot be used: ${describeError(error)}; free it, or bring the lab up anew`,
        );
    }
  }
}

function listenOnce(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/** Node.js passes descriptors on by their number, and tells that of a listener nowhere else. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function awaitApi(access: ApiAccess, log: string, hasEnded: () => boolean): Promise<void> {
  for (let waited = 0; waited < START_MS && !hasEnded(); waited += STEP_MS) {
    if (await isServing(access)) return;
    await sleep(STEP_MS);
  }
  throw new FairleadError(
    'FL_LAB',
    `the API of the lab ${hasEnded() ? 'has ended' : 'does not serve'}; its log is ${log}`,
  );
}

function isServing({ port, certificate }: ApiAccess): Promise<boolean> {
  return new Promise((resolve) => {
    const question = request(
      { host: '127.0.0.1', port, path: '/readyz', ca: certificate, timeout: 2000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    question.on('timeout', () => question.destroy());
    question.on('error', () => resolve(false));
    question.end();
  });
}
