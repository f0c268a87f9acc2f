/** The part of a container runtime that speaks CNI: calls the plugin with environment and configuration. */
import { spawn } from 'node:child_process';
import { FairleadError } from '../src/base/errors/errors.ts';
import { PLUGIN } from './processes.ts';

export type CniCall = {
  command: 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';
  configuration: Readonly<Record<string, unknown>>;
  containerId?: string;
  netns?: string;
  ifname?: string;
  args?: string;
  /** Variables beyond those of the specification. */
  environment?: Readonly<Record<string, string>>;
};

export type CniAnswer = { exitCode: number; stdout: string };

export function callPlugin(call: CniCall): Promise<CniAnswer> {
  return new Promise((resolve, reject) => {
    const env = {
      ...call.environment,
      CNI_COMMAND: call.command,
      CNI_PATH: PLUGIN,
      ...(call.containerId === undefined ? {} : { CNI_CONTAINERID: call.containerId }),
      ...(call.netns === undefined ? {} : { CNI_NETNS: call.netns }),
      ...(call.ifname === undefined ? {} : { CNI_IFNAME: call.ifname }),
      ...(call.args === undefined ? {} : { CNI_ARGS: call.args }),
    };
    const child = spawn(PLUGIN, [], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stdin.on('error', () => undefined);
    child.stdin.end(JSON.stringify(call.configuration));
    child.on('error', reject);
    child.on('close', (status) => resolve({ exitCode: status ?? 1, stdout }));
  });
}

/** The answer's text. @throws FairleadError with what the plugin said. */
export async function callPluginOrFail(call: CniCall): Promise<string> {
  const { exitCode, stdout } = await callPlugin(call);
  if (exitCode === 0) return stdout;
  let said = stdout;
  try {
    const { code, msg } = JSON.parse(stdout) as { code: number; msg: string };
    said = `${msg} (code ${code})`;
  } catch {
    // No CNI error: what it printed is all there is.
  }
  throw new FairleadError('FL_LAB', `CNI ${call.command} failed: ${said}`);
}
