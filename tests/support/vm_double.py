#!/usr/bin/env python3
"""A virtual machine for tests that mounts images as muvm's does: a real aarch64 kernel, booted in software by QEMU.

It takes muvm's words, so that what `appimage-orch run --launcher muvm --dry-run` shows can be given to it as it stands:
  python3 -m tests.support.vm_double --share HOME -f base.erofs -f top.erofs -e NAME=VALUE -- COMMAND ARGUMENT...
Its output and status are those of COMMAND. Needs root (for virtiofsd), QEMU, and apt for the kernel, busybox and the
emulator of the guest. What it proves, and what it cannot: docs/design/vm-double.md.
"""

import argparse
import dataclasses
import functools
import io
import lzma
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from tests.integration import debian
from tests.integration import lib

QEMU = "qemu-system-aarch64"
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")  # of QEMU 7 and older, and of its own package
MODULES = ("virtio_pci", "virtio_blk", "virtiofs", "erofs", "overlay", "binfmt_misc")
EMULATOR = "qemu-x86_64-static"
ROOTFS = "/run/fex-emu/rootfs"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

# /init. /settings.sh, made for each boot, has `chroots` (yes or no) and the functions mount_shares, bind_shares and run_commands.
INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /run /tmp /etc/qemu-binfmt /usr/bin
/bin/busybox --install -s /bin
export PATH=/bin
mark() {{ read -r up rest < /proc/uptime; echo "vm-double: $* ($up s)"; }}
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev && mount -t tmpfs run /run
stty raw -echo < /dev/console
mark kernel
for name in $(cat /modules/order); do insmod /modules/$name || mark no module $name; done
. /settings.sh
mount_shares
mark shares

# The emulator looks below its prefix first and at the real path second, as FEX does. FEX follows a link at the end of a
# path within the root image, the emulator does not: /lib is where the absolute links to the loader lead.
ln -s {ROOTFS} /etc/qemu-binfmt/x86_64
ln -s {ROOTFS}/lib /lib
ln -s /bin/busybox /usr/bin/env
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
cat /binfmt > /proc/sys/fs/binfmt_misc/register && mark binfmt

not_mounted() {{
  echo "Failed to mount FEX rootfs, carrying on without. Error: $1"
  dmesg | grep -E 'erofs|overlay' | tail -n 3 | sed 's/^/vm-double: kernel: /'
}}
mount_images() {{
  count=0 lower=
  for name in $(ls /dev | grep '^vd' | LC_ALL=C sort); do
    mkdir -p -m 555 /run/fex-emu/$name
    mount -t erofs -o ro /dev/$name /run/fex-emu/$name 2> /dev/null || {{ not_mounted 'Failed to mount erofs'; return; }}
    count=$((count + 1)) lower=/run/fex-emu/$name${{lower:+:$lower}}
  done
  case $count in
    0) return ;;
    1) ln -s $lower {ROOTFS} ;;
    *) mkdir {ROOTFS}
       mount -t overlay -o ro,lowerdir=$lower overlay {ROOTFS} 2> /dev/null || {{ rmdir {ROOTFS}; not_mounted 'Failed to overlay'; return; }} ;;
  esac
  mark rootfs of $count: $lower
}}
mount_images

# The merged root as a root directory; what it lacks to mount things on is made in memory.
if [ $chroots = yes ] && [ -e {ROOTFS} ]; then
  mkdir -p /run/chroot/upper /run/chroot/work /run/chroot/root
  mount -t overlay -o lowerdir={ROOTFS},upperdir=/run/chroot/upper,workdir=/run/chroot/work overlay /run/chroot/root
  bind() {{ mkdir -p "/run/chroot/root$1" && mount --bind "$1" "/run/chroot/root$1"; }}
  bind /proc && bind /dev && bind /tmp && bind_shares
