/** `npm run prove -- policy [--cases N] [--seed N]`: what CI proves by chance, for as long as somebody wants. */
import { spawnSync } from 'node:child_process';
import { setPriority } from 'node:os';
import { parseArgs } from 'node:util';

const PROOFS: Readonly<Record<string, readonly string[]>> = {
  policy: [
    'test/policy/kernel.test.ts',
    'test/policy/evaluate.test.ts',
    'test/policy/incremental.test.ts',
    'test/lab/policy-storm.test.ts',
  ],
};
/** Below whatever else the machine does. */
const NICE = 10;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '300' },
  },
});
const files = PROOFS[positionals[0] ?? ''];

if (files === undefined) {
  console.error(
    `npm run prove -- ${Object.keys(PROOFS).join(' | ')} [--cases 10000] [--seed 1] [--seconds 300]`,
  );
  process.exitCode = 2;
} else {
  setPriority(NICE);
  const environment = {
    ...process.env,
    FAIRLEAD_POLICY_CASES: values.cases,
    FAIRLEAD_POLICY_KERNEL_CASES: values.cases,
    FAIRLEAD_POLICY_SEED: values.seed,
    FAIRLEAD_POLICY_STORM_SECONDS: values.seconds,
  };
  const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...files], {
    stdio: 'inherit',
    env: environment,
  });
  process.exitCode = status ?? 1;
}
