/** Runs the proofs and tells what they found, to people or to programs. */
import { describeError } from '../../src/base/errors/errors.ts';
import type { IpFamily } from '../../src/base/ip/ip.ts';
import { readPods } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import type { Check } from './ask.ts';
import { PROOFS } from './proofs.ts';
import { viewLab } from './view.ts';

export type ProofReport = {
  number: number;
  title: string;
  family: IpFamily;
  ok: boolean;
  checks: number;
  /** What did not hold, with the reason of each. */
  failures: { what: string; reason: string }[];
  /** Why it was not run: it proves nothing then, neither way. */
  notRun?: string;
  seconds: number;
};

export type VerifyReport = {
  lab: string;
  ok: boolean;
  nodes: number;
  pods: number;
  proofs: ProofReport[];
  seconds: number;
};

const STREAM_BYTES = 100_000_000;

/**
 * Every proof for every family.
 * @param tell called with each proof as it ends.
 * @param streamBytes of the long stream, on each path.
 */
export async function verifyLab(
  plan: LabPlan,
  families: readonly IpFamily[],
  tell: (proof: ProofReport) => void,
  streamBytes = STREAM_BYTES,
): Promise<VerifyReport> {
  const started = performance.now();
  const proofs: ProofReport[] = [];
  const runs = PROOFS.flatMap((proof) => families.map((family) => ({ ...proof, family })));
  for (const { number, title, run, whyNot, family } of runs) {
    const since = performance.now();
    const notRun = await whyNot?.(plan);
    const proof = notRun === undefined ? run(viewLab(plan, family), streamBytes) : Promise.resolve([]);
    const checks = await proof.catch((error: unknown): Check[] => [
      { what: 'the proof itself', ok: false, detail: describeError(error) },
    ]);
    const failures = checks
      .filter(({ ok }) => !ok)
      .map(({ what, detail }) => ({ what, reason: detail ?? 'failed' }));
    const report = {
      number,
      title: families.length > 1 ? `IPv${family}: ${title}` : title,
      family,
      ok: failures.length === 0,
      checks: checks.length,
      failures,
      ...(notRun === undefined ? {} : { notRun }),
      seconds: secondsSince(since),
    };
    proofs.push(report);
    tell(report);
  }
  return {
    lab: plan.options.name,
    ok: proofs.every(({ ok }) => ok),
    nodes: plan.nodes.length,
    pods: readPods(plan.options.name).length,
    proofs,
    seconds: secondsSince(started),
  };
}

/** Reasons that a person reads of one proof; the others are in the data. */
const MOST_REASONS = 4;

export function formatProof({ number, title, ok, checks, failures, notRun, seconds }: ProofReport): string {
  if (notRun !== undefined) return ` --   ${number}  ${title}: not proven, ${notRun}`;
  const count = `${checks - failures.length}/${checks}`;
  const head = `${ok ? ' ok ' : 'FAIL'}  ${number}  ${title.padEnd(90)} ${count.padStart(9)}  ${seconds.toFixed(1).padStart(5)} s`;
  const reasons = failures.slice(0, MOST_REASONS).map(({ what, reason }) => `        ${what}: ${reason}`);
  if (failures.length > MOST_REASONS) reasons.push(`        … and ${failures.length - MOST_REASONS} more`);
  return [head, ...reasons].join('\n');
}

export function formatVerdict({ ok, nodes, pods, proofs, seconds }: VerifyReport): string {
  const checks = proofs.reduce((sum, proof) => sum + proof.checks, 0);
  const failed = proofs.reduce((sum, proof) => sum + proof.failures.length, 0);
  const what = `${nodes} nodes, ${pods} pods, ${checks} checks with real packets in ${seconds.toFixed(1)} s`;
  return ok ? `All proven: ${what}.` : `Not proven: ${failed} of ${checks} checks failed (${what}).`;
}

function secondsSince(started: number): number {
  return Math.round(performance.now() - started) / 1000;
}
