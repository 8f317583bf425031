"""The merged view equals what the kernel's overlayfs shows for the same layers, mounted read-only as muvm does.

Stacks are generated from a seed (ORCH_SEED, else a fixed one) in a private tmpfs, mounted and listed in a mount
namespace of their own: this file starts itself there as the worker.
"""

import hashlib
import json
import os
import random
import stat
import subprocess
import sys
import tempfile
import unittest
from base64 import b64decode
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE))

from tests.integration.lib import BINARY, TestCase, chosen_seed, have, is_root, needs_erofs_mounts, run_command  # noqa: E402

DRIVER = Path(os.environ.get("ORCH_VIEW_DRIVER", BINARY.parents[2] / "tests/support/view-driver"))
STACKS = 120
EPOCH = 1_600_000_000
LAYER_TIME = 100_000  # mtimes tell the layer: EPOCH + layer * LAYER_TIME + something less

# The longest name: mkfs.erofs 1.5 fails on some that are longer.
NAMES = [b"bin", b"lib", b"lib64", b"usr", b"etc", b"a", b"b", b"a-", b"latin-\xe9", b"new\nline", b"x" * 200]
TARGETS = [b"usr/lib64", b"/usr/lib64", b"..", b"../..", b"a", b"nowhere", b"/", b"lib/../lib64"]
KINDS = [("file", 5), ("directory", 8), ("symlink", 3), ("whiteout", 2), ("device", 1), ("fifo", 1), ("link", 2),
         ("mark", 1)]


class Stack:
    """One generated stack; `recipe` says in words what each layer has. `spaces`: whose overlay.… marks there are."""

    def __init__(self, number, rng, folder, spaces, kinds=KINDS):
        self.rng, self.recipe, self.spaces, self.kinds = rng, [], spaces, kinds
        self.layers = [os.fsencode(f"{folder}/{number}.{layer}") for layer in range(rng.randint(2, 5))]
        for layer, path in enumerate(self.layers):
            self.layer, self.files, self.left = layer, [], 40
            os.mkdir(path)
            self.fill(path, 0)
            if rng.random() < 0.1:
                self.mark(path, "opaque", b"y")
            self.finish(path)

    def note(self, path, what):
        self.recipe.append(f"{os.fsdecode(path).rsplit('/', 1)[0].split('.')[-1]} {os.fsdecode(path)!r}: {what}")

    def mark(self, path, name, value):
        name = f"{self.rng.choice(self.spaces)}.overlay.{name}"
        os.setxattr(path, name, value, follow_symlinks=False)
        self.note(path, f"{name}={value!r}")

    def finish(self, path):
        """Owner, mode and time: unlike in every other layer."""
        rng = self.rng
        os.chown(path, rng.choice([0, 0, 1000, 70000]), rng.choice([0, 0, 5]), follow_symlinks=False)
        if not os.path.islink(path):
            directory = os.path.isdir(path)
            os.chmod(path, rng.choice([0o755, 0o700, 0o1777, 0o2755] if directory else [0o644, 0o4755, 0o600, 0o2711]))
        when = EPOCH + self.layer * LAYER_TIME + rng.randrange(LAYER_TIME)
        os.utime(path, (when, when), follow_symlinks=False)

    def fill(self, folder, depth):
        rng = self.rng
        for name in rng.sample(NAMES, rng.randint(1, 7 if depth < 2 else 4)):
            if self.left == 0:
                return
            self.left -= 1
            path = folder + b"/" + name
            kind = rng.choices([k for k, _ in self.kinds], [w for _, w in self.kinds])[0]
            self.note(path, kind)
            if kind == "directory" and depth < 4:
                os.mkdir(path)
                self.fill(path, depth + 1)
                mark = rng.random()
                if mark < 0.2:
                    self.mark(path, "opaque", b"y")
                elif mark < 0.3:
                    self.mark(path, "opaque", b"x")
            elif kind == "symlink":
                os.symlink(rng.choice(TARGETS), path)
            elif kind == "whiteout":
                os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))
            elif kind == "device":
                os.mknod(path, rng.choice([stat.S_IFCHR, stat.S_IFBLK]) | 0o600, os.makedev(*rng.choice(
                    [(1, 3), (0, 1), (7, 300)])))
            elif kind == "fifo":
                os.mkfifo(path)
            elif kind == "link" and self.files:
                os.link(rng.choice(self.files), path)
                continue
            elif kind == "mark":
                Path(os.fsdecode(path)).write_bytes(rng.choice([b"", b"", b"not empty"]))
                self.mark(path, "whiteout", b"y")
            else:
                Path(os.fsdecode(path)).write_bytes(rng.choice([b"", b"same", b"%d" % self.layer, rng.randbytes(9000)]))
                self.files.append(path)
            self.finish(path)


