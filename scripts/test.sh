#!/bin/sh
# All checks and all tests; the set-up has run before. Arguments go to the test runner.
# What each file took stands in build/test-durations.txt: one that takes more than ten seconds is a proof (*.proof.ts).
set -eu
cd "$(dirname "$0")/.."
npm run --silent check
mkdir -p build
# As many files at a time as there are cores here: each has its namespaces and labs to itself.
exec node --test --test-concurrency="${FAIRLEAD_TEST_CONCURRENCY:-2}" \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=./scripts/durations.ts --test-reporter-destination=build/test-durations.txt \
  "$@" 'src/**/*.test.ts' 'lab/**/*.test.ts' 'test/**/*.test.ts'
