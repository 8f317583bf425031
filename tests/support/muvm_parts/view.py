"""What the guest sees: mounts in namespaces that last as long as the VM, and that the guest's commands enter."""

import ctypes
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_NOSUID, MS_NOEXEC, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 2, 8, 4096, 8192, 16384, 1 << 18
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
FEX, MERGED = "/run/fex-emu", "/run/fex-emu/rootfs"
SHARED = ("dev", "proc", "sys", "run", "tmp", "home", "root")  # no image is laid over these
FEX_DATA = ("/usr/share/fex-emu", "/usr/local/share/fex-emu")


def is_mountable(path):
    """By a guest whose pages have 4 KiB."""
    with open(path, "rb") as image:
        block = image.read(1024 + 16)[1024:]
    return block[:4] == b"\xe2\xe1\xf5\xe0" and block[12] <= 12


def cache():
    place = Path(tempfile.gettempdir()) / f"muvm-double-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def extracted(image):
    """The image's content as a folder; images are not mounted, for that needs more rights than muvm has."""
    info = os.stat(image)
    place = cache() / f"{info.st_dev}-{info.st_ino}-{info.st_mtime_ns}-{info.st_size}"
    if not place.exists():
        scratch = tempfile.mkdtemp(dir=cache())
        subprocess.run(["fsck.erofs", f"--extract={scratch}/tree", image], stdout=subprocess.DEVNULL, check=True)
        try:
            os.rename(f"{scratch}/tree", place)
        except OSError:
            pass  # another process was faster
        shutil.rmtree(scratch, ignore_errors=True)
    return str(place)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    encoded = [os.fsencode(x) if x is not None else None for x in (source, target, kind)]
    check(LIBC.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None), f"mount {source} {target} {data}")


