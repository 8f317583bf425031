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

from tests.integration.lib import BINARY, TestCase, have, is_root, not_sanitized, run_command  # noqa: E402

DRIVER = Path(os.environ.get("ORCH_VIEW_DRIVER", BINARY.parents[2] / "tests/support/view-driver"))
STACKS = 120
EPOCH = 1_600_000_000
LAYER_TIME = 100_000  # mtimes tell the layer: EPOCH + layer * LAYER_TIME + something less

NAMES = [b"bin", b"lib", b"lib64", b"usr", b"etc", b"a", b"b", b"a-", b"latin-\xe9", b"new\nline", b"x" * 255]
TARGETS = [b"usr/lib64", b"/usr/lib64", b"..", b"../..", b"a", b"nowhere", b"/", b"lib/../lib64"]
KINDS = [("file", 5), ("directory", 8), ("symlink", 3), ("whiteout", 2), ("device", 1), ("fifo", 1), ("link", 2),
         ("mark", 1)]


class Stack:
    """One generated stack; `recipe` says in words what each layer has."""

    def __init__(self, number, rng, folder):
        self.rng, self.recipe = rng, []
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
        os.setxattr(path, f"trusted.overlay.{name}", value, follow_symlinks=False)
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
            kind = rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
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


def mount_overlay(layers, at):
    """Layers bottom first. `redirect_dir` and the rest stay as the kernel has them."""
    lower = ":".join(os.path.basename(os.fsdecode(layer)) for layer in reversed(layers))
    return subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lower}", at],
                          cwd=os.path.dirname(layers[0]), capture_output=True, text=True, check=False)


def worker(seed, count):
    """Runs in its own mount namespace; prints {"skip"} or {"compared", "entries", "wrong"}."""
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=False).returncode != 0:
            return {"skip": "may not mount a tmpfs"}
        try:
            return compare_stacks(seed, count, folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def compare_stacks(seed, count, folder):
    wrong, entries = [], 0
    at = f"{folder}/mounted"
    os.mkdir(at)
    for number in range(count):
        stack = Stack(number, random.Random(f"{seed}/{number}"), folder)
        mounted = mount_overlay(stack.layers, at)
        if mounted.returncode != 0:
            return {"skip": f"overlayfs is refused: {mounted.stderr.strip()}"}
        try:
            kernel = mounted_entries(os.fsencode(at))
        finally:
            subprocess.run(["umount", at], check=True)
        try:
            found = differences(kernel, view_entries(stack.layers))
        except RuntimeError as error:
            found = [str(error)]
        entries += len(kernel)
        if found:
            wrong.append({"stack": number, "differences": found[:5], "recipe": stack.recipe})
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

    def test_equals_overlayfs(self):
        seed = os.environ.get("ORCH_SEED", "20240229")
        count = 20 if os.environ.get("ORCH_SANITIZED") == "1" else STACKS
        result = self.in_namespace("worker", seed, count)
        print(f"merged view: seed {seed}, {count} stacks, {result['entries']} entries", file=sys.stderr)
        self.assertEqual(result["compared"], count)
        self.assertGreater(result["entries"], 10 * count)
        if result["wrong"]:
            first = result["wrong"][0]
            self.fail("\n".join([f"ORCH_SEED={seed}: {len(result['wrong'])} stacks differ; stack {first['stack']}:",
                                 *first["differences"], "layers:", *first["recipe"]]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        print(json.dumps(worker(sys.argv[2], int(sys.argv[3]))))
    else:
        unittest.main()
