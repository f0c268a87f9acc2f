/** A short run of the plugin's parsers under libFuzzer; `make -C native fuzz-cni` is the long one. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const NATIVE = join(import.meta.dirname, '../../../native');
const SECONDS = 8;

/** Debian has the fuzzer's runtime in a package of its own. */
const canFuzz =
  spawnSync('clang', ['-fsanitize=fuzzer,address', '-x', 'c', '-', '-o', '/dev/null'], {
    input: 'int LLVMFuzzerTestOneInput(void) { return 0; }',
  }).status === 0;

void test('no bytes make the parsers of the plugin read or write where they must not', {
  skip: canFuzz ? false : 'clang with libFuzzer is not installed; npm run setup installs it',
}, async () => {
  const { stderr } = await promisify(execFile)(
    'make',
    ['-C', NATIVE, 'fuzz-cni', `FUZZ_SECONDS=${SECONDS}`],
    {
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  const runs = Number(/number_of_executed_units: (\d+)/.exec(stderr)?.[1]);
  assert.ok(runs > 1000, `only ${runs} runs`);
});