fi
mark commands
run_commands
mark done
sync
poweroff -f
"""


class Unavailable(Exception):
    """Why there can be no virtual machine here."""


@dataclasses.dataclass
class Command:
    """What runs in the guest. As the user if boot() was given one; with `chroot` as root, in the merged root."""
    argv: list
    env: dict = dataclasses.field(default_factory=dict)
    chroot: bool = False


@dataclasses.dataclass
class Done:
    status: int  # of a signal 128 + its number
    output: str


class Boot:
    """How it went: `phases` is {name: seconds since the kernel began}, `done` has a Done for each command."""

    def __init__(self, console, seconds):
        self.console, self.seconds = console.decode("utf-8", "surrogateescape"), seconds
        self.phases = {name: float(at) for name, at in re.findall(r"^vm-double: (\w+).* \((\S+) s\)$", self.console, re.M)}
        ends = re.findall(r"^vm-double: begin (\d+) .*\n((?s:.*?))\nvm-double: end \1 (\d+) ", self.console, re.M)
        self.done = [Done(int(status), output) for _, output, status in ends]
        self.before = self.console.partition("vm-double: commands")[0]  # what muvm's console has before the command's output


# ---- what the guest is made of

def members(package, names):
    """{name: bytes} of the files of a package that the regular expression matches."""
    out = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                if member.isfile() and re.fullmatch(names, member.name):
                    out[member.name] = archive.extractfile(member).read()
    return out


def ordered_modules(files):
    """[(name, bytes)] of MODULES after what they depend on. One that is not there is built into the kernel."""
    found = {re.sub(r"\.ko.*", "", os.path.basename(path)).replace("-", "_"): path for path in files}
    out = {}

    def add(name):
        if name not in found or name in out:
            return
        data = files[found[name]]
        data = lzma.decompress(data) if found[name].endswith(".xz") else data
        for needed in re.search(rb"\0depends=([^\0]*)", data)[1].decode().split(","):
            add(needed.replace("-", "_"))
        out[name] = data
    for name in MODULES:
        add(name)
    return list(out.items())


def cpio(entries):
    """An archive (newc) of [(name, mode with type, bytes)]; parents come first. The only device is the console."""
    out = io.BytesIO()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        device = (5, 1) if stat.S_ISCHR(mode) else (0, 0)
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        for part in (b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0", data):
            out.write(part)
            out.write(b"\0" * (-out.tell() % 4))
    return out.getvalue()


def binfmt():
    """Programs for x86_64 go to the emulator, whatever bytes 7 to 10 are: there AppImages have their mark."""
    magic = b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x3e\0"
    mask = b"\xff" * 7 + bytes(4) + b"\xff" * 5 + b"\xfe\xff\xff\xff"
    return ":FEX-x86_64:M::{}:{}:/bin/{}:POCF".format(*("".join(f"\\x{b:02x}" for b in part) for part in (magic, mask)), EMULATOR)


@dataclasses.dataclass
class Parts:
    kernel: Path
    initramfs: bytes


def fetch_parts(folder):
    """The guest's kernel and the part of its initramfs that all boots share, from packages for arm64."""
    try:
        archive = debian.Archive(folder / "apt", "arm64")
        kernel = next(name for name in archive.depends("linux-image-cloud-arm64") if name.startswith("linux-image-"))
        image, busybox, user = map(archive.download_one, (kernel, "busybox-static", "qemu-user-static"))
    except (RuntimeError, StopIteration) as error:
        raise Unavailable(f"no packages for arm64: {str(error).strip().splitlines()[-1:]}") from error
    files = members(image, r"\./boot/vmlinuz-.*|\./(usr/)?lib/modules/.*\.ko(\.xz)?")
    vmlinuz = next(name for name in files if "/boot/" in name)
    (folder / "vmlinuz").write_bytes(files.pop(vmlinuz))
    folders = [(name, 0o40755, b"") for name in ("bin", "dev", "modules")]
    programs = members(busybox, r"\./(usr/)?bin/busybox") | members(user, rf"\./usr/bin/{EMULATOR}")
    modules = ordered_modules(files)
    entries = [*folders, ("dev/console", 0o20600, b""), ("init", 0o100755, INIT.encode()), ("binfmt", 0o100644, binfmt().encode()),
               *((f"bin/{os.path.basename(name)}", 0o100755, data) for name, data in programs.items()),
               *((f"modules/{name}", 0o100644, data) for name, data in modules),
               ("modules/order", 0o100644, "\n".join(name for name, _ in modules).encode())]
    (folder / "initramfs").write_bytes(cpio(entries))
    shutil.rmtree(folder / "apt")


