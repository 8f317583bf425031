"""Images that a guest cannot mount are converted: the same files, whatever they came from, and the record says what was lost."""

import hashlib
import os
import random
import stat
import unittest
from pathlib import Path

from tests.integration import erofs_large_blocks, lib, newer_erofs
from tests.integration.stacks import StackTestCase

COMPRESSORS = ("gzip", "lzo", "lz4", "xz", "zstd")


def write_tree(folder):
    """What a root file system may have, devices but for a FIFO left out (an ordinary user can make none)."""
    noise = random.Random(7)
    tree = lib.make_tree(folder, {
        "usr/bin/tool": b"#!/bin/sh\n", "usr/lib64/libx.so.1": noise.randbytes(300_000), "lib64": ("link", "usr/lib64"),
        "etc/empty": b"", "etc/text": b"line\n" * 40_000, "var/lib/none": None, "usr/share/absolute": ("link", "/usr/bin/tool"),
        "usr/share/" + "n" * 200: b"long", "large": noise.randbytes(3_000_000) + bytes(2_000_000) + b"end", "tmp": None})
    os.link(tree / "usr/lib64/libx.so.1", tree / "usr/lib64/libx.so")
    (tree / "etc/secret").write_bytes(b"s")
    (tree / "etc/secret").chmod(0o600)
    (tree / "usr/bin/su").write_bytes(b"su")
    (tree / "usr/bin/su").chmod(0o4755)
    (tree / "tmp").chmod(0o1777)
    os.mkfifo(tree / "run-fifo")
    return tree


def expected(tree):
    """What arrives of a tree: no FIFO, no set-id and sticky bits."""
    out = {}
    for path, entry in lib.listing(tree).items() if not (tree / "run-fifo").exists() else listing_without_fifo(tree).items():
        out[path] = entry if entry[0] == "link" else (entry[0], oct(int(entry[1], 8) & 0o777), *entry[2:])
    return out


def listing_without_fifo(tree):
    place = tree / "run-fifo"
    place.unlink()
    try:
        return lib.listing(tree)
    finally:
        os.mkfifo(place)


