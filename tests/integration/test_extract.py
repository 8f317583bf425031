"""Extraction equals unsquashfs and bsdtar: paths, types, modes, link targets, contents; hostile images are refused."""

import json
import os
import random
import re
import stat
import struct
import subprocess
import unittest
from pathlib import Path

from tests.integration.lib import (BINARY, TestCase, have, is_root, make_appimage, make_runtime, make_tree,
                                   make_socket, make_type1_appimage, needs_tool, run_command)

DRIVER = Path(os.environ.get("ORCH_EXTRACT_DRIVER", BINARY.parents[2] / "tests/support/extract-driver"))
COMPRESSORS = ("gzip", "xz", "lzma", "lz4", "zstd", "lzo")


def supports(compressor):
    ran = run_command(["mksquashfs", "-help"])
    return re.search(rf"^\s+{compressor}( |$)", ran.stdout + ran.stderr, re.M) is not None


def hard_tree(folder):
    """A tree with all that is to survive, and all that is not."""
    noise = random.Random(7)
    make_tree(folder, {
        "AppRun": "#!/bin/sh\nexec true\n", "empty": b"", "empty dir": None, "a/b/c/d/e/f": "deep",
        "usr/lib/libx.so.1.2": b"\x7fELF" + noise.randbytes(300_000), "usr/lib/libx.so.1": ("link", "libx.so.1.2"),
        "usr/absolute": ("link", "/etc/passwd"), "usr/dangling": ("link", "../../../../nowhere"), "a/up": ("link", ".."),
        "name with spaces": "1", "new\nline": "2", "quote'\"\\": "3", "a-": "sorts before a/", "-rf": "4",
        "text": b"the same words again and again\n" * 40_000, "noise": noise.randbytes(3_000_000),
        "exact": b"x" * (1 << 20), "short": b"y", "large": b"".join(noise.randbytes(64) * 500 for _ in range(300)),
    })
    base = os.fsencode(folder)
    for name in (b"latin-\xe9", b"\xff\xfe", b"x" * 255):
        Path(os.fsdecode(base + b"/" + name)).write_bytes(name)
    for number in range(60):
        (folder / "small").mkdir(exist_ok=True)
        (folder / f"small/{number}").write_bytes(noise.randbytes(noise.randrange(3000)))
    (folder / "text copy").write_bytes((folder / "text").read_bytes())
    for name, pieces in {"hole first": [(5 << 20, b"end")], "hole last": [(0, b"start"), (9 << 20, None)],
                         "holes": [(1 << 20, b"a" * 5000), (6 << 20, b"b" * 200_000), (7 << 20, None)],
                         "only hole": [(3 << 20, None)], "odd hole": [(1_234_567, None)]}.items():
        with open(folder / name, "wb") as file:
            for place, data in pieces:
                file.truncate(place)
                file.seek(place)
                file.write(data or b"")
    os.link(folder / "noise", folder / "a/noise link")
    os.link(folder / "empty", folder / "z empty")
    os.link(folder / "large", folder / "0 large")
    for name, mode in {"short": 0o4755, "text": 0o2644, "a/b": 0o1777, "empty": 0o400, "usr": 0o711, "exact": 0o600,
                       "small/3": 0o666}.items():
        os.chmod(folder / name, mode)
    os.mkfifo(folder / "fifo")
    make_socket(folder)
    if is_root():
        os.mknod(folder / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    try:
        os.setxattr(folder / "text", "user.note", b"ignored")
    except OSError:
        pass
    return folder


def snapshot(folder, hard_links=True):
    """{path: what} of a tree on disk, without what must not be extracted: special files, special bits, times, owners."""
    out, inodes = {}, {}
    base = os.fsencode(folder)
    for parent, folders, files in os.walk(base):
        for name in folders + files:
            path = os.path.join(parent, name)
            info = os.lstat(path)
            key = os.path.relpath(path, base)
            mode = info.st_mode & 0o777
            if stat.S_ISLNK(info.st_mode):
                out[key] = ("l", os.readlink(path))
            elif stat.S_ISDIR(info.st_mode):
                out[key] = ("d", mode | 0o700)
            elif stat.S_ISREG(info.st_mode):
                inodes.setdefault(info.st_ino, []).append(key)
                out[key] = ("f", mode, info.st_size, Path(os.fsdecode(path)).read_bytes())
    if hard_links:
        for names in inodes.values():
            first = min(names)
            for name in names:
                if name != first:
                    out[name] = ("h", first)
    return out


def special_bits(folder):
    return [str(p) for p in folder.rglob("*") if not p.is_symlink() and p.lstat().st_mode & 0o7000]


class ExtractCase(TestCase):
    def driver(self, image, target, backend="auto", threads=2, ok=True):
        ran = run_command([DRIVER, image, target, backend, str(threads)])
        self.assertNotIn("Sanitizer", ran.stderr)
        self.assertNotIn("runtime error:", ran.stderr)
        self.assertEqual(ran.status == 0, ok, msg=str(ran)[:3000])
        if not ok:
            self.assertEqual(ran.status, 1, msg=str(ran)[:3000])
            self.assertFalse(os.path.lexists(target), "a partial tree was left")
            return ran.stderr
        return json.loads(ran.stdout)

    def check_manifest(self, manifest, folder):
        """The manifest says what is on disk, with the digests that xxhsum computes."""
        self.assertEqual([f["path"] if isinstance(f["path"], str) else None for f in manifest["files"]][:1] != [], True)
        on_disk = snapshot(folder)
        files = {}
        for entry in manifest["files"]:
            path = entry["path"]
            if isinstance(path, dict):
                import base64
                path = os.fsdecode(base64.b64decode(path["base64"]))
            files[os.fsencode(path)] = entry
        self.assertEqual(sorted(files), sorted(on_disk))
        self.assertEqual(list(files), sorted(files), "not in byte order")
        for path, entry in files.items():
            what = on_disk[path]
            if what[0] == "h":
                self.assertEqual(os.fsencode(entry["hard_link"]), what[1])
            elif what[0] == "f":
                self.assertEqual((entry["mode"], entry["size"], entry["hard_link"]), (what[1], what[2], ""))
            elif what[0] == "l":
                self.assertEqual(os.fsencode(entry["target"]), what[1])
            else:
                self.assertEqual(entry["mode"], what[1])
        plain = [p for p in files if files[p]["type"] == "f" and b"\n" not in p and b"\\" not in p]
        done = subprocess.run(["xxhsum", "-H2", "--", *plain], cwd=folder, capture_output=True, check=True)
        sums = dict(reversed(line.split(b"  ", 1)) for line in done.stdout.splitlines())
        self.assertEqual({p: files[p]["xxh3"] for p in plain}, {p: sums[p].decode() for p in plain})

    def compare(self, image, payload_offset=0):
        """Extracts by both backends and by unsquashfs; all three are the same. Gives our manifest."""
        ours, theirs, reference = self.tmp / "ours", self.tmp / "theirs", self.tmp / "reference"
        manifest = self.driver(image, ours)
        other = self.driver(image, theirs, "unsquashfs")
        self.assertEqual(manifest["digest"], other["digest"])
        self.assertEqual(manifest["skipped"], other["skipped"])
        self.assertEqual(manifest["special_bits"], other["special_bits"])
        run_command(["unsquashfs", "-q", "-n", "-no-xattrs", "-o", str(payload_offset), "-d", reference, image])
        self.assertEqual(snapshot(ours), snapshot(reference))
        self.assertEqual(special_bits(ours), [])
        self.assertEqual(special_bits(theirs), [])
        for folder in (ours, theirs, reference):
            subprocess.run(["rm", "-rf", folder], check=True)
        return manifest


@needs_tool("mksquashfs", "unsquashfs", "xxhsum")
class EqualsUnsquashfs(ExtractCase):
    def squash(self, tree, *options, name="image.squashfs"):
        image = self.tmp / name
        image.unlink(missing_ok=True)
        ran = run_command(["mksquashfs", tree, image, "-noappend", "-no-progress", "-quiet", *options])
        self.assertEqual(ran.status, 0, msg=str(ran))
        return image

    def test_every_compressor_and_block_size(self):
        tree = hard_tree(self.tmp / "tree")
        digests = set()
        for compressor in COMPRESSORS:
            if not supports(compressor):
                self.assertIn(compressor, ("lzma", "lzo"), "a compressor that every mksquashfs has")
                continue
            for block in ("4K", "128K", "1M"):
                with self.subTest(compressor=compressor, block=block):
                    image = self.squash(tree, "-comp", compressor, "-b", block)
                    digests.add(self.compare(image)["digest"])
        self.assertEqual(len(digests), 1, "the result depends on how the image was made")

    def test_fragments_and_stored_parts(self):
        tree = hard_tree(self.tmp / "tree")
        digests = set()
        for options in (["-no-fragments"], ["-always-use-fragments"], ["-noD"], ["-noF"], ["-noI"], ["-noI", "-noD", "-noF"],
                        ["-no-duplicates"], ["-no-sparse"], ["-no-exports"], ["-b", "8K"], ["-b", "64K"], ["-tailends"]):
            with self.subTest(options=options):
                digests.add(self.compare(self.squash(tree, *options))["digest"])
        self.assertEqual(len(digests), 1)

    def test_manifest_and_threads(self):
        image = self.squash(hard_tree(self.tmp / "tree"))
        manifests = [self.driver(image, self.tmp / f"out{n}", threads=n) for n in (1, 2, 5)]
        self.assertEqual(manifests[0], manifests[1])
        self.assertEqual(manifests[0], manifests[2])
        self.check_manifest(manifests[0], self.tmp / "out5")
        kinds = {s["path"]: s["type"] for s in manifests[0]["skipped"]}
        self.assertEqual(kinds, {"fifo": "fifo", "socket": "socket", **({"device": "character device"} if is_root() else {})})
        self.assertEqual(manifests[0]["special_bits"], ["a/b", "short", "text"])
        blocks = os.stat(self.tmp / "out1/only hole").st_blocks
        self.assertLess(blocks * 512, 1 << 20, "a hole became bytes")
        self.assertEqual(int(os.stat(self.tmp / "out1/a").st_mtime), int(os.stat(self.tmp / "tree/a").st_mtime))

    def test_umask_and_user_do_not_matter(self):
        image = self.squash(hard_tree(self.tmp / "tree"))
        manifest = self.driver(image, self.tmp / "out")
        for backend in ("auto", "unsquashfs"):
            uid, home = self.as_user(f"user-{backend}")
            if is_root():
                binary = home / "driver"
                binary.write_bytes(DRIVER.read_bytes())
                binary.chmod(0o755)
                os.chmod(image, 0o644)
            ran = run_command([binary if is_root() else DRIVER, image, home / "out", backend], user=uid, cwd=home,
                              preexec=lambda: os.umask(0o077))
            self.assertEqual(ran.status, 0, msg=str(ran)[:2000])
            self.assertEqual(json.loads(ran.stdout), manifest)

    def test_appended_to_a_runtime(self):
        tree = hard_tree(self.tmp / "tree")
        appimage = make_appimage(self.tmp / "x.AppImage", tree, compressor="zstd" if supports("zstd") else "xz")
        self.compare(appimage, payload_offset=len(make_runtime()))

    def test_twenty_thousand_small_files(self):
        tree = self.tmp / "tree"
        for folder in range(200):
            (tree / f"{folder:03}").mkdir(parents=True)
            for number in range(100):
                (tree / f"{folder:03}/{number}").write_bytes(b"%d %d\n" % (folder, number) * (number % 9))
        manifest = self.compare(self.squash(tree))
        self.assertEqual(len(manifest["files"]), 20_200)

    def test_a_file_of_three_gibibytes(self):
        (self.tmp / "tree").mkdir()
        large = self.tmp / "tree/large"
        words = b"".join(b"%08d and so on\n" % n for n in range(60_000))[:1 << 20]
        with open(large, "wb") as file:
            file.truncate((3 << 30) + 77)
            for place in range(0, 3 << 30, 32 << 20):
                file.seek(place + 4096 * 3)
                file.write(words)
        image = self.squash(self.tmp / "tree", "-comp", "lz4")
        one = self.driver(image, self.tmp / "one", threads=1)
        self.assertEqual(one["files"][0]["size"], (3 << 30) + 77)
        subprocess.run(["rm", "-rf", self.tmp / "one"], check=True)
        two = self.driver(image, self.tmp / "two", threads=2)
        self.assertEqual(one, two)
        subprocess.run(["cmp", large, self.tmp / "two/large"], check=True)

    def test_lzo_without_unsquashfs_names_the_package(self):
        if not supports("lzo"):
            self.skipTest("mksquashfs has no LZO")
        image = self.squash(make_tree(self.tmp / "tree", {"a": "b"}), "-comp", "lzo")
        ran = run_command([DRIVER, image, self.tmp / "out"], env={"PATH": str(self.tmp)})
        self.assertEqual(ran.status, 1)
        self.assertIn("LZO", ran.stderr)
        self.assertIn("squashfs-tools", ran.stderr)


@needs_tool("xorriso", "bsdtar", "xxhsum")
class EqualsBsdtar(ExtractCase):
    def test_type_1(self):
        for zisofs in (True, False):
            with self.subTest(zisofs=zisofs):
                tree = make_tree(self.tmp / f"tree-{zisofs}", {
                    "AppRun": "#!/bin/sh\ntrue\n", "empty": b"", "dir": None, "name with spaces": "1", "l": ("link", "/x/y"),
                    "words": b"words and words\n" * 50_000, "noise": random.Random(1).randbytes(200_000),
                    "zeros": b"\0" * 500_000, "a/b/c/d/e/f/g/h/i/j/k": "deep", "n" * 200: "long",
                    "a/up": ("link", "../" * 20 + "etc")})
                Path(os.fsdecode(os.fsencode(tree) + b"/latin-\xe9")).write_bytes(b"8 bit")
                os.link(tree / "noise", tree / "noise link")
                os.chmod(tree / "words", 0o4755)
                os.chmod(tree / "empty", 0o400)
                image = make_type1_appimage(self.tmp / f"{zisofs}.AppImage", tree, zisofs=zisofs)
                manifest = self.driver(image, self.tmp / f"ours-{zisofs}")
                reference = self.tmp / f"reference-{zisofs}"
                reference.mkdir()
                subprocess.run(["bsdtar", "-xpf", image, "-C", reference], check=True, env={**os.environ, "LC_ALL": "C"})
                self.assertEqual(snapshot(self.tmp / f"ours-{zisofs}", hard_links=False),
                                 snapshot(reference, hard_links=False))
                self.check_manifest(manifest, self.tmp / f"ours-{zisofs}")
                self.assertEqual(manifest["special_bits"], ["words"])

    def test_truncated(self):
        tree = make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\n", "noise": random.Random(1).randbytes(300_000)})
        whole = make_type1_appimage(self.tmp / "x.AppImage", tree).read_bytes()
        for size in (100_000, 40_000, 33_000):
            cut = self.write("cut.AppImage", whole[:size])
            self.assertIn("hint:", self.driver(cut, self.tmp / "out", ok=False))


@needs_tool("mksquashfs", "unsquashfs")
class Hostile(ExtractCase):
    """Images that were damaged, or made to do harm: a clear error, and nothing left, inside or outside."""

    def image(self, files, *options):
        path = self.tmp / "image.squashfs"
        path.unlink(missing_ok=True)
        ran = run_command(["mksquashfs", make_tree(self.tmp / "tree", files), path, "-noappend", "-no-progress", "-quiet",
                           "-noI", *options])
        self.assertEqual(ran.status, 0, msg=str(ran))
        return bytearray(path.read_bytes())

    def refuse(self, data, expected, backend="auto"):
        path = self.write("hostile.squashfs", bytes(data))
        before = sorted(p for p in self.tmp.rglob("*"))
        message = self.driver(path, self.tmp / "out", backend, ok=False)
        self.assertIn(expected, message)
        self.assertEqual(sorted(p for p in self.tmp.rglob("*")), before, "something was written elsewhere")

    def rename(self, data, old, new):
        """Replaces a name in the directory table."""
        self.assertEqual(len(old), len(new))
        start = struct.unpack_from("<Q", data, 72)[0]
        at = data.index(old, start)
        data[at:at + len(old)] = new
        return data

    def test_names_that_lead_elsewhere(self):
        for old, new in ((b"Q7", b".."), (b"Qx7", b"../"), (b"Qx7", b"a/b"), (b"Q", b"."), (b"Q", b"/"), (b"Qx7", b"a\0b")):
            for backend in ("auto", "unsquashfs"):
                with self.subTest(name=new, backend=backend):
                    data = self.image({"tree-only": "1", old.decode(): "evil"})
                    self.refuse(self.rename(data, old, new), "name", backend)
                    subprocess.run(["rm", "-rf", self.tmp / "tree"], check=True)

    def test_a_name_twice(self):
        data = self.image({"Dup1": ("link", "/tmp"), "Dup2": "evil"})
        for backend in ("auto", "unsquashfs"):
            self.refuse(self.rename(bytearray(data), b"Dup2", b"Dup1"), "twice", backend)

    def test_a_directory_that_holds_itself(self):
        data = self.image({"sub/inner/x": "1"})
        # The entry of `inner` gets the inode of `sub`: offset and type stand 8 bytes before the name.
        start = struct.unpack_from("<Q", data, 72)[0]
        inner, sub = data.index(b"inner", start) - 8, data.index(b"sub", start) - 8
        data[inner:inner + 2] = data[sub:sub + 2]
        self.refuse(data, "twice")

    def test_superblock(self):
        good = self.image({"a": "b" * 5000})
        for place, form, value in ((12, "<I", 1000), (12, "<I", 1 << 30), (22, "<H", 30), (20, "<H", 9), (28, "<H", 3),
                                   (4, "<I", 0), (40, "<Q", 10), (40, "<Q", 1 << 60), (64, "<Q", 1 << 63), (72, "<Q", 1 << 50),
                                   (32, "<Q", (1 << 40) | 5), (32, "<Q", 9000), (80, "<Q", 1 << 62), (16, "<I", 1 << 31)):
            with self.subTest(place=place, value=value):
                data = bytearray(good)
                struct.pack_into(form, data, place, value)
                self.driver(self.write("bad.squashfs", bytes(data)), self.tmp / "out", ok=False)

    def test_truncated(self):
        good = self.image({"a": random.Random(3).randbytes(100_000)})
        for size in (1, 95, 96, 5000, 60_000, len(good) - 5000):
            with self.subTest(size=size):
                message = self.driver(self.write("cut.squashfs", bytes(good[:size])), self.tmp / "out", ok=False)
                self.assertIn("hint:", message)

    def test_damaged_anywhere(self):
        """No single wrong byte in the metadata makes more than an error of it."""
        good = self.image({"a/b": b"words " * 3000, "c": ("link", "a/b"), "d/e": None, "f": random.Random(3).randbytes(9000)})
        noise = random.Random(11)
        start = struct.unpack_from("<Q", good, 64)[0]
        for _ in range(150):
            data = bytearray(good)
            for _ in range(noise.randrange(1, 4)):
                data[noise.randrange(start, len(data))] = noise.randrange(256)
            path = self.write("noise.squashfs", bytes(data))
            ran = run_command([DRIVER, path, self.tmp / "out"], timeout=60)
            self.assertIn(ran.status, (0, 1), msg=str(ran)[:2000])
            self.assertNotIn("Sanitizer", ran.stderr)
            if ran.status == 0:
                subprocess.run(["rm", "-rf", self.tmp / "out"], check=True)
            self.assertFalse((self.tmp / "out").exists())

    def test_damaged_data_names_the_file(self):
        data = self.image({"some/file": b"words and words\n" * 40_000}, "-no-fragments")
        data[200:240] = b"\xff" * 40
        self.refuse(data, "some/file")

    @unittest.skipUnless(is_root() and have("mount"), "needs root for a small file system")
    def test_full_disk(self):
        image = self.write("x.squashfs", bytes(self.image({"noise": random.Random(3).randbytes(3_000_000)})))
        (self.tmp / "small").mkdir()
        script = 'mount -t tmpfs -o size=1m x "$1/small" && "$2" "$1/x.squashfs" "$1/small/out"; s=$?; ls "$1/small"; exit $s'
        ran = run_command(["unshare", "-m", "sh", "-c", script, "x", self.tmp, DRIVER])
        self.assertEqual(ran.status, 1, msg=str(ran))
        self.assertIn("No space left", ran.stderr)
        self.assertEqual(ran.stdout, "", "a partial tree was left")


if __name__ == "__main__":
    unittest.main()
