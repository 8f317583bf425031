#!/bin/sh
# Shows, by hand, that a machine with nothing but git and a base system is enough: makes one with debootstrap, clones this
# checkout's HEAD into it, and runs a command of it there. Needs root, debootstrap and some gigabytes; not part of tests/run.sh.
#
# usage: tests/fresh-machine.sh [--user] [--suite NAME] [--keep] FOLDER COMMAND [ARGS…]
#   --user    run the command as an ordinary user with sudo that asks for no password, instead of as root
#   --suite   the Debian release (bookworm)
#   --keep    do not start from a fresh copy of the base system, go on with the machine of the last time
#   FOLDER    on a disk; the base system stays in FOLDER/base-SUITE and is made only once
# e.g.   tests/fresh-machine.sh --user /var/tmp/fresh examples/quickstart.sh
#        tests/fresh-machine.sh /var/tmp/fresh .ci/run
#
# The machine has a root file system of its own by pivot_root, not chroot: in a chroot the kernel refuses user namespaces.
# Package sources, their keys and the resolver's settings are those of this machine.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
user=root suite=bookworm keep=no
while [ $# -gt 0 ]; do
  case $1 in
    --user) user=guest ;;
    --suite) suite=$2 && shift ;;
    --keep) keep=yes ;;
    -*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    *) break ;;
  esac
  shift
done
[ $# -ge 2 ] || { sed -n '5p' "$0" >&2 && exit 2; }
[ "$(id -u)" = 0 ] || { echo "error: this needs root" >&2 && exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
base=$folder/base-$suite root=$folder/machine

if [ ! -e "$base/.complete" ]; then
  rm -rf --one-file-system "$base"
  uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v '^ *#' | grep -oE 'https?://[^ ]+' | grep -v security | head -n 1)
  debootstrap "$suite" "$base" "$uri" >"$folder/debootstrap.log" 2>&1 || {
    tail "$folder/debootstrap.log" >&2
    exit 1
  }
  touch "$base/.complete"
fi

if [ "$keep" = no ]; then
  rm -rf --one-file-system "$root"
  cp -a --reflink=auto "$base" "$root"
  rm -f "$root/etc/apt/sources.list"
  for place in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/auth.conf.d /etc/apt/keyrings \
    /etc/apt/trusted.gpg.d /etc/resolv.conf /etc/hosts; do
    [ -e "$place" ] && mkdir -p "$root/$(dirname "$place")" && cp -aL "$place" "$root/$(dirname "$place")/"
  done
fi

commit=$(git -C "$top" rev-parse HEAD)
[ -z "$(git -C "$top" status --porcelain)" ] || echo "note: uncommitted changes are left out" >&2
rm -rf --one-file-system "$root/srv/appimage-orch"
git clone -q --no-hardlinks "$top" "$root/srv/appimage-orch"
cat >"$root/srv/enter" <<'INSIDE'
set -eu
user=$1 && shift
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
wanted=git
[ "$user" = root ] || wanted="git sudo"
dpkg-query -W $wanted >/dev/null 2>&1 || {
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends $wanted >/dev/null 2>&1
}
if [ "$user" != root ] && ! id "$user" >/dev/null 2>&1; then
  useradd -m -s /bin/bash "$user"
  echo "$user ALL=(ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$user"
fi
chown -R "$user:" /srv/appimage-orch
cd /srv/appimage-orch
echo "machine: $(. /etc/os-release && echo "$PRETTY_NAME"), user $(id -un "$user"), $(dpkg-query -f '.\n' -W | wc -l) packages" >&2
started=$(date +%s)
status=0
setpriv --reuid="$user" --regid="$user" --init-groups env HOME="$(getent passwd "$user" | cut -d: -f6)" USER="$user" "$@" \
  || status=$?
echo "status $status after $(($(date +%s) - started)) s, user $user, $(dpkg-query -f '.\n' -W | wc -l) packages" >&2
exit $status
INSIDE

echo "commit $commit" >&2
exec env -i TERM="${TERM:-dumb}" PATH="$PATH" CI="${CI:-}" unshare -m -p -f --kill-child --propagation private sh -eu -c '
  root=$1 user=$2 && shift 2
  mount --bind "$root" "$root"
  cd "$root"
  mount -t proc proc proc
  mount --rbind /sys sys
  mount --rbind /dev dev
  mount -t tmpfs -o mode=1777 tmpfs tmp
  mount -t tmpfs -o mode=755 tmpfs run
  mkdir -p run/old
  pivot_root . run/old
  cd /
  umount -l run/old
  exec sh /srv/enter "$user" "$@"
' sh "$root" "$user" "$@"