def end_with_parent():
    """A process of the guest does not outlive its VM."""
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def new_user(inside):
    """A user namespace, in addition to `inside`, whose only user is this one and has the number `inside`."""
    uid, gid = os.getuid(), os.getgid()
    check(LIBC.unshare(CLONE_NEWUSER), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{inside} {uid} 1"), ("gid_map", f"{gid if inside else 0} {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text)


class View:
    def __init__(self, images, merged=False):
        bad = next((i for i, image in enumerate(images) if not is_mountable(image)), None)
        self.complete = bad is None
        self.merged = merged and bool(images)
        self.folders = [extracted(image) for image in images[:bad]]
        self.namespaces = []

    def hold(self):
        """Makes the namespaces, in a process that ends; muvm's descriptors keep them."""
        (cache() / "host").mkdir(exist_ok=True)
        said, says = os.pipe()
        waits, told = os.pipe()
        maker = os.fork()
        if maker == 0:
            try:
                os.close(told)
                self.make()
                os.write(says, b"made")
                os.read(waits, 1)
            except Exception as error:  # pylint: disable=broad-except
                os.write(says, str(error).encode())
            finally:
                os._exit(0)
        os.close(says)
        if (text := os.read(said, 4096)) != b"made":
            raise RuntimeError(f"the double's guest: {text.decode()}")
        self.namespaces = [os.open(f"/proc/{maker}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "mnt")]
        for fd in (said, waits, told):
            os.close(fd)
        os.waitpid(maker, 0)

    def enter(self, root=False):
        """In a process of the guest. `root`: with the number of root, and no more rights than before."""
        for fd, kind in zip(self.namespaces, (CLONE_NEWUSER, CLONE_NEWNS)):
            check(LIBC.setns(fd, kind), "setns")
        if root:
            new_user(0)

    def make(self):
        uid = os.getuid()
        new_user(uid)
        check(LIBC.unshare(CLONE_NEWNS), "unshare")
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        host = str(cache() / "host")
        mount("/", host, flags=MS_BIND | MS_REC)
        mount("run", "/run", "tmpfs", MS_NOSUID | MS_NOEXEC)
        os.makedirs("/run/muvm-host")
        mount(host, "/run/muvm-host", flags=MS_MOVE)
        os.makedirs(f"/run/user/{uid}")
        os.chmod(f"/run/user/{uid}", 0o700)
        if os.path.exists("/tmp/.X11-unix"):  # else there is no folder for the socket of x11bridge
            mount("tmpfs", "/tmp/.X11-unix", "tmpfs", MS_NOSUID | MS_NOEXEC)
        self.mount_images()

    def mount_images(self):
        told = [folder for folder in FEX_DATA if os.path.exists(folder)]
        os.makedirs(FEX)
        if self.merged:
            mount("tmpfs", FEX, "tmpfs", MS_NOSUID | MS_NOEXEC)
        for letter, folder in zip("abcdefghijklmnopqrstuvwxyz", self.folders):
            os.mkdir(f"{FEX}/vd{letter}")
            mount(folder, f"{FEX}/vd{letter}", flags=MS_BIND)
        if not self.folders or not self.complete:
            return
        if self.merged:
            merge_with_host(["/", *self.folders])
        elif len(self.folders) == 1:
            os.symlink(f"{FEX}/vda", MERGED)
        else:
            os.mkdir(MERGED)
            mount("overlay", MERGED, "overlay", MS_RDONLY, f"lowerdir={':'.join(reversed(self.folders))}")
        self.lay_over_host()
        for folder in told:
            tell_fex(folder, self.merged)

    def lay_over_host(self):
        """FEX's "root image first, then the host"."""
        for name in sorted(os.listdir(MERGED)):
            upper, host = f"{MERGED}/{name}", f"/{name}"
            if name in SHARED or os.path.islink(upper) or os.path.islink(host):
                continue
            if os.path.isdir(upper) and os.path.isdir(host):
                if self.merged:  # has the host's in it
                    mount(upper, host, flags=MS_BIND | MS_REC)
                else:
                    mount("overlay", host, "overlay", MS_RDONLY, f"lowerdir={os.path.realpath(MERGED)}/{name}:{host}")


def merge_with_host(layers):
    """The root that --merged-rootfs makes of these, the lowest first: of each name at its top the uppermost layer decides what
    it is; folders are united. (A name that is a folder in one and a file in another is not imitated.)"""
    os.mkdir(MERGED)
    seen = set()
    for layer in reversed(layers):
        for name in sorted(set(os.listdir(layer)) - seen):
            seen.add(name)
            source, target = os.path.join(layer, name), f"{MERGED}/{name}"
            if os.path.islink(source):
                os.symlink(os.readlink(source), target)
            elif os.path.isdir(source):
                os.mkdir(target)
                unite([os.path.join(one, name) for one in layers if os.path.isdir(os.path.join(one, name))], target)
            else:
                Path(target).touch()
                mount(source, target, flags=MS_BIND)


def unite(folders, target):
    if folders == ["/run"]:  # without what is mounted in it, but the host
        mount("/run", target, flags=MS_BIND)
        mount("/run/muvm-host", f"{target}/muvm-host", flags=MS_BIND | MS_REC)
    elif len(folders) == 1:
        mount(folders[0], target, flags=MS_BIND | MS_REC)
    else:
        folders[0] = "/run/muvm-host/etc" if folders[0] == "/etc" else folders[0]
        mount("overlay", target, "overlay", MS_RDONLY, f"lowerdir={':'.join(reversed(folders))},metacopy=off,redirect_dir=nofollow,userxattr")


def tell_fex(folder, merged):
    """The guest's own configuration of FEX, over the host's."""
    mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NOEXEC)
    for name in os.listdir(f"/run/muvm-host{folder}"):
        if name != "Config.json":
            os.symlink(f"/run/muvm-host{folder}/{name}", f"{folder}/{name}")
    config = {"RootFS": MERGED, **({"MergedRootFS": "1"} if merged else {})}
    Path(folder, "Config.json").write_text(json.dumps({"Config": config}, separators=(",", ":")))


def home():
    place = pwd.getpwuid(os.getuid()).pw_dir
    return place if os.path.isdir(place) else "/"
