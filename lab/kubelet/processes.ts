/** The processes of containers: they run in the network of their pod, write to a log, and outlive who started them. */
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { namespacePath } from '../namespaces.ts';
import { labDirectory, podFileName } from '../state.ts';

export type Exit = { exitCode: number; reason: string };

/** @returns the process id; undefined where it cannot be started, of which `onExit` is told too. */
export function startProcess(
  options: {
    namespace: string;
    command: readonly string[];
    environment: Readonly<Record<string, string>>;
    workingDirectory: string;
    log: string;
  },
  onExit: (exit: Exit) => void,
): number | undefined {
  mkdirSync(dirname(options.log), { recursive: true, mode: 0o700 });
  const out = openSync(options.log, 'a', 0o600);
  const child = spawn('nsenter', [`--net=${namespacePath(options.namespace)}`, '--', ...options.command], {
    detached: true,
    stdio: ['ignore', out, out],
    cwd: options.workingDirectory,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', ...options.environment },
  });
  closeSync(out);
  child.once('error', (error: NodeJS.ErrnoException) =>
    onExit({ exitCode: 128, reason: error.code === 'ENOENT' ? 'ContainerCannotRun' : 'StartError' }),
  );
  child.once('exit', (status, signal) => {
    const exitCode = status ?? 128 + (signal === 'SIGKILL' ? 9 : 15);
    onExit({ exitCode, reason: exitCode === 0 ? 'Completed' : 'Error' });
  });
  return child.pid;
}

export function logPath(lab: string, pod: string, container: string): string {
  return join(labDirectory(lab), 'logs', `${podFileName(pod)}@@${container}.log`);
}

/** @param from the first byte that is wanted: who follows a long log reads what is new alone. */
export function readLogFile(lab: string, pod: string, container: string, from: number): Buffer | undefined {
  const path = logPath(lab, pod, container);
  if (!existsSync(path)) return undefined;
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
  } finally {
    closeSync(file);
  }
}

export function removeLogs(lab: string, pod: string): void {
  const directory = join(labDirectory(lab), 'logs');
  if (!existsSync(directory)) return;
  for (const file of readdirSync(directory))
    if (file.startsWith(`${podFileName(pod)}@@`)) rmSync(join(directory, file), { force: true });
}