def parts_in(folder):
    """Kept in a folder: made there if it has none."""
    if not (folder / "initramfs").exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetch_parts(folder)
    return Parts(folder / "vmlinuz", (folder / "initramfs").read_bytes())


@functools.lru_cache(None)
def parts():
    """Fetched once for a run of tests."""
    folder = Path(tempfile.mkdtemp(prefix="orch-vm-"))
    import atexit
    atexit.register(shutil.rmtree, folder, True)
    return parts_in(folder)


# ---- a boot

def virtiofsd():
    return next((path for path in VIRTIOFSD if os.access(path, os.X_OK)), None)


def check():
    """Raises Unavailable with the reason why nothing can be booted."""
    if not shutil.which(QEMU):
        raise Unavailable(f"not installed: {QEMU}")
    if not virtiofsd():
        raise Unavailable("not installed: virtiofsd")
    if os.geteuid() != 0:
        raise Unavailable("virtiofsd needs root")


def settings(commands, shares, user, home):
    """The boot's part of the initramfs."""
    places = [shlex.quote(share) for share in shares]
    lines = [f"chroots={'yes' if any(c.chroot for c in commands) else 'no'}", "mount_shares() {", "  :",
             *(f"  mkdir -p {place}; mount -t virtiofs share{number} {place} || mark no share" for number, place in enumerate(places)),
             "}", "bind_shares() {", "  :", *(f"  bind {place}" for place in places), "}", "run_commands() {"]
    for number, command in enumerate(commands):
        words = shlex.join(map(os.fspath, command.argv))
        env = {**ENVIRONMENT, "HOME": home, **command.env}
        started = f"cd {shlex.quote(home)}; exec {words}"
        line = ["/bin/env", "-i", *(f"{k}={v}" for k, v in env.items())]
        if command.chroot:
            line += ["chroot", "/run/chroot/root", *map(os.fspath, command.argv)]
        else:
            line += ["/bin/su", "-m", "-s", "/bin/sh", "guest" if user else "root", "-c", started]
        lines += [f"mark begin {number}", f"{shlex.join(line)} < /dev/null", "status=$?; echo", f"mark end {number} $status"]
    lines += ["}", ""]
    passwd = f"root::0:0::{home}:/bin/sh\n" + (f"guest::{user}:{user}::{home}:/bin/sh\n" if user else "")
    return cpio([("settings.sh", 0o100644, os.fsencode("\n".join(lines))), ("etc", 0o40755, b""), ("etc/passwd", 0o100644, passwd.encode())])


def machine(kernel, initramfs, images, sockets, memory=768):
    def file(path):
        return os.fspath(path).replace(",", ",,")
    line = [QEMU, "-M", "virt,memory-backend=mem", "-cpu", "cortex-a72", "-accel", "tcg", "-m", str(memory), "-nodefaults", "-no-reboot",
            "-display", "none", "-serial", "stdio", "-object", f"memory-backend-memfd,id=mem,size={memory}M,share=on", "-kernel", kernel,
            "-initrd", initramfs, "-append", "console=ttyAMA0 panic=-1 quiet loglevel=1 cryptomgr.notests mitigations=off nokaslr"]
    for number, image in enumerate(images):
        line += ["-drive", f"file={file(image)},format=raw,readonly=on,if=none,id=d{number}", "-device", f"virtio-blk-pci,drive=d{number}"]
    for number, path in enumerate(sockets):
        line += ["-chardev", f"socket,id=s{number},path={file(path)}", "-device", f"vhost-user-fs-pci,chardev=s{number},tag=share{number}"]
    return [os.fspath(word) for word in line]


