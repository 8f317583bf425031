#!/bin/sh
# From a bare machine to a running AppImage: installs what is missing, builds, makes the hello AppImage, then plan, build, run,
# and build again, which executes nothing. Everything made lies in build-quickstart/ of this checkout and in the user's cache.
# With ORCH_BINARY set, that program is used and nothing is installed or built.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
work=${ORCH_QUICKSTART_DIR:-$top/build-quickstart}

say() { printf '\n== %s\n' "$1"; }
fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

if [ -n "${ORCH_BINARY:-}" ]; then
  orch=$ORCH_BINARY
else
  say "installing what is missing"
  tools/install-deps.sh build run
  say "building"
  [ -f "$work/program/build.ninja" ] || meson setup "$work/program" -Doptimization=2 -Ddebug=false -Dtests=false >"$work.log" 2>&1 || {
    cat "$work.log" >&2
    fail "meson setup failed"
  }
  ninja -C "$work/program" --quiet
  rm -f "$work.log"
  orch=$work/program/src/cli/appimage-orch
fi
export APPIMAGE_ORCH_DATA_DIR="${APPIMAGE_ORCH_DATA_DIR:-$top}" # rules and profiles of this checkout; an installed program has its own

say "making the hello AppImage"
mkdir -p "$work/hello"
cp examples/hello/profile.toml "$work/hello/"
[ -f "$work/hello/Hello-x86_64.AppImage" ] || examples/hello/make-appimage.sh "$work/hello/Hello-x86_64.AppImage"
cd "$work/hello"

say "appimage-orch plan"
"$orch" plan
say "appimage-orch build"
"$orch" build
say "appimage-orch run"
mkdir -p "$work/evidence"
evidence=$work/evidence/$(date -u +%Y%m%d-%H%M%S)-$$
"$orch" run --out-dir "$evidence" -- you
say "appimage-orch build, again"
"$orch" build --format json >"$work/second.json"
count() { tr -d ' \n' <"$work/second.json" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
[ "$(count executed)" = 0 ] && [ "$(count failed)" = 0 ] || {
  cat "$work/second.json" >&2
  fail "the second build executed $(count executed) commands, expected 0"
}
echo "executed $(count executed), cached $(count cached), fresh $(count fresh)"

grep -q 'Hello, you!' "$evidence/run.log" || fail "the application's output is not in $evidence/run.log"
field() { tr -d '\n' <"$evidence/run.report.json" | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"; }
say "summary"
echo "evidence   $evidence"
ls "$evidence" | sed 's/^/           /'
echo "outcome    $(field outcome), status $(field exit_status), launcher $(field launcher)"
echo "output     $(head -n 1 "$evidence/run.log")"
