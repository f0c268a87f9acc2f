/** Labs for tests: named after the process, removed at the end, and after a crash by the next run. */
import { type ExecFileException, execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after } from 'node:test';
import { labDown, labUp } from '../../lab/lab.ts';
import { listNamespaces } from '../../lab/namespaces.ts';
import { FAIRLEAD } from '../../lab/processes.ts';
import { listLabs, requireLab } from '../../lab/state.ts';
import { DEFAULT_OPTIONS, familiesOf, type LabOptions, type LabPlan } from '../../lab/topology.ts';
import { verifyLab } from '../../lab/verify/verify.ts';

let count = 0;

/** A name that no other test has: `t<pid>x<number>`. */
export function testLabName(): string {
  const name = `t${process.pid}x${++count}`;
  after(() => labDown(name));
  return name;
}

export async function startLab(options: Partial<LabOptions> = {}): Promise<LabPlan> {
  await removeLeftovers();
  const name = testLabName();
  await labUp({ ...DEFAULT_OPTIONS, name, ...options }, () => undefined);
  return requireLab(name);
}

/** More than all buffers on a path hold; the 100 MB of `lab verify` are for those who look at one lab. */
const STREAM_BYTES = 10_000_000;

/** What `lab verify` finds wrong, one line each; empty when all is proven. */
export async function faultsOf(plan: LabPlan, streamBytes = STREAM_BYTES): Promise<string[]> {
  const report = await verifyLab(plan, familiesOf(plan.options), () => undefined, streamBytes);
  return report.proofs.flatMap(({ number, failures }) =>
    failures.map(({ what, reason }) => `${number}: ${what}: ${reason}`),
  );
}

export type CliResult = { status: number; stdout: string; stderr: string };

export function fairlead(...args: readonly string[]): Promise<CliResult> {
  return new Promise((resolve) => {
    execFile(
      FAIRLEAD,
      args,
      { encoding: 'utf8', maxBuffer: 1 << 26 },
      (error: ExecFileException | null, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
      },
    );
  });
}

/** Labs of test processes that live no longer. */
async function removeLeftovers(): Promise<void> {
  const names = new Set([...listLabs(), ...listNamespaces('fl-t').map((name) => name.split('-')[1]!)]);
  for (const name of names) {
    const pid = /^t(\d+)x\d+$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await labDown(name);
  }
}
