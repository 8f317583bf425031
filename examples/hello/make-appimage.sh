#!/bin/sh
# Makes Hello-x86_64.AppImage: a thin type 2 AppImage whose AppRun is a script. It carries the program jq, taken from this
# machine's distribution, and not the two libraries that jq needs. Needs apt, dpkg-deb and mksquashfs, but no root.
# usage: make-appimage.sh [OUTPUT]
set -eu
umask 022
output=${1:-Hello-x86_64.AppImage}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}
for tool in apt-get dpkg-deb mksquashfs; do
  command -v "$tool" >/dev/null || die "'$tool' not found" "run tools/install-deps.sh run, on Debian or Ubuntu"
done

# The machine's package lists may be absent or out of date; then private ones are fetched.
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb"
download() { (cd "$work/deb" && apt-get -q -o Dir::Cache="$work/cache" -o APT::Sandbox::User= "$@" </dev/null >"$work/log" 2>&1); }
download download jq:amd64 || {
  download -o Dir::State::lists="$work/lists" update &&
    download -o Dir::State::lists="$work/lists" download jq:amd64
} || {
  cat "$work/log" >&2
  die "cannot download the package 'jq'" "check 'apt-get download jq'"
}
dpkg-deb -x "$work"/deb/jq_*.deb "$work/package"

app=$work/app
mkdir -p "$app/usr/bin" "$app/usr/share/hello"
cp "$work/package/usr/bin/jq" "$app/usr/bin/jq"
printf '{ "greeting": "Hello" }\n' >"$app/usr/share/hello/greeting.json"
cat >"$app/AppRun" <<'APPRUN'
#!/bin/sh
# Greets by way of jq, whose libraries (libjq, libonig) the AppImage does not carry.
here=${APPDIR:-$(dirname "$(readlink -f "$0")")}
exec "$here/usr/bin/jq" -r --arg name "${1:-world}" \
  'if (.greeting | test("^[[:alpha:]]")) then "\(.greeting), \($name)!" else error("no greeting") end' \
  "$here/usr/share/hello/greeting.json"
APPRUN
chmod 755 "$app/AppRun"
cat >"$app/hello.desktop" <<'DESKTOP'
[Desktop Entry]
Type=Application
Name=Hello
Exec=hello
Icon=hello
Categories=Utility;
Terminal=true
DESKTOP
: >"$app/hello.png"
mksquashfs "$app" "$work/payload" -noappend -quiet -no-progress -all-root -no-xattrs -mkfs-time 0 -all-time 0 \
  -comp gzip >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  die "mksquashfs failed" "see its message above"
}

# In front of the payload stands a program, as in every AppImage: here 80 bytes of code and text that say what to
# do. Its section header table is its end, and that is where the payload begins. Fields: ELF specification, AI 02: type 2.
{
  printf '\177ELF\002\001\001\000AI\002\000\000\000\000\000'        # 64 bit, little endian, AppImage type 2
  printf '\002\000\076\000\001\000\000\000'                         # executable, x86_64, version 1
  printf '\170\000\100\000\000\000\000\000\100\000\000\000\000\000\000\000' # entry 0x400078, segments at 64
  printf '\310\000\000\000\000\000\000\000\000\000\000\000'         # sections at 200
  printf '\100\000\070\000\001\000\100\000\001\000\000\000'         # sizes and numbers of headers: 64, 56, 1, 64, 1, 0
  printf '\001\000\000\000\005\000\000\000\000\000\000\000\000\000\000\000' # one segment to load, readable, executable
  printf '\000\000\100\000\000\000\000\000\000\000\100\000\000\000\000\000' # at 0x400000
  printf '\310\000\000\000\000\000\000\000\310\000\000\000\000\000\000\000' # 200 bytes of file, 200 of memory
  printf '\000\020\000\000\000\000\000\000'                         # page size
  printf '\270\001\000\000\000\277\002\000\000\000'                 # mov eax, 1 (write); mov edi, 2 (standard error)
  printf '\276\242\000\100\000\272\046\000\000\000\017\005'         # mov esi, text; mov edx, 38; syscall
  printf '\270\347\000\000\000\277\001\000\000\000\017\005'         # mov eax, 231 (exit_group); mov edi, 1; syscall
  printf '\220\220\220\220\220\220\220\220'                         # to the text at 162
  printf 'run this file with appimage-orch run\n\n'
  dd if=/dev/zero bs=64 count=1 2>/dev/null                         # the empty section header
} >"$work/runtime"
cat "$work/runtime" "$work/payload" >"$work/done"
chmod 755 "$work/done"
mv "$work/done" "$output"
echo "made $output" >&2
