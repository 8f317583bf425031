#!/bin/sh
# Installs what is missing and runs every test; `tests/run.sh --help` has the options (one stage, one test).
# Shown at the end: "N passed, N failed"; the status is 0 only if all is well.
set -eu
cd "$(dirname "$0")/.."
tools/install-deps.sh build run test
exec python3 -B tests/runner.py "$@"