@lib.needs_tool("mkfs.erofs", "fsck.erofs", "mksquashfs", "unsquashfs")
class Convert(StackTestCase):
    def convert(self, base, launcher="native"):
        text = f'[stack]\nbase = "{base}"\ngpu = []\ncompat = "off"\nfinish = "off"\n[launch]\nlauncher = "{launcher}"\n'
        return self.build_layers("p.toml", text).get("convert-image")

    def check(self, layer, tree, name="out"):
        """The converted image has the tree's files, 4 KiB blocks, and the digests that the document says."""
        data = layer["image"].read_bytes()
        self.assertEqual((data[1024:1028], data[1036]), (b"\xe2\xe1\xf5\xe0", 12))
        self.assertEqual(data[1024 + 80] & 2, 2, "clusters of one block only")
        ran = lib.run_command(["fsck.erofs", f"--extract={self.tmp / name}", layer["image"]])
        self.assertEqual(ran.status, 0, msg=str(ran))
        self.assertEqual(lib.listing(self.tmp / name), expected(tree))
        inodes = {os.stat(self.tmp / name / "usr/lib64" / link).st_nlink for link in ("libx.so", "libx.so.1")}
        self.assertEqual(len(inodes), 1)
        document = layer["conversion"]
        self.assertTrue(document["converted"])
        self.assertEqual(document["to"]["sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual((document["to"]["format"], document["to"]["block_size"]), ("erofs", 4096))
        self.assertEqual(document["lost"]["special_bits"], ["tmp", "usr/bin/su"])
        self.assertTrue(document["tool"].startswith("mkfs.erofs "))
        return document

    def squashfs(self, tree, compressor):
        image = self.tmp / f"{compressor}.sqsh"
        ran = lib.run_command(["mksquashfs", tree, image, "-noappend", "-no-progress", "-quiet", "-all-root", "-no-xattrs",
                               "-comp", compressor])
        if ran.status != 0 and "compressor" in ran.stdout + ran.stderr:
            return None
        self.assertEqual(ran.status, 0, msg=str(ran))
        return image

    def test_squashfs_of_every_compressor_becomes_the_same_image(self):
        tree, digests, done = write_tree(self.tmp / "tree"), set(), []
        for compressor in COMPRESSORS:
            image = self.squashfs(tree, compressor)
            if image is None:
                continue
            with self.subTest(compressor):
                document = self.check(self.convert(image), tree, f"out-{compressor}")
                self.assertEqual(document["from"]["format"], "squashfs")
                self.assertEqual(document["from"]["compressors"], [compressor])
                self.assertEqual(document["from"]["sha256"], hashlib.sha256(image.read_bytes()).hexdigest())
                self.assertEqual([node["path"] for node in document["lost"]["skipped"]], ["run-fifo"])
                digests.add(document["to"]["sha256"])
                done.append(compressor)
        self.assertEqual(len(digests), 1, done)
        self.assertLessEqual({"gzip", "xz", "zstd"}, set(done))

    def test_a_directory_becomes_the_image_that_squashfs_of_it_becomes(self):
        tree = write_tree(self.tmp / "tree")
        (tree / "run-fifo").unlink()
        document = self.check(self.convert(tree), tree)
        self.assertEqual((document["from"]["format"], document["reason"]), ("directory", "a directory is no image"))
        again = self.check(self.convert(self.squashfs(tree, "gzip")), tree, "out2")
        self.assertEqual(again["to"]["sha256"], document["to"]["sha256"])

    def test_images_of_other_content_have_another_identity(self):
        def uuid(text):
            tree = lib.make_tree(self.tmp / text, {"etc/text": text})
            return self.convert(tree)["image"].read_bytes()[1024 + 48:1024 + 64]
        self.assertEqual(len({uuid("one"), uuid("two"), bytes(16)}), 3)

    def test_erofs_with_blocks_of_16_kib(self):
        tree = write_tree(self.tmp / "tree")
        image = erofs_large_blocks.make(self.tmp / "big.erofs", tree)
        self.assertEqual(image.read_bytes()[1036], 14)
        document = self.check(self.convert(image), tree)
        self.assertEqual(document["reason"], "it has blocks of 16384 bytes")
        self.assertEqual([node["path"] for node in document["lost"]["skipped"]], ["run-fifo"])

    def test_what_is_fit_gets_no_step(self):
        tree = write_tree(self.tmp / "tree")
        self.assertIsNone(self.convert(lib.make_erofs(self.tmp / "fit.erofs", tree, options=["-zlz4"])))

    def test_a_fetched_image_that_is_fit_stays_as_it_is(self):
        image = lib.make_erofs(self.tmp / "fit.erofs", lib.make_tree(self.tmp / "tree", {"etc/x": b"x"}))
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        layer = self.build_layers("p.toml", f'[stack]\nbase = {{ url = "file://{image}", sha256 = "{digest}" }}\ngpu = []\n'
                                  'compat = "off"\nfinish = "off"\n')["convert-image"]
        self.assertFalse(layer["conversion"]["converted"])
        self.assertEqual(layer["conversion"]["from"], layer["conversion"]["to"])
        self.assertEqual(layer["image"].read_bytes(), image.read_bytes())
        self.assertEqual(sum(1 for _ in (self.tmp / "cache/appimage-orch/store/cas/image").glob("*/*")), 1)

    def test_owners_are_counted_and_become_root(self):
        if not lib.is_root():
            self.skipTest("needs root")
        tree = lib.make_tree(self.tmp / "tree", {"etc/x": b"x", "etc/y": b"y"})
        os.chown(tree / "etc/x", 1000, 5)
        os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        image = self.tmp / "x.sqsh"
        lib.run_command(["mksquashfs", tree, image, "-noappend", "-no-progress", "-quiet"])
        lost = self.convert(image)["conversion"]["lost"]
        self.assertEqual(lost["owners"], 1)
        self.assertEqual(lost["skipped"], [{"path": "null", "type": "character device"}])

    def test_the_result_is_the_same_for_an_ordinary_user(self):
        tree = write_tree(self.tmp / "tree")
        image = self.squashfs(tree, "gzip")
        image.chmod(0o644)
        first = self.convert(image)["image"].read_bytes()
        user, home = self.as_user()
        profile = self.write("q.toml", f'[stack]\nbase = "{image}"\ngpu = []\ncompat = "off"\nfinish = "off"\n')
        steps = self.orch_json("build", profile, user=user, home=home)["steps"]
        self.assertEqual(Path(steps[0]["artifact"]).read_bytes(), first)

    def test_a_layer_that_hides_others_is_refused(self):
        if not lib.is_root():
            self.skipTest("needs root")
        tree = lib.make_tree(self.tmp / "tree", {"etc/x": b"x"})
        os.mknod(tree / "etc/gone", stat.S_IFCHR | 0o600, os.makedev(0, 0))
        image = self.tmp / "x.sqsh"
        lib.run_command(["mksquashfs", tree, image, "-noappend", "-no-progress", "-quiet"])
        profile = self.write("p.toml", f'[stack]\nbase = "{image}"\ngpu = []\ncompat = "off"\nfinish = "off"\n')
        ran = self.orch("build", profile, status=1)
        self.assertIn("cannot be converted: 'etc/gone' is a whiteout, which hides what lies below", ran.stderr)
        self.assertIn("take an image that hides nothing", ran.stderr)

    def test_only_muvm_needs_lz4(self):
        tool = newer_erofs.tools("trixie").program("mkfs.erofs")
        tree, image = write_tree(self.tmp / "tree"), self.tmp / "xz.erofs"
        ran = lib.run_command([*tool, "--quiet", "--all-root", "-x-1", "-b4096", "-zlzma", image, tree])
        self.assertEqual(ran.status, 0, msg=str(ran))
        self.assertIsNone(self.convert(image))
        document = self.check(self.convert(image, "muvm"), tree)
        self.assertEqual(document["reason"], "it is compressed with lzma")
        # One that is fetched passes the step in any case.
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        for launcher, wanted in (("native", False), ("muvm", True)):
            layers = self.build_layers("q.toml", f'[stack]\nbase = {{ url = "file://{image}", sha256 = "{digest}" }}\ngpu = []\n'
                                       f'compat = "off"\nfinish = "off"\n[launch]\nlauncher = "{launcher}"\n')
            self.assertEqual(layers["convert-image"]["conversion"]["converted"], wanted)

    def test_a_damaged_image_is_refused_and_nothing_is_left(self):
        tree = write_tree(self.tmp / "tree")
        image = self.squashfs(tree, "gzip")
        image.write_bytes(image.read_bytes()[:-20_000])
        profile = self.write("p.toml", f'[stack]\nbase = "{image}"\ngpu = []\ncompat = "off"\nfinish = "off"\n')
        self.assertIn("the file is cut short", self.orch("build", profile, status=1).stderr)
        self.assertEqual(list((self.tmp / "cache/appimage-orch/store/cas").glob("image/*/*")), [])


if __name__ == "__main__":
    unittest.main()
