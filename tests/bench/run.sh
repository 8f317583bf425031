#!/bin/sh
# Prints measurements as ratios and differences, each pair measured in one run: tests/bench/run.sh [PART…]
# A part is a file tests/bench/PART.py; it finds the program in ORCH_BINARY. docs/design/performance.md has numbers.
set -eu
cd "$(dirname "$0")/../.."
tools/install-deps.sh build run test
if [ -z "${ORCH_BINARY:-}" ]; then
  [ -f build-bench/build.ninja ] || meson setup build-bench -Doptimization=2 -Ddebug=false >/dev/null
  ninja -C build-bench --quiet src/cli/appimage-orch
  ORCH_BINARY=$PWD/build-bench/src/cli/appimage-orch
fi
export ORCH_BINARY
[ $# -gt 0 ] || set -- $(cd tests/bench && ls -- *.py | sed 's/\.py$//')
for part in "$@"; do
  [ -f "tests/bench/$part.py" ] || {
    echo "error: no part '$part' in tests/bench" >&2
    exit 2
  }
  echo "== $part"
  python3 -B -m "tests.bench.$part"
done
