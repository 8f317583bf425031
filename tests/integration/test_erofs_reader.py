"""The EROFS reader sees what the kernel's mount of the same image shows: every entry, every number, every byte."""

import base64
import concurrent.futures
import hashlib
import json
import os
import random
import subprocess
import sys
import tarfile
import unittest
from pathlib import Path

from tests.integration import erofs_truth, erofs_trees, newer_erofs
from tests.integration.lib import (BINARY, Ran, SOURCE, TestCase, can_mount_erofs, chosen_seed, in_bounded_memory, is_root,
                                   needs_tool, run_command)

DRIVER = Path(os.environ.get("ORCH_EROFS_DRIVER", BINARY.parents[2] / "tests/support/erofs-driver"))
SANITIZED = os.environ.get("ORCH_SANITIZED") == "1"
FIXED = ["-T1700000000", "-U00000000-0000-4000-8000-000000000001"]
JOBS = 2

# (options, the first version that knows them). "FILE.hints": a file that the test writes.
RECIPES = [(options.split(), version) for version, group in {
    (1, 5): """
        -Eforce-inode-extended
        -Eforce-inode-compact --force-uid=1000 --force-gid=1000
        -Enoinline_data
        -Enosbcrc
        --chunksize=4096
        --chunksize=65536
        --chunksize=4096 -Eforce-chunk-indexes
        -zlz4
        -zlz4hc,12
        -zlz4 -Elegacy-compress
        -zlz4hc -C65536
        -zlz4hc -C65536 -Elegacy-compress
        -zlz4hc -Eztailpacking
        -zlz4hc -Eztailpacking,legacy-compress
        -zlz4hc -Eztailpacking -C32768
        -zlz4hc --max-extent-bytes=16384
        -zlz4hc -C65536 --compress-hints=sizes.hints
        -zlz4 -Eforce-inode-extended
        -x-1
        -x0
    """,
    (1, 8): """
        -b512
        -b1024
        -b2048 --chunksize=8192
        -b512 -zlz4 -C4096
        -b1024 -zlz4
        -b512 -zlz4hc -C8192 -Efragments
        -zlz4hc -Efragments
        -zlz4hc -Efragments -C65536
        -zlz4hc -Efragments,ztailpacking -C16384
        -zlz4hc -C65536 -Eall-fragments
        -zlz4hc -Ededupe
        -zlz4hc -Ededupe,fragments -C65536
        -zlz4hc -Ededupe,ztailpacking
        -zlzma
        -zlzma -C65536
        -zlzma -C65536 -Ededupe
        -zdeflate,9 -C65536
        -zdeflate,9 -C65536 -Ededupe,all-fragments
        -zlibdeflate,9 -C65536
        -zzstd,9 -C65536
        -zzstd,9
        -zzstd,15 -C1048576 -Eall-fragments,dedupe
        -b4096 --xattr-prefix=trusted.overlay.
        --xattr-prefix=trusted.overlay. -zlz4 -Efragments
        -zlz4hc:zstd:deflate -C65536
    """,
    (1, 9): """
        -E48bit
        -Edot-omitted
        -E48bit,dot-omitted,force-inode-compact --force-uid=1 --force-gid=1
        -E48bit -zlz4hc -C65536
        -E48bit,fragments -zzstd -C65536
        -E48bit,fragments -zlz4 -C65536
        -E48bit,dedupe -zlz4hc
        -E48bit,all-fragments -zlzma -C65536
        -E48bit --chunksize=65536
        -E48bit,force-chunk-indexes --chunksize=4096
        -m65536 -zzstd -C65536
        -m4096:lz4 -zlz4
        -m65536 -zlz4 -E48bit,fragments -C65536
        --MZ=id -zlz4
        --zD -zlz4
        --zD -zzstd -C65536 -Eall-fragments
    """,
}.items() for options in map(str.strip, group.strip().splitlines())]
# Only where more than one algorithm can be named with hints: 1.9 crashes.
HINTS_BY_ALGORITHM = "-zlz4hc:lzma:zstd -C65536 --compress-hints=algorithms.hints".split()
HINTS = {"sizes.hints": "65536 .*text.*\n4096 .*\n", "algorithms.hints": "65536 1 .*text.*\n65536 2 .*mixed.*\n"}


def options_for(tools):
    chosen = [["-b4096"] if tools.version >= (1, 7) else []]
    chosen += [options for options, version in RECIPES if tools.version >= version]
    if (1, 8) <= tools.version < (1, 9):
        chosen.append(HINTS_BY_ALGORITHM)
    return chosen


