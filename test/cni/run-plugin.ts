/** Runs the plugin as a container runtime does. */
import { spawn } from 'node:child_process';
import { resolve as resolvePath } from 'node:path';

export const PLUGIN = resolvePath(import.meta.dirname, '../../build/fairlead-cni');

export type PluginCall = {
  environment: Readonly<Record<string, string>>;
  stdin?: string | Buffer;
  /** Another build of it. */
  program?: string;
};

export type PluginEnd = { exitCode: number | null; signal: string | null; stdout: string; stderr: string };

export function runPlugin({ environment, stdin = '', program = PLUGIN }: PluginCall): Promise<PluginEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [], { env: { ...environment }, stdio: 'pipe' });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    // The plugin may answer before it has read everything.
    child.stdin.on('error', () => undefined).end(stdin);
    child.on('error', reject).on('close', (exitCode, signal) => resolve({ exitCode, signal, ...output }));
  });
}

/** What a runtime sets for a command on an attachment. */
export function environmentOf(
  command: string,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/run/netns/none',
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/opt/cni/bin',
    ...more,
  };
}