def mounted_entries(root):
    """What the kernel shows: path to facts. Names that are listed and cannot be found (whiteouts) are not there."""
    out, links = {}, {}

    def visit(path, relative):
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return
        kind = stat.S_IFMT(info.st_mode)
        entry = {"type": {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
                          stat.S_IFCHR: "character device", stat.S_IFBLK: "block device", stat.S_IFIFO: "fifo",
                          stat.S_IFSOCK: "socket"}[kind],
                 "mode": stat.S_IMODE(info.st_mode), "uid": info.st_uid, "gid": info.st_gid,
                 "mtime": int(info.st_mtime), "layer": (int(info.st_mtime) - EPOCH) // LAYER_TIME,
                 "size": info.st_size if kind in (stat.S_IFREG, stat.S_IFLNK) else 0}
        if kind != stat.S_IFDIR or info.st_nlink == 1:  # tmpfs and erofs count links of directories in their own way
            entry["links"] = info.st_nlink
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            entry["device"] = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
        if kind == stat.S_IFLNK:
            entry["target"] = os.fsdecode(os.readlink(path))
        if kind == stat.S_IFREG:
            with open(path, "rb") as file:
                entry["sha256"] = hashlib.sha256(file.read()).hexdigest()
            entry["same as"] = os.fsdecode(links.setdefault((info.st_dev, info.st_ino), relative))
        out[relative] = entry
        if kind == stat.S_IFDIR:
            for name in sorted(os.listdir(path)):
                visit(path + b"/" + name, relative + b"/" + name if relative else name)

    visit(root, b"")
    return out


def text(value):
    return b64decode(value["base64"]) if isinstance(value, dict) else os.fsencode(value)


def view_entries(layers, *options):
    done = subprocess.run([DRIVER, *options, *layers], capture_output=True, check=False, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    out, links = {}, {}
    for line in done.stdout.splitlines():
        entry = json.loads(line)
        path = text(entry.pop("path"))
        if "error" not in entry:
            entry["layer"] = entry.pop("layers")[0]
            if entry["type"] not in ("character device", "block device"):
                del entry["device"]
            if "target" in entry:
                entry["target"] = os.fsdecode(text(entry["target"]))
            if "node" in entry:
                entry["same as"] = os.fsdecode(links.setdefault(entry.pop("node"), path))
        out[path] = entry
    return out


def differences(kernel, ours):
    """Sentences, one for each path that is not the same in both."""
    out = []
    for path in sorted(kernel.keys() | ours.keys()):
        want, got = kernel.get(path), ours.get(path)
        if want is not None and got is not None:
            got = {key: value for key, value in got.items() if key in want or key != "links"}
        if want != got:
            out.append(f"{path!r}: the kernel shows {want}, the view {got}")
    return out


class Refused(Exception):
    """The machine does not allow what a test needs."""


def run_quietly(*argv, cwd=None):
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"{argv[0]}: {done.stderr.strip() or done.stdout.strip()}")