def available_tools():
    """[tools], and the reasons why others are not there."""
    found, reasons = [], []
    for suite in ["own", "trixie", "sid"]:  # with sanitizers too: mkfs.erofs itself has none
        try:
            found.append(newer_erofs.tools(suite))
        except unittest.SkipTest as reason:
            reasons.append(str(reason))
    return found, reasons


def as_path(value):
    return os.fsdecode(base64.b64decode(value["base64"])) if isinstance(value, dict) else value


def by_image(lines):
    """{image: {path: entry}}; an image that could not be read has the entry "failed"."""
    out, current = {}, None
    for line in lines.splitlines():
        entry = json.loads(line)
        if "image" in entry:
            current = out.setdefault(entry["image"], {})
        elif "failed" in entry:
            out.setdefault(entry["failed"], {})["failed"] = entry["error"]
        else:
            entry["path"] = as_path(entry["path"])
            if "target" in entry:
                entry["target"] = as_path(entry["target"])
            current[entry["path"]] = entry
    return out


def digests_of(tree):
    """{path: SHA-256} of the files that an image was made of.

    Linux 6.18 rotates a stored tail behind the index of the packed inode, which mkfs.erofs does not (-Efragments,ztailpacking with
    a tail that does not compress, ORCH_SEED=710302): what it then shows differs from the source. There the source counts.
    """
    return {os.path.relpath(os.path.join(folder, name), tree): hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()
            for folder, _, names in os.walk(tree) for name in names if os.path.isfile(os.path.join(folder, name))
            and not os.path.islink(os.path.join(folder, name))}


