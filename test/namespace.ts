/**
 * Network namespaces for tests: made empty, removed at the end, and after a crash by the next run.
 * Their names carry the process that made them: `flt-<pid>-<name>`.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';

export type TestNamespace = {
  name: string;
  path: string;
  /** Runs a command inside; returns what it prints, and throws what it complains about. */
  exec: (...command: readonly string[]) => string;
  execAsync: (...command: readonly string[]) => Promise<string>;
  [Symbol.dispose](): void;
};

const FOLDER = '/run/netns';
const open = new Set<string>();
let count = 0;

removeLeftovers();
process.on('exit', () => open.forEach(remove));

/** @param name unique within the process; a number where absent. */
export function createNamespace(name = String(++count)): TestNamespace {
  const full = `flt-${process.pid}-${name}`;
  execFileSync('ip', ['netns', 'add', full]);
  open.add(full);
  const path = `${FOLDER}/${full}`;
  // Unlike `ip netns exec` this leaves /sys alone.
  const inside = (command: readonly string[]) => [`--net=${path}`, '--', ...command];
  return {
    name: full,
    path,
    exec: (...command) =>
      execFileSync('nsenter', inside(command), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    execAsync: async (...command) => (await promisify(execFile)('nsenter', inside(command))).stdout,
    [Symbol.dispose]: () => remove(full),
  };
}

function remove(name: string): void {
  if (open.delete(name)) execFileSync('ip', ['netns', 'delete', name]);
}

/** Of processes that live no longer. */
function removeLeftovers(): void {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  for (const name of names) {
    const pid = /^flt-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) execFileSync('ip', ['netns', 'delete', name]);
  }
}
