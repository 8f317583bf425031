#!/bin/sh
# Installs what is missing of the named groups of tools/packages.txt (build, run, test) with apt-get or dnf.
# Does nothing, and asks for no rights, where all of it is there. With --print it only names what is missing.
set -eu

usage() {
  echo "usage: tools/install-deps.sh [--print] build|run|test…" >&2
  exit 2
}

die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

list=$(dirname "$0")/packages.txt
print=no
groups=
for word in "$@"; do
  case $word in
    --print) print=yes ;;
    build | run | test) groups="$groups $word" ;;
    *) usage ;;
  esac
done
[ -n "$groups" ] || usage

if command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; then
  column=2
  is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
elif command -v dnf >/dev/null 2>&1; then
  column=3
  is_installed() { rpm -q --whatprovides "$1" >/dev/null 2>&1; }
else
  die "neither apt-get nor dnf found" "install the packages that tools/packages.txt names by hand"
fi

missing=
for group in $groups; do
  for name in $(awk -v group="$group" -v column="$column" '$1 == group && $column != "-" { print $column }' "$list"); do
    is_installed "$name" || missing="$missing $name"
  done
done
[ -n "$missing" ] || exit 0
if [ "$print" = yes ]; then
  printf '%s\n' $missing
  exit 0
fi

if [ "$(id -u)" = 0 ]; then
  as_root=
elif command -v sudo >/dev/null 2>&1; then
  as_root=sudo
else
  die "packages are missing, and this is neither root nor a user with sudo" "as root: tools/install-deps.sh$groups"
fi

echo "installing:$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() { # its output is shown only if it fails
  $as_root "$@" >"$log" 2>&1 </dev/null || {
    tail -n 25 "$log" >&2
    die "'$*' failed"
  }
}
if [ "$column" = 2 ]; then
  run env DEBIAN_FRONTEND=noninteractive apt-get update
  run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
else
  run dnf install -y --setopt=install_weak_deps=False $missing
fi
