"""What integration tests share: running the built binary in private directories, goldens, probes, and making inputs.

Knows nothing of the sources. The binary is $ORCH_BINARY, or the one of the folder `build`; rules and profiles are those
of the source tree.
"""

import functools
import hashlib
import json
import os
import random
import resource
import shlex
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.integration import jsonschema_mini

SOURCE = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("ORCH_BINARY", SOURCE / "build/src/cli/appimage-orch")).resolve()
GOLDEN = SOURCE / "tests/golden"
ORDINARY_USER = 61234  # a uid that no account has
DOCUMENTS = {"inputs.json": "inputs", "run.report.json": "run-report", "probe.json": "probe", "diff.json": None}  # of a run; None: it says which
TIMEOUT = 600  # seconds; a hang is a failure, speed is not judged


class Ran:
    """How a command ended. `stdout` and `stderr` are text (undecodable bytes become surrogates)."""

    def __init__(self, argv, status, stdout, stderr):
        self.argv, self.status, self.stdout, self.stderr = argv, status, stdout, stderr

    @property
    def json(self):
        return json.loads(self.stdout)

    def __str__(self):
        return (f"{shlex.join(map(str, self.argv))}\nstatus {self.status}\n"
                f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}")


def run_command(argv, *, env=None, cwd=None, stdin=None, timeout=TIMEOUT, user=None, preexec=None):
    """Runs argv to its end. `user`: a uid to run it as (only root can)."""
    argv = [os.fspath(a) for a in argv]
    if user is not None and os.geteuid() != user:
        argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]
    done = subprocess.run(argv, env=env, cwd=cwd, timeout=timeout, capture_output=True, preexec_fn=preexec,
                          **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    return Ran(argv, done.returncode, *(b.decode("utf-8", "surrogateescape") for b in (done.stdout, done.stderr)))


def chosen_seed():
    """The same for everybody, so that a change is judged by itself; ORCH_SEED gives another, "random" a new one."""
    chosen = os.environ.get("ORCH_SEED") or "230417"
    return random.SystemRandom().randrange(1 << 30) if chosen == "random" else int(chosen)


def in_bounded_memory(env):
    """Options of run_command for a program that must not take much memory: its sanitizer ends it, or malloc fails."""
    if os.environ.get("ORCH_SANITIZED") == "1":  # maps terabytes
        limits = ":hard_rss_limit_mb=1500:quarantine_size_mb=16:max_allocation_size_mb=1024:allocator_may_return_null=0"
        return {"env": {**env, "ASAN_OPTIONS": env.get("ASAN_OPTIONS", "") + limits}}
    return {"env": dict(env), "preexec": lambda: resource.setrlimit(resource.RLIMIT_AS, (1500 << 20, 1500 << 20))}


# ---- probes: what this machine can do

def is_root():
    return os.geteuid() == 0


def have(tool):
    return shutil.which(tool) is not None


@functools.lru_cache(None)
def user_namespaces():
    """Whether an ordinary user may make a user namespace."""
    user = ORDINARY_USER if is_root() else None
    return run_command(["unshare", "-Urm", "true"], user=user, cwd="/").status == 0


@functools.lru_cache(None)
def can_mount_erofs():
    if not is_root() or not have("mkfs.erofs"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/tree")
        run_command(["mkfs.erofs", "--quiet", f"{folder}/image", f"{folder}/tree"])
        return run_command(["unshare", "-m", "mount", "-t", "erofs", "-o", "ro,loop", f"{folder}/image",
                            f"{folder}/tree"]).status == 0


needs_root = unittest.skipUnless(is_root(), "needs root")
needs_user_namespaces = unittest.skipUnless(user_namespaces(), "unprivileged user namespaces are off")
needs_erofs_mounts = unittest.skipUnless(can_mount_erofs(), "may not mount EROFS images")


def needs_tool(*tools):
    absent = [t for t in tools if not have(t)]
    return unittest.skipIf(absent, "not installed: " + ", ".join(absent))


# ---- the frame of a test

class TestCase(unittest.TestCase):
    """Gives each test `self.tmp`, a folder of its own with cache, state and configuration; kept if the test fails."""

    maxDiff = None

    def run(self, result=None):
        result = result if result is not None else self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        name = self.id().split(".")[-1][:40]
        self.tmp = Path(tempfile.mkdtemp(prefix=f"orch-{name}-")).resolve()
        self.tmp.chmod(0o755)
        self.damaged = set()
        self.addCleanup(self.check_written_documents)  # the first, so it comes last
        super().run(result)
        if len(result.failures) + len(result.errors) == before:
            remove_tree(self.tmp)
        else:
            print(f"kept: {self.tmp}", file=sys.stderr)
        return result

    def note(self, text):
        """Says what the log is to show although the test succeeds: a seed, how many."""
        self.notes = [*getattr(self, "notes", []), text]
        print(text, file=sys.stderr)

    def environment(self, home=None, **extra):
        """The environment of a run: fixed, with private directories under `home` (default: self.tmp)."""
        home = Path(home or self.tmp)
        env = {
            "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "NO_COLOR": "1",
            "HOME": str(home), "TMPDIR": "/tmp", "APPIMAGE_ORCH_DATA_DIR": str(shared_copy()[1]),
            "XDG_CACHE_HOME": str(home / "cache"), "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"), "APPIMAGE_ORCH_SYSFS": apple_sysfs(),
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "CCACHE_DIR"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update({k: str(v) for k, v in extra.items() if v is not None})
        return {k: v for k, v in env.items() if k not in extra or extra[k] is not None}

    def orch(self, *args, ok=True, status=None, env=None, cwd=None, stdin=None, user=None, home=None,
             timeout=TIMEOUT, preexec=None, prefix=()):
        """Runs the program. ok=True wants status 0, ok=False another one, None any; `status` wants that one.

        `env` adds to (or with None takes from) the environment; `user` and `home` run it as another user; `prefix` are
        words of a command that runs it. A JSON document that it prints is held against its schema.
        """
        ran = run_command([*prefix, shared_copy()[0], *args], env=self.environment(home, **(env or {})),
                          cwd=cwd or home or self.tmp, stdin=stdin, user=user, timeout=timeout, preexec=preexec)
        for mark in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            self.assertNotIn(mark, ran.stderr, msg=str(ran))
        if status is not None:
            self.assertEqual(ran.status, status, msg=str(ran))
        elif ok is True:
            self.assertEqual(ran.status, 0, msg=str(ran))
        elif ok is False:
            self.assertTrue(0 < ran.status < 128, msg=str(ran))
        if "--format" in args and "json" in args and ran.stdout.startswith("{"):
            self.check_document(json.loads(ran.stdout))
        return ran

    def check_document(self, document, name=None):
        """Holds a document of the program against its JSON Schema in docs/schemas; one of an unknown schema fails."""
        self.assertEqual(jsonschema_mini.check_document(document, name), [])
        return document

    def check_written_documents(self):
        """Holds the documents that runs left below self.tmp against their schemas, but those that the test damaged on
        purpose: it has put their paths into `self.damaged`."""
        wrong = []
        for folder, folders, files in os.walk(self.tmp):
            if Path(folder) == self.tmp:
                folders[:] = [name for name in folders if name != "cache"]  # large, and no run is there
            for name in sorted(DOCUMENTS.keys() & set(files)):
                path = Path(folder, name)
                if path not in self.damaged:
                    wrong += [f"{path}: {problem}" for problem in problems_of(path, DOCUMENTS[name])]
        self.assertEqual(wrong, [])

    def orch_json(self, *args, **options):
        """Runs the program with `--format json` and gives the document."""
        ran = self.orch(*args, "--format", "json", **options)
        try:
            return json.loads(ran.stdout)
        except ValueError as error:
            self.fail(f"not JSON ({error}): {ran}")

    def as_user(self, name="user"):
        """(uid, home) of an ordinary user with directories of its own; for orch(user=…, home=…) and run_command."""
        home = self.tmp / name
        home.mkdir(exist_ok=True)
        uid = ORDINARY_USER if is_root() else os.geteuid()
        if is_root():
            os.chown(home, uid, uid)
        return uid, home

    def write(self, path, text, mode=None):
        """Writes a file under self.tmp (text or bytes) and gives its path."""
        path = self.tmp / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if mode is not None:
            path.chmod(mode)
        return path

    def golden(self, name, text, replace=None):
        """Compares text with tests/golden/NAME, after putting words in place of this run's paths.

        `replace` maps further strings to words. With ORCH_ACCEPT=1 the file is written instead.
        """
        places = {str(self.tmp): "TMP", str(shared_copy()[1]): "DATA", str(SOURCE): "SOURCE", **(replace or {})}
        for old in sorted(places, key=len, reverse=True):
            text = text.replace(old, places[old])
        path = GOLDEN / name
        if log := os.environ.get("ORCH_GOLDEN_LOG"):  # how the runner finds goldens that nobody reads
            with open(log, "a") as file:
                file.write(f"{name}\n")
        if os.environ.get("ORCH_ACCEPT") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.assertTrue(path.exists(), f"no golden {path}: write it with ORCH_ACCEPT=1\n{text}")
        self.assertEqual(path.read_text(), text, f"{path} differs; ORCH_ACCEPT=1 rewrites it")


def problems_of(path, name):
    """What is wrong with a file that has to be the document `name`."""
    try:
        return jsonschema_mini.check_document(json.loads(path.read_text()), name)
    except ValueError as error:
        return [f"not JSON: {error}"]


def steps_by_id(document):
    """The steps of a build or plan document by their id."""
    return {step["id"]: step for step in document["steps"]}


def ids_with(document, *results):
    """Sorted ids of the steps of a build document with one of the results (or, of a plan, of the states)."""
    return sorted(s["id"] for s in document["steps"] if s.get("result", s.get("status")) in results)


@functools.lru_cache(None)
def shared_copy():
    """(binary, data directory) that an ordinary user can reach: those of the source tree, or a copy if they cannot."""
    if not is_root():
        return BINARY, SOURCE
    seen = run_command(["sh", "-c", 'test -x "$1" && test -r "$2/rules"', "x", BINARY, SOURCE],
                       user=ORDINARY_USER, cwd="/")
    if seen.status == 0:
        return BINARY, SOURCE
    folder = Path(tempfile.mkdtemp(prefix="orch-copy-"))
    import atexit
    atexit.register(shutil.rmtree, folder, True)
    shutil.copy(BINARY, folder / "appimage-orch")
    for name in ("rules", "profiles"):
        shutil.copytree(SOURCE / name, folder / name)
    run_command(["chmod", "-R", "a+rX", folder])
    return folder / "appimage-orch", folder


@functools.lru_cache(None)
def apple_sysfs():
    """What /sys says of the GPU of an Apple machine, so that no test depends on this one's."""
    folder = tempfile.mkdtemp(prefix="orch-sys-")
    import atexit
    atexit.register(shutil.rmtree, folder, True)
    device = Path(folder, "class/drm/renderD128/device")
    device.mkdir(parents=True)
    (device / "uevent").write_text("DRIVER=asahi\n")
    run_command(["chmod", "-R", "a+rX", folder])
    return folder


def remove_tree(path):
    """Removes a tree, read-only folders in it included."""
    top = os.fspath(path)

    def retry(function, name, _):
        for place in (os.path.dirname(name), name):
            if place.startswith(top) and not os.path.islink(place):  # the folder that the tree is in is not ours
                os.chmod(place, stat.S_IRWXU)
        function(name)
    shutil.rmtree(path, onerror=retry)


def listing(path):
    """What a file or tree holds: {relative path: (type, mode, SHA-256 or target)}, without owners and times."""
    out = {}
    path = os.fsencode(path)
    for folder, folders, files in ([(path, [], [b""])] if not os.path.isdir(path) else os.walk(path)):
        for name in [*folders, *files]:
            place = os.path.join(folder, name) if name else path
            info = os.lstat(place)
            if stat.S_ISLNK(info.st_mode):
                what = ("link", os.readlink(place))
            elif stat.S_ISDIR(info.st_mode):
                what = ("folder", oct(stat.S_IMODE(info.st_mode)))
            else:
                with open(place, "rb") as file:
                    what = ("file", oct(stat.S_IMODE(info.st_mode)), hashlib.file_digest(file, "sha256").hexdigest())
            out[os.fsdecode(os.path.relpath(place, path))] = what
    return out


# ---- making inputs

MACHINE_X86_64, MACHINE_AARCH64 = 62, 183


def make_runtime(kind=2, machine=MACHINE_X86_64):
    """The bytes of a small ELF program with the mark of an AppImage of type `kind`; it exits with status 9.

    Its section header table is at its very end, so that is where a type 2 payload begins.
    """
    code = b"\xbf\x09\x00\x00\x00\xb8\xe7\x00\x00\x00\x0f\x05"  # mov edi, 9; mov eax, 231 (exit_group); syscall
    code += b"\0" * (-len(code) % 8)
    base, start = 0x400000, 64 + 56
    sections = start + len(code)
    ident = b"\x7fELF\x02\x01\x01\x00" + (b"AI" + bytes([kind]) if kind else b"\0\0\0") + b"\0" * 5
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base + start, 64, sections, 0, 64, 56, 1, 64, 1, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, sections, sections, 0x1000)
    return header + segment + code + b"\0" * 64


def make_appimage(path, tree, *, compressor="gzip", options=(), runtime=None):
    """Makes a type 2 AppImage of a folder; `options` are further ones for mksquashfs. Same tree, same bytes."""
    path, squashfs = Path(path), Path(f"{path}.squashfs")
    squashfs.unlink(missing_ok=True)
    ran = run_command(["mksquashfs", tree, squashfs, "-noappend", "-no-progress", "-quiet", "-all-root",
                       "-mkfs-time", "0", "-all-time", "0", "-no-xattrs", "-comp", compressor, *options])
    if ran.status != 0:
        raise RuntimeError(str(ran))
    path.write_bytes((runtime or make_runtime()) + squashfs.read_bytes())
    squashfs.unlink()
    path.chmod(0o755)
    return path


def make_type1_appimage(path, tree, *, zisofs=True):
    """Makes a type 1 AppImage: an ISO 9660 image with Rock Ridge, and an ELF program in its first 32 KiB."""
    path = Path(path)
    path.unlink(missing_ok=True)
    squeeze = ["-zisofs", "level=9", "-set_filter_r", "--zisofs", "/", "--"] if zisofs else []
    ran = run_command(["xorriso", "-outdev", path, "-padding", "0", "-map", tree, "/", *squeeze, "-commit"])
    if ran.status != 0:
        raise RuntimeError(str(ran))
    with open(path, "r+b") as file:
        file.write(make_runtime(kind=1))
    path.chmod(0o755)
    return path


def make_tree(folder, files):
    """Writes a tree: {"path": bytes or text, or ("link", target), or None for a folder}; a "#!" makes it executable."""
    folder = Path(folder)
    for name, content in files.items():
        path = folder / name
        (path if content is None else path.parent).mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            path.symlink_to(content[1])
        elif content is not None:
            data = content if isinstance(content, bytes) else content.encode()
            path.write_bytes(data)
            path.chmod(0o755 if data.startswith((b"#!", b"\x7fELF")) else 0o644)
    return folder


def copy_programs(folder, programs):
    """Copies programs of this machine with the libraries they need into a merged-/usr root file tree."""
    folder = Path(folder)
    for name in ("bin", "sbin", "lib", "lib64"):
        (folder / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"usr/{name}")
    for name in ("tmp", "proc", "sys", "dev", "run", "etc", "home"):
        (folder / name).mkdir(exist_ok=True)
    for program in programs:
        wanted = {str(program)}
        for line in run_command(["ldd", program]).stdout.splitlines():
            wanted.update(word for word in line.split() if word.startswith("/"))
        for name in wanted:
            place = folder / name.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                shutil.copy(os.path.realpath(name), place)
                place.chmod(0o755)
    return folder


def make_socket(folder):
    """A socket file; by the folder's descriptor, as its path may be too long for an address, and other threads have a working directory too."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{descriptor}/socket")
    finally:
        os.close(descriptor)


def make_erofs(path, tree, *, options=()):
    """Makes an EROFS image of a folder, reproducibly. Same tree, same bytes."""
    Path(path).unlink(missing_ok=True)
    ran = run_command(["mkfs.erofs", "--quiet", "-T0", "-U00000000-0000-4000-8000-000000000001", "--all-root", "-x-1",
                       *options, path, tree])
    if ran.status != 0:
        raise RuntimeError(str(ran))
    return Path(path)


def make_base_image(path, programs=("/bin/sh", "/bin/cat", "/usr/bin/env", "/bin/true", "/bin/false", "/bin/echo")):
    """Makes a small base image out of programs of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        return make_erofs(path, copy_programs(folder, programs))


if __name__ == "__main__":
    sys.exit("run tests/run.sh, or: python3 -m unittest tests.integration.test_NAME")