def in_parallel(function, items):
    """[result] of function(part) for JOBS parts of the items."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(function, [items[n::JOBS] for n in range(JOBS)]))


class ReaderCase(TestCase):
    def run_mkfs(self, tools, name, options, source):
        """(image, how mkfs.erofs ended); `options` may name hint files."""
        image = self.tmp / name
        options = [o.replace("=", f"={self.tmp}/") if o.endswith(".hints") else o for o in options]
        argv = [*tools.program("mkfs.erofs"), "--quiet", *options, image, source]
        try:
            return image, run_command(argv, timeout=120)
        except subprocess.TimeoutExpired as hung:
            return image, Ran(argv, 124, "", str(hung))

    def make(self, tools, name, options, source):
        image, ran = self.run_mkfs(tools, name, options, source)
        self.assertEqual(ran.status, 0, msg=f"{tools} {ran}")
        return image

    def ours(self, images):
        def read(part):
            ran = run_command([DRIVER, "list", *part])
            self.assertNotIn("Sanitizer", ran.stderr)
            self.assertNotIn("runtime error:", ran.stderr)
            self.assertIn(ran.status, (0, 1), msg=ran.stderr[-2000:])
            return by_image(ran.stdout)
        return {image: entries for part in in_parallel(read, images) for image, entries in part.items()}

    def mounted(self, images):
        def read(part):
            ran = run_command(["unshare", "-m", sys.executable, "-B", "-m", "tests.integration.erofs_truth", *part], cwd=SOURCE)
            self.assertEqual(ran.status, 0, msg=ran.stderr[-2000:])
            return by_image(ran.stdout)
        return {image: entries for part in in_parallel(read, images) for image, entries in part.items()}

    def compare(self, images, mounts=can_mount_erofs()):
        """`images`: {path: (tools, options, description, digests of the source)}. Each is what the kernel, or else fsck.erofs, says."""
        names = [str(image) for image in images]
        ours = self.ours(names)
        truth = self.mounted(names) if mounts else {}
        for name, (tools, options, description, source) in zip(names, images.values()):
            with self.subTest(image=description):
                self.assertNotIn("failed", ours[name], msg=f"{tools}: {description}")
                self.assertIn("", ours[name])
                if truth:
                    self.assertNotIn("failed", truth[name], msg=f"{tools}: {description}: the kernel refuses it")
                    wrong = "ztailpacking" in str(options) and "fragments" in str(options)
                    self.same(ours[name], truth[name], f"{tools}: {description}", source if wrong else None)
                else:
                    self.same_as_extracted(ours[name], name, tools, options, description, source)

    def same(self, ours, truth, description, source=None):
        self.assertEqual(sorted(ours), sorted(truth), msg=description)
        for path, entry in truth.items():
            if source is not None and ours[path] != entry and ours[path].get("sha256") == source.get(path):
                entry = {**entry, "sha256": source[path]}  # the others have it wrong: see digests_of() and same_as_extracted()
            self.assertEqual(ours[path], entry, msg=f"{description}: {path!r}")

    def same_as_extracted(self, ours, image, tools, options, description, source):
        """All that fsck.erofs keeps: links may become copies, set-id bits get lost with the owner, devices and owners need root.

        It cuts files off that end in a hole, and cannot read what lies in a metabox: there the source counts. 1.8 does not open
        images with blocks of 1024 bytes.
        """
        if "-b1024" in options and tools.version < (1, 9):
            return
        folder = Path(f"{image}.extracted")
        ran = run_command([*tools.program("fsck.erofs"), f"--extract={folder}", "--preserve" if is_root() else "--preserve-perms", image])
        self.assertEqual(ran.status, 0, msg=f"{tools}: {description}: {ran}")
        theirs, kept = {}, {}
        for entry in erofs_truth.describe_tree(folder):
            path = entry["path"]
            theirs[path] = entry
            if entry["type"] == "file" and entry["size"] < ours[path]["size"]:
                data = (folder / path).read_bytes().ljust(ours[path]["size"], b"\0")
                entry.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        lost = {"links", "opaque"} if is_root() else {"links", "opaque", "uid", "gid"}
        for path, entry in ours.items():
            if is_root() or not entry["type"].endswith("device"):
                kept[path] = {key: value for key, value in entry.items() if key not in lost}
        for entry in [*kept.values(), *theirs.values()]:
            entry["mode"] &= 0o1777 if is_root() else 0o7777
        theirs = {path: {key: value for key, value in entry.items() if key not in lost} for path, entry in theirs.items()}
        metabox = any(option.startswith("-m") for option in options)
        self.same(kept, theirs, f"{tools}: {description}", source if metabox else None)
        run_command(["rm", "-rf", folder])


@needs_tool("mkfs.erofs", "fsck.erofs")
class Recipes(ReaderCase):
    """Each way that mkfs.erofs has to lay out one tree."""

    def check(self, suite):
        tools = newer_erofs.tools(suite)
        for name, text in HINTS.items():
            self.write(name, text)
        tree = erofs_trees.special_tree(self.tmp / "tree", 254 if tools.version < (1, 6) else 255)
        with tarfile.open(self.tmp / "tree.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(tree, ".", recursive=True, filter=lambda entry: None if entry.name.endswith("/socket") else entry)
        jobs = [(options, tree) for options in options_for(tools)]
        if tools.version >= (1, 8):
            jobs += [(["--tar=f", "-b4096", *more], self.tmp / "tree.tar") for more in ([], ["-zlz4hc", "-C65536"])]
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            made = list(pool.map(lambda job: self.make(tools, f"image{job[0]}", [*FIXED, *job[1][0]], job[1][1]), enumerate(jobs)))
        images = {image: (tools, options, " ".join(options), digests_of(tree)) for image, (options, _) in zip(made, jobs)}
        self.compare(images)
        if can_mount_erofs() and suite != "trixie" and not SANITIZED:  # what is done elsewhere is shown to be right here
            self.compare(images, mounts=False)

    def test_of_this_machines_tools(self):
        self.check("own")

    @unittest.skipIf(SANITIZED, "enough is read by a sanitizer build")
    def test_of_the_stable_suite_after_this_one(self):
        self.check("trixie")

    @unittest.skipIf(SANITIZED, "enough is read by a sanitizer build")
    def test_of_the_newest_suite(self):
        self.check("sid")

    def test_data_on_another_device_is_refused(self):
        tree = erofs_trees.random_tree(self.tmp / "tree", 5, 200)
        (tree / "file").write_bytes(b"x" * 10_000)
        with tarfile.open(self.tmp / "tree.tar", "w") as archive:
            archive.add(tree / "file", "file")
        for tools in available_tools()[0]:
            blob = self.write(f"{tools.name}.blob", b"")
            images = [self.make(tools, f"{tools.name}.chunks", ["--chunksize=4096", f"--blobdev={blob}"], tree)]
            if tools.version >= (1, 8):
                images.append(self.make(tools, f"{tools.name}.index", ["--tar=i", *FIXED], self.tmp / "tree.tar"))
            for image in images:
                reason = "the EROFS image has its data on 1 further device, which cannot be read here"
                for ran in (run_command([DRIVER, "list", image]), self.orch("inspect", "--files", image, status=1)):
                    self.assertEqual(ran.status, 1, msg=str(ran))
                    self.assertIn(reason, ran.stderr)
                    self.assertIn("make it again as one file: without --blobdev, and with --tar=f instead of --tar=i", ran.stderr)
                self.assertIn(f"what is inside cannot be looked at in place: {reason}", self.orch_json("inspect", image)["notes"])


@needs_tool("mkfs.erofs", "fsck.erofs")
class RandomTrees(ReaderCase):
    COUNT = 24 if SANITIZED else int(os.environ.get("ORCH_IMAGES", "220"))

    def test_are_read_as_they_are_mounted(self):
        found, reasons = available_tools()
        first, unmade = chosen_seed(), []
        self.note(f"seed {first}, {self.COUNT} images by {', '.join(map(str, found))} {reasons or ''}".strip())
        for name, text in HINTS.items():
            self.write(name, text)
        for batch in range(0, self.COUNT, 40):  # so that a failure keeps few of them
            seeds = range(first + batch, first + min(batch + 40, self.COUNT))
            with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
                made = list(pool.map(lambda seed: self.one(found[seed % len(found)], seed), seeds))
            unmade += [told for image, told in made if image is None]
            images = {image: what for image, what in made if image is not None}
            self.compare(images)
            for image in images:
                image.unlink()
        # mkfs.erofs is what makes the input here, not what is tested; it must not leave much of it untested, though.
        self.assertLessEqual(len(unmade), self.COUNT // 20, msg="\n".join(unmade))
        print("\n".join(unmade), file=sys.stderr)

    def one(self, tools, seed):
        """(image, what `compare` wants), or (None, how mkfs.erofs failed)."""
        noise = random.Random(-seed)
        tree = erofs_trees.random_tree(self.tmp / f"tree{seed}", seed, 200 if tools.version < (1, 6) else 255)
        options = noise.choice(options_for(tools))
        if "force-inode-compact" in " ".join(options) or noise.random() < 0.5:
            options = [*FIXED, *options]
        image, ran = self.run_mkfs(tools, f"random{seed}", options, tree)
        if ran.status != 0:
            return None, f"seed {seed}: {tools}: {ran}"
        source = digests_of(tree)
        run_command(["rm", "-rf", tree])
        return image, (tools, options, f"seed {seed}: {' '.join(options)}", source)


@needs_tool("mkfs.erofs")
class DamagedImages(ReaderCase):
    """Whatever is in an image: an error or an answer, no crash, no hang, no defect of ours."""

    COUNT = 5200 if SANITIZED else 6000

    def originals(self):
        """An image of each recipe of all tools, of a small tree that has all kinds of data."""
        found, reasons = available_tools()
        self.note(f"seed {chosen_seed()}, {self.COUNT} damaged images by {', '.join(map(str, found))} {reasons or ''}".strip())
        for name, text in HINTS.items():
            self.write(name, text)
        jobs = []
        for tools in found:
            tree = erofs_trees.random_tree(self.tmp / f"tree-{tools.name}", 3, 200)
            (tree / "text").write_bytes(erofs_trees.text(random.Random(1), 150_000))
            (tree / "end").write_bytes(erofs_trees.text(random.Random(2), 150_000)[70_000:])
            jobs += [(tools, f"{tools.name}{number}", [*FIXED, *options], tree) for number, options in enumerate(options_for(tools))]
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            return list(pool.map(lambda job: self.make(*job), jobs))

    def test_are_refused_or_read_without_harm(self):
        images, seed = self.originals(), chosen_seed()

        def damage(part):
            (number, count), = part
            ran = run_command([DRIVER, "mutate", str(seed + number * 1_000_000), str(count), *images], **in_bounded_memory(os.environ))
            self.assertEqual(ran.status, 0, msg=f"seed {seed}: status {ran.status}: {ran.stderr[-3000:]}")
            return ran.json

        for counts in in_parallel(damage, [(number, self.COUNT // JOBS) for number in range(JOBS)]):
            self.assertGreater(counts["opened"], self.COUNT // JOBS // 2)
            self.assertGreater(counts["walked"], self.COUNT // JOBS // 4)
            self.assertGreater(counts["refused"], self.COUNT // JOBS // 4)
            self.assertGreater(counts["summed"], self.COUNT // JOBS // 10)
            for part in ("super", "inode", "map header", "index", "directory", "compressed"):
                self.assertGreater(counts["parts"][part]["hits"], self.COUNT // JOBS // 10, msg=part)
                self.assertGreater(counts["parts"][part]["noticed"], self.COUNT // JOBS // 20, msg=part)
            self.assertEqual({image for image, noticed in counts["noticed"].items() if noticed}, set(map(str, images)))


if __name__ == "__main__":
    unittest.main()
