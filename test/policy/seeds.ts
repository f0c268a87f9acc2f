/** How many random cases, and from which seeds: each hundred has one of its own, so that what fails is found again in seconds. */
import type { TestContext } from 'node:test';

const PER_SEED = 100;
const SEED = Number(process.env['FAIRLEAD_POLICY_SEED'] ?? Date.now() % 1_000_000_000);

/** @param variable of the environment that says another number. */
export function casesOf(variable: string, usual: number): number {
  return Number(process.env[variable] ?? usual);
}

/** @param prove a number of cases from one seed. */
export async function inBatches(
  t: TestContext,
  cases: number,
  prove: (parameters: { numRuns: number; seed: number }) => Promise<void> | void,
): Promise<void> {
  const batches = Math.ceil(cases / PER_SEED);
  t.diagnostic(`seeds ${SEED} to ${SEED + batches - 1} (FAIRLEAD_POLICY_SEED=${SEED})`);
  for (let batch = 0; batch < batches; batch++)
    await prove({ numRuns: Math.min(PER_SEED, cases - batch * PER_SEED), seed: SEED + batch });
}
