#!/bin/sh
# All checks and all tests; the set-up has run before. Arguments go to the test runner.
set -eu
cd "$(dirname "$0")/.."
npm run --silent check
# Test files share two cores and one kernel: one file at a time keeps their namespaces and figures apart.
exec node --test --test-concurrency="${FAIRLEAD_TEST_CONCURRENCY:-2}" "$@" 'src/**/*.test.ts' 'lab/**/*.test.ts' 'test/**/*.test.ts'
