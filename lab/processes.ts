/** Long-running processes of a lab: they outlive the command that started them, and end with their namespace. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FairleadError } from '../src/base/errors/errors.ts';
import { namespacePath, processesIn } from './namespaces.ts';

const ROOT = new URL('../', import.meta.url);
export const FAIRLEAD = fileURLToPath(new URL('bin/fairlead', ROOT));
export const PLUGIN = fileURLToPath(new URL('build/fairlead-cni', ROOT));
export const PROBE = fileURLToPath(new URL('build/fairlead-probe', ROOT));

/** Starts the agent of a node in its namespace. */
export function startAgentProcess(namespace: string, configuration: string, log: string): void {
  const out = openSync(log, 'a', 0o600);
  const child = spawn(
    'nsenter',
    [`--net=${namespacePath(namespace)}`, FAIRLEAD, 'agent', '--config', configuration],
    {
      detached: true,
      stdio: ['ignore', out, out],
    },
  );
  closeSync(out);
  child.unref();
}

/** Process ids of a node's agent. A child that it has just forked looks like it, until it is another program. */
export function agentProcesses(namespace: string): number[] {
  const alike = processesIn([namespace]).filter((pid) => commandLine(pid).includes('\0agent\0--config\0'));
  return alike.filter((pid) => !alike.includes(parentOf(pid)));
}

/**
 * Starts the process of a pod or a host, which answers whom it saw; resolves when it listens.
 * @param ports besides 8080: `tcp/80`.
 */
export function startProbe(namespace: string, name: string, ports: readonly string[] = []): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = ['--name', name, '--netns', namespacePath(namespace)];
    const more = ports.length === 0 ? [] : ['--ports', ports.join()];
    const child = spawn(PROBE, ['serve', ...options, ...more], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child.once('error', reject);
    child.once('exit', (status) =>
      reject(new FairleadError('FL_LAB', `the process of ${name} ended with status ${status}`)),
    );
    child.stdout.once('data', () => {
      child.removeAllListeners('exit');
      child.stdout.destroy();
      child.unref();
      resolve();
    });
  });
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** proc(5), /proc/PID/stat: the name of the program, in parentheses, may hold anything. */
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}