class Mounted:
    """What `mode` has the kernel show of the layers, at a folder that is unmounted at the end.

    `redirect_dir` and the rest stay as the kernel has them. Layers have short relative names, bottom first.
    """

    def __init__(self, mode, layers, folder):
        self.at, self.mounts, self.options = f"{folder}/mounted", [], []
        os.makedirs(self.at, exist_ok=True)
        names = [os.path.basename(os.fsdecode(layer)) for layer in layers]
        if mode == "single":
            os.makedirs(f"{folder}/empty", exist_ok=True)
            names = ["empty", names[-1]]
            self.options, layers = ["--one-layer-overlay"], layers[-1:]
        elif mode == "userxattr":
            self.options = ["--user-marks"]
        elif mode == "erofs":
            names = [self.mount_image(folder, name) for name in names]
            layers = [os.fsencode(f"{folder}/{name}.image") for name in names]
        self.layers = layers
        userxattr = ",userxattr" if mode == "userxattr" else ""
        self.mount("-t", "overlay", "overlay", "-o", f"ro,lowerdir={':'.join(reversed(names))}{userxattr}", self.at,
                   cwd=folder)

    def mount_image(self, folder, name):
        """Makes an image of a layer and mounts it. Compression and chunks vary with the name."""
        options = [["-zlz4hc"], [], ["-zlz4", "-C16384"]][sum(name.encode()) % 3]
        subprocess.run(["mkfs.erofs", "--quiet", "--preserve-mtime", *options, f"{folder}/{name}.e.image",
                        f"{folder}/{name}"], check=True)
        os.mkdir(f"{folder}/{name}.e")
        self.mount("-t", "erofs", "-o", "ro,loop", f"{folder}/{name}.e.image", f"{folder}/{name}.e")
        return f"{name}.e"

    def mount(self, *args, cwd=None):
        run_quietly("mount", *args, cwd=cwd)
        self.mounts.append(args[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for at in reversed(self.mounts):
            subprocess.run(["umount", at], check=True)


def compare_stack(mode, stack, folder):
    """Number of entries and the differences of one stack."""
    with Mounted(mode, stack.layers, folder) as mounted:
        kernel = mounted_entries(os.fsencode(mounted.at))
        try:
            ours = view_entries(mounted.layers, *mounted.options)
        except RuntimeError as error:
            return len(kernel), [str(error)]
    if mode == "single":  # the kernel's is the second of two layers, and its root united with an empty one
        for entry in kernel.values():
            entry["layer"] = 0
        del kernel[b""]["links"]
    return len(kernel), differences(kernel, ours)


# By mode: whose marks the generated layers have, and what is in them. Extended attributes of files in EROFS images,
# beyond those that make a directory opaque, are not looked at by anybody who makes such images.
MODES = {"directories": (["trusted", "trusted", "user"], KINDS), "userxattr": (["user", "user", "trusted"], KINDS),
         "single": (["trusted"], KINDS), "erofs": (["trusted"], [k for k in KINDS if k[0] != "mark"])}


def worker(mode, seed, count):
    """Runs in its own mount namespace; prints {"skip"} or {"compared", "entries", "wrong"}."""
    wrong, entries = [], 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_quietly("mount", "-t", "tmpfs", "tmpfs", folder)
        except Refused as error:
            return {"skip": str(error)}
        try:
            for number in range(count):
                try:
                    stack = Stack(number, random.Random(f"{seed}/{number}"), folder, *MODES[mode])
                except OSError as error:
                    return {"skip": f"the file system of the layers refuses {error}"}
                seen, found = compare_stack(mode, stack, folder)
                entries += seen
                if found:
                    wrong.append({"stack": number, "differences": found[:5], "recipe": stack.recipe})
        except Refused as error:
            return {"skip": str(error)}
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
    return {"compared": count, "entries": entries, "wrong": wrong}


@unittest.skipUnless(is_root() and have("unshare"), "needs root and unshare(1)")
class MergedView(TestCase):
    def in_namespace(self, *args):
        ran = run_command(["unshare", "-m", "--propagation", "private", sys.executable, __file__, *map(str, args)],
                          cwd=SOURCE)
        self.assertEqual(ran.status, 0, msg=str(ran))
        result = json.loads(ran.stdout)
        if "skip" in result:
            self.skipTest(result["skip"])
        return result

    def compare(self, mode, count):
        seed = str(chosen_seed())
        count = min(count, 20) if os.environ.get("ORCH_SANITIZED") == "1" else count
        result = self.in_namespace("worker", mode, seed, count)
        self.note(f"seed {seed}, {count} stacks, {result['entries']} entries")
        self.assertEqual(result["compared"], count)
        self.assertGreater(result["entries"], 10 * count)
        if result["wrong"]:
            first = result["wrong"][0]
            self.fail("\n".join([f"ORCH_SEED={seed}: {len(result['wrong'])} stacks differ; stack {first['stack']}:",
                                 *first["differences"], "layers:", *first["recipe"]]))

    def test_directories(self):
        self.compare("directories", STACKS)

    def test_userxattr_reads_the_marks_of_ordinary_users(self):
        self.compare("userxattr", 30)

    def test_one_layer_as_an_overlay(self):
        self.compare("single", 30)

    @needs_erofs_mounts
    def test_erofs_images(self):
        self.compare("erofs", 30)


class OneLayer(TestCase):
    def test_is_shown_as_it_is(self):
        """muvm makes a symlink to the only image: no overlay, so its files are what any program sees in it."""
        (self.tmp / "layer/d").mkdir(parents=True)
        (self.tmp / "layer/d/f").write_text("x")
        (self.tmp / "layer/link").symlink_to("d")
        if is_root():
            os.mknod(self.tmp / "layer/whiteout", stat.S_IFCHR | 0o600, os.makedev(0, 0))
        kernel = mounted_entries(os.fsencode(self.tmp / "layer"))
        for entry in kernel.values():
            entry["layer"] = 0
        self.assertEqual(differences(kernel, view_entries([self.tmp / "layer"])), [])


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        print(json.dumps(worker(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        unittest.main()