def start_share(share, path):
    """virtiofsd for a folder; it ends with the machine."""
    process = subprocess.Popen([virtiofsd(), f"--socket-path={path}", "-o", f"source={share}", "-o", "sandbox=chroot"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"virtiofsd does not share {share}: {process.communicate()[1].decode()}")
        time.sleep(0.01)
    return process


def boot(images, commands, *, shares=(), user=None, parts=parts, timeout=lib.TIMEOUT):
    """Boots with the images as disks, in that order, and runs the commands one after the other; their home is the first share."""
    check()
    made, began = parts(), time.monotonic()
    shares = [os.fspath(share) for share in shares]
    daemons = []
    with tempfile.TemporaryDirectory(prefix="orch-vm-boot-") as folder:
        initramfs = Path(folder) / "initramfs"
        initramfs.write_bytes(made.initramfs + settings(commands, shares, user, shares[0] if shares else "/"))
        sockets = [Path(folder) / f"s{number}" for number in range(len(shares))]
        try:
            for share, path in zip(shares, sockets):
                daemons.append(start_share(share, path))
            done = subprocess.run(machine(made.kernel, initramfs, images, sockets), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            raise RuntimeError(f"the machine did not end within {timeout} s: {late.stdout}") from late
        finally:
            for daemon in daemons:
                daemon.kill()
                daemon.communicate()
    result = Boot(done.stdout, time.monotonic() - began)
    if done.returncode != 0 or len(result.done) != len(commands):
        raise RuntimeError(f"the machine ended early, status {done.returncode}: {done.stderr.decode()}\n{result.console}")
    return result


# ---- muvm's command line

def parse(words):
    """Of muvm's words those that matter here, and a few of our own."""
    parser = argparse.ArgumentParser(prog="vm_double", description="muvm's images and command in a virtual machine in software")
    parser.add_argument("-f", "--fex-image", action="append", default=[], metavar="IMAGE", help="a disk; the last one is the top layer")
    parser.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE")
    for name in ("--interactive", "--tty"):
        parser.add_argument(name, action="store_true", help="not looked at, as by a muvm that starts a VM")
    parser.add_argument("--emu", help="not looked at, as there is one emulator")
    parser.add_argument("--gpu-mode", help="not looked at, as there is no GPU")
    parser.add_argument("--share", action="append", default=[], metavar="FOLDER", help="seen in the guest at the same path; the first is the home")
    parser.add_argument("--user", type=int, help="uid that the command has in the guest")
    parser.add_argument("--chroot", action="store_true", help="run the command in the merged root, as root")
    parser.add_argument("--parts", type=Path, metavar="FOLDER", help="keep the guest's kernel and programs here")
    parser.add_argument("--marks", action="store_true", help="show the whole console on standard error")
    at = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:at])
    env = {word.partition("=")[0]: word.partition("=")[2] if "=" in word else os.environ.get(word, "") for word in options.env}
    return options, Command(words[at + 1:] or ["true"], env, options.chroot)


def main(words):
    options, command = parse(words)
    try:
        result = boot(options.fex_image, [command], shares=options.share, user=options.user,
                      parts=functools.partial(parts_in, options.parts) if options.parts else parts)
    except (Unavailable, RuntimeError) as error:
        print(f"vm_double: {error}", file=sys.stderr)
        return 125
    print(result.console if options.marks else result.before, file=sys.stderr)
    print(result.done[0].output, end="")
    return result.done[0].status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
