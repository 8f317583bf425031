#!/bin/sh
# Makes a root of aarch64 libraries and headers for the cross build: the packages of group "build" in tools/packages.txt
# that are libraries, with all that they need, from this machine's own apt sources. apt works in folders of its own; the
# machine's architectures, lists and packages stay as they are. Needs no root. What is there and complete is kept.
#
# usage: tools/aarch64/sysroot.sh FOLDER    (the status is 77 where the sources have nothing for arm64)
# Then:  meson setup build-aarch64 --cross-file FOLDER/sysroot.ini --cross-file tools/aarch64/cross.ini
set -eu

die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

[ $# = 1 ] || { sed -n '/^# usage/,/^set/s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
command -v apt-get >/dev/null 2>&1 || die "no apt-get here" "the packages of the sysroot come from Debian's archive"
tools=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
case $folder in *[\'\"\ ]*) die "'$folder' has a space or a quote" "name a folder without; apt and pkg-config take none" ;; esac
root=$folder/root

wanted="libc6 $(awk '$1 == "build" && $2 ~ /-dev$/ { print $2 }' "$tools/packages.txt" | sort | tr '\n' ' ')"
made_of=$(cat "$0"; echo "$folder $wanted")
[ ! -f "$folder/made-of" ] || [ "$(cat "$folder/made-of")" != "$made_of" ] || exit 0

# A root of apt's own: nothing is installed there, so that "install" downloads everything.
apt=$folder/apt
rm -rf "$root" "$apt" "$folder/made-of"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/parts" "$root"
: >"$apt/status"
{
  apt-config dump | grep -E '^(Acquire::(http|https|Check-|Retries|ForceIPv|Max-FutureTime))' || true
  cat <<CONFIG
Dir::Etc::parts "$apt/parts";
Dir::Etc::preferencesparts "$apt/parts";
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
Dir::Log "$apt";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
CONFIG
} >"$apt/apt.conf"
export APT_CONFIG="$apt/apt.conf" DEBIAN_FRONTEND=noninteractive

# One of many sources may fail and not be needed; whether all is there is said by the download.
apt-get -q update -o APT::Update::Error-Mode=any >"$apt/log" 2>&1 </dev/null || echo "update failed" >>"$apt/log"
if [ -z "$(apt-cache -q show libc6 2>/dev/null)" ] && ! grep -q "^update failed$" "$apt/log"; then
  echo "no apt source of this machine serves arm64"
  exit 77
fi
apt-get -qy --download-only install $wanted >>"$apt/log" 2>&1 </dev/null || {
  tail -n 25 "$apt/log" >&2
  die "the arm64 packages could not be downloaded" "check the network, and that this machine's apt sources serve arm64, as Debian's archive does"
}

# With merged directories, as on an installed system. The C library's headers are those of the cross compiler. Only what
# compiler and loader read is kept: qemu looks into the root first for every path that a program opens, and is to find the
# machine's own files.
for name in bin lib sbin; do
  mkdir -p "$root/usr/$name"
  ln -s "usr/$name" "$root/$name"
done
for package in "$apt"/archives/*.deb; do
  case ${package##*/} in libc6-dev_* | linux-libc-dev_* | libcrypt-dev_*) continue ;; esac
  dpkg-deb --fsys-tarfile "$package" |
    tar -x -C "$root" --keep-directory-symlink --no-same-owner
done
for name in "$root"/* "$root"/usr/* "$root"/usr/share/*; do
  case ${name#"$root"} in
    /lib | /usr | /usr/lib | /usr/include | /usr/share | /usr/share/pkgconfig) ;;
    *) rm -rf "$name" ;;
  esac
done
find "$root" -type l -lname '/*' -exec sh -c '
  root=$1 && shift
  for link in "$@"; do ln -snrf "$root$(readlink "$link")" "$link"; done' sh "$root" {} +
rm -rf "$apt"

# What the cross file is completed with.
ccache=$(command -v ccache >/dev/null 2>&1 && echo "'ccache'" || true)
cat >"$folder/sysroot.ini" <<INI
[constants]
sysroot = '$root'
compiler_launcher = [$ccache]
INI
printf '%s\n' "$made_of" >"$folder/made-of"
