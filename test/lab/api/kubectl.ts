/** kubectl as a test client: the one on the path, and those that FAIRLEAD_KUBECTL names (paths with colons between). */
import { type ExecFileException, execFile, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after } from 'node:test';
import { labDirectory } from '../../../lab/state.ts';
import type { LabPlan } from '../../../lab/topology.ts';
import { fairlead } from '../fixture.ts';

export type KubectlResult = { status: number; stdout: string; stderr: string };

export type Kubectl = {
  path: string;
  run: (
    args: readonly string[],
    input?: string,
    environment?: Record<string, string>,
  ) => Promise<KubectlResult>;
  /** Standard output of what must succeed. */
  ok: (args: readonly string[], input?: string) => Promise<string>;
  /** Lines as they come. */
  follow: (args: readonly string[]) => { lines: string[]; stop: () => void };
};

export function kubectls(): string[] {
  const onPath = (process.env['PATH'] ?? '').split(':').map((folder) => join(folder, 'kubectl'));
  const found = onPath.find(isExecutable);
  const named = (process.env['FAIRLEAD_KUBECTL'] ?? '').split(':').filter((path) => path !== '');
  return [...(found === undefined ? [] : [found]), ...named];
}

/** Without a kubectl there is nothing to test: say so. */
export const NO_KUBECTL =
  kubectls().length === 0 ? 'this machine has no kubectl (Debian: kubernetes-client)' : false;

/** @param connection how it reaches the API: `--server URL`, or `--kubeconfig FILE`. */
export function kubectlAt(path: string, connection: readonly string[]): Kubectl {
  const home = mkdtempSync(join(tmpdir(), `fairlead-${basename(path)}-`));
  after(() => rmSync(home, { recursive: true, force: true }));
  const env = (more: Record<string, string> = {}) => ({
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    KUBECONFIG: '',
    ...more,
  });
  const run: Kubectl['run'] = (args, input = '', environment = {}) =>
    new Promise((resolve) => {
      const child = execFile(
        path,
        [...connection, ...args],
        { encoding: 'utf8', env: env(environment), timeout: 60_000 },
        (error: ExecFileException | null, stdout, stderr) =>
          resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
      );
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  return {
    path,
    run,
    ok: async (args, input) => {
      const { status, stdout, stderr } = await run(args, input);
      if (status !== 0) throw new Error(`${path} ${args.join(' ')} ended with ${status}: ${stderr}`);
      return stdout;
    },
    follow: (args) => {
      const lines: string[] = [];
      const child = spawn(path, [...connection, ...args], {
        env: env(),
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let rest = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        const parts = (rest + text).split('\n');
        rest = parts.pop() ?? '';
        lines.push(...parts);
      });
      return { lines, stop: () => void child.kill() };
    },
  };
}

/** @param more options of `lab kubeconfig`. */
export async function kubectlOf(plan: LabPlan, path: string, ...more: string[]): Promise<Kubectl> {
  const file = join(labDirectory(plan.options.name), `kubeconfig${more.length}`);
  const { status, stdout, stderr } = await fairlead(
    'lab',
    'kubeconfig',
    '--name',
    plan.options.name,
    ...more,
  );
  if (status !== 0) throw new Error(stderr);
  writeFileSync(file, stdout, { mode: 0o600 });
  return kubectlAt(path, ['--kubeconfig', file]);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
