/**
 * `npm run prove [-- FILE…]`: all proofs, which are tests that take a lab of several nodes, a container runtime or long.
 * `npm run prove -- policy [--cases N] [--seed N] [--seconds N]`: what is proven by chance, for as long as wanted.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parseArgs } from 'node:util';

const BY_CHANCE: Readonly<Record<string, readonly string[]>> = {
  policy: [
    'test/policy/kernel.test.ts',
    'test/policy/evaluate.test.ts',
    'test/policy/incremental.test.ts',
    'test/lab/policy-storm.proof.ts',
  ],
};
/** Below whatever else the machine does. */
const NICE = 10;
const PROOFS = '{src,lab,test}/**/*.proof.ts';
/** As many as there are cores here: with one more, agents came up so late that tests gave up. */
const CONCURRENCY = '2';
const DURATIONS = 'build/prove-durations.txt';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '300' },
  },
});
const byChance = BY_CHANCE[positionals[0] ?? ''];
const files = positionals.length === 0 ? globSync(PROOFS).toSorted() : positionals;

if (byChance !== undefined) {
  setPriority(NICE);
  runTests(byChance, 1, {
    FAIRLEAD_POLICY_CASES: values.cases,
    FAIRLEAD_POLICY_KERNEL_CASES: values.cases,
    FAIRLEAD_POLICY_SEED: values.seed,
    FAIRLEAD_POLICY_STORM_SECONDS: values.seconds,
  });
} else if (files.every((file) => file.endsWith('.ts'))) {
  runTests(files, Number(process.env['FAIRLEAD_TEST_CONCURRENCY'] ?? CONCURRENCY), {});
} else {
  console.error(
    `npm run prove [-- FILE.proof.ts…]\nnpm run prove -- ${Object.keys(BY_CHANCE).join(' | ')} [--cases 10000] [--seed 1] [--seconds 300]`,
  );
  process.exitCode = 2;
}

function runTests(paths: readonly string[], concurrency: number, environment: NodeJS.ProcessEnv): void {
  mkdirSync('build', { recursive: true });
  const reporters = [
    ['spec', 'stdout'],
    ['./scripts/durations.ts', DURATIONS],
  ].flatMap(([reporter, to]) => [`--test-reporter=${reporter}`, `--test-reporter-destination=${to}`]);
  const { status } = spawnSync(
    process.execPath,
    ['--test', `--test-concurrency=${concurrency}`, ...reporters, ...paths],
    { stdio: 'inherit', env: { ...process.env, ...environment } },
  );
  process.exitCode = status ?? 1;
}
