/** Named network namespaces and what runs in them, by iproute2 and /proc. */
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FairleadError } from '../src/base/errors/errors.ts';
import { NetworkNamespace } from '../src/edge/netlink/namespace.ts';
import { openKernel } from '../src/edge/netlink/rtnetlink.ts';

const DIRECTORY = '/run/netns';

export function namespacePath(name: string): string {
  return join(DIRECTORY, name);
}

/** The names of all namespaces with this prefix. */
export function listNamespaces(prefix: string): string[] {
  try {
    return readdirSync(DIRECTORY).filter((name) => name.startsWith(prefix));
  } catch {
    return [];
  }
}

/** Creates them with loopback up. */
export async function createNamespaces(names: readonly string[]): Promise<void> {
  await ipBatch(
    undefined,
    names.map((name) => `netns add ${name}`),
  );
  for (const name of names) {
    using namespace = NetworkNamespace.open(namespacePath(name));
    using kernel = openKernel(namespace);
    kernel.apply([{ op: 'link.change', change: { index: 1, up: true } }]);
  }
}

/** Ends everything that runs in them, then deletes them; those that are gone already are fine. */
export async function deleteNamespaces(names: readonly string[]): Promise<void> {
  const present = new Set(listNamespaces(''));
  const known = names.filter((name) => present.has(name));
  await endProcesses(known);
  if (known.length === 0) return;
  try {
    await ipBatch(
      undefined,
      known.map((name) => `netns delete ${name}`),
      ['-force'],
    );
  } catch (error) {
    // Others may remove them at the same moment.
    const left = new Set(listNamespaces(''));
    if (known.some((name) => left.has(name))) throw error;
  }
}

/** Commands of ip(8), one process for all of them; the error names the command that was refused. */
export async function ipBatch(
  namespace: string | undefined,
  commands: readonly string[],
  flags: readonly string[] = [],
): Promise<void> {
  if (commands.length === 0) return;
  const args = [...(namespace === undefined ? [] : ['-n', namespace]), ...flags, '-batch', '-'];
  await run('ip', args, `${commands.join('\n')}\n`);
}

/** Runs a command to its end. @throws FairleadError with what it said. */
export function run(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(
        new FairleadError(
          'FL_LAB',
          `${program} cannot be run (${error.code}); run 'npm run setup', which installs it`,
        ),
      );
    });
    child.on('close', (status) => {
      if (status === 0) return resolve(stdout);
      reject(
        new FairleadError('FL_LAB', `${program} ${args.join(' ')} failed: ${stderr.trim() || stdout.trim()}`),
      );
    });
  });
}

/** Process ids of everything that runs in these namespaces. */
export function processesIn(names: readonly string[]): number[] {
  const inodes = new Set(
    names.flatMap((name) => {
      const file = statSync(namespacePath(name), { throwIfNoEntry: false });
      return file === undefined ? [] : [`net:[${file.ino}]`];
    }),
  );
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && inodes.has(namespaceOf(pid) ?? ''));
}

async function endProcesses(names: readonly string[]): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const deadline = Date.now() + 3000;
    for (const pid of processesIn(names)) kill(pid, signal);
    while (processesIn(names).length > 0 && Date.now() < deadline) await sleep(20);
    if (processesIn(names).length === 0) return;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}
