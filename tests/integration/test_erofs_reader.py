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
from tests.integration.lib import BINARY, Ran, SOURCE, TestCase, can_mount_erofs, chosen_seed, is_root, needs_tool, run_command

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
    for suite in ["own"] if SANITIZED else ["own", "trixie", "sid"]:
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

    def compare(self, images):
        """`images`: {path: (tools, description)}. Each is to be what the kernel, or else fsck.erofs, says."""
        names = [str(image) for image in images]
        ours = self.ours(names)
        truth = self.mounted(names) if can_mount_erofs() else {}
        for name, (tools, description, *source) in zip(names, images.values()):
            with self.subTest(image=description):
                self.assertNotIn("failed", ours[name], msg=f"{tools}: {description}")
                self.assertIn("", ours[name])
                if truth:
                    self.assertNotIn("failed", truth[name], msg=f"{tools}: {description}: the kernel refuses it")
                    self.same(ours[name], truth[name], f"{tools}: {description}", *source)
                else:
                    self.same_as_extracted(ours[name], name, tools, description)

    def same(self, ours, truth, description, source=None):
        self.assertEqual(sorted(ours), sorted(truth), msg=description)
        for path, entry in truth.items():
            if source is not None and ours[path] != entry and ours[path].get("sha256") == source.get(path):
                entry = {**entry, "sha256": source[path]}  # the kernel has it wrong: see digests_of()
            self.assertEqual(ours[path], entry, msg=f"{description}: {path!r}")

    def same_as_extracted(self, ours, image, tools, description):
        """Types, targets and contents by fsck.erofs, which cuts files off that end in a hole and cannot read all metaboxes."""
        if any(word in description for word in ("-m", "48bit")):
            return
        folder = Path(f"{image}.extracted")
        ran = run_command([*tools.program("fsck.erofs"), f"--extract={folder}", "--no-preserve", image])
        if ran.status != 0 and ("-b1024" in description or not is_root()):
            return
        self.assertEqual(ran.status, 0, msg=f"{tools}: {description}: {ran}")
        for entry in erofs_truth.describe_tree(folder):
            mine = ours[entry["path"]]
            self.assertEqual((mine["type"], mine.get("target")), (entry["type"], entry.get("target")), msg=f"{description} {entry}")
            if entry["type"] == "file":
                data = (folder / entry["path"]).read_bytes()
                self.assertLessEqual(len(data), mine["size"])
                padded = hashlib.sha256(data + bytes(mine["size"] - len(data))).hexdigest()
                self.assertEqual(mine["sha256"], padded, msg=f"{description} {entry['path']!r}")


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
        self.compare({image: (tools, " ".join(options)) for image, (options, _) in zip(made, jobs)})

    def test_of_this_machines_tools(self):
        self.check("own")

    @unittest.skipIf(SANITIZED, "enough is read by a sanitizer build")
    def test_of_the_stable_suite_after_this_one(self):
        self.check("trixie")

    @unittest.skipIf(SANITIZED, "enough is read by a sanitizer build")
    def test_of_the_newest_suite(self):
        self.check("sid")

    def test_data_on_another_device_is_refused(self):
        for suite in ["own"] if SANITIZED else ["own", "trixie"]:
            tools = newer_erofs.tools(suite)
            tree = erofs_trees.random_tree(self.tmp / suite, 5, 200)
            (self.tmp / f"{suite}.blob").touch()
            (tree / "file").write_bytes(b"x" * 10_000)
            image = self.make(tools, f"{suite}.image", ["--chunksize=4096", f"--blobdev={self.tmp}/{suite}.blob"], tree)
            ran = run_command([DRIVER, "list", image])
            self.assertEqual(ran.status, 1)
            self.assertIn("further device", ran.stderr)
            self.assertIn("--blobdev", ran.stderr)


@needs_tool("mkfs.erofs", "fsck.erofs")
class RandomTrees(ReaderCase):
    COUNT = 24 if SANITIZED else int(os.environ.get("ORCH_IMAGES", "220"))

    def test_are_read_as_they_are_mounted(self):
        found, reasons = available_tools()
        first, unmade = chosen_seed(), []
        print(f"seed {first} (repeat: ORCH_SEED={first}), {self.COUNT} images by {', '.join(map(str, found))} {reasons or ''}", file=sys.stderr)
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
        source = [digests_of(tree)] if "ztailpacking" in str(options) and "fragments" in str(options) else []
        run_command(["rm", "-rf", tree])
        return image, (tools, f"seed {seed}: {' '.join(options)}", *source)


@needs_tool("mkfs.erofs")
class DamagedImages(ReaderCase):
    """Whatever is in an image: an error or an answer, no crash, no hang, no defect of ours."""

    COUNT = 5200 if SANITIZED else 6000

    def test_are_refused_or_read_without_harm(self):
        found, _ = available_tools()
        seed = chosen_seed()
        for name, text in HINTS.items():
            self.write(name, text)
        images = []
        for tools in found:
            tree = erofs_trees.random_tree(self.tmp / f"tree-{tools.name}", 3, 200)
            (tree / "text").write_bytes(erofs_trees.text(random.Random(1), 150_000))
            (tree / "end").write_bytes(erofs_trees.text(random.Random(2), 150_000)[70_000:])
            for number, options in enumerate(options_for(tools)):
                images.append(self.make(tools, f"{tools.name}{number}", [*FIXED, *options], tree))

        def damage(part):
            (number, count), = part
            ran = run_command([DRIVER, "mutate", str(seed + number * 1_000_000), str(count), *images], env=self.limited())
            self.assertEqual(ran.status, 0, msg=f"seed {seed}: status {ran.status}: {ran.stderr[-3000:]}")
            return json.loads(ran.stdout)

        for counts in in_parallel(damage, [(number, self.COUNT // JOBS) for number in range(JOBS)]):
            self.assertGreater(counts["opened"], self.COUNT // JOBS // 2)
            self.assertGreater(counts["walked"], self.COUNT // JOBS // 4)
            self.assertGreater(counts["refused"], self.COUNT // JOBS // 4)

    def limited(self):
        """An environment in which a sanitizer ends a program that takes much memory."""
        env = dict(os.environ)
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":hard_rss_limit_mb=1500:quarantine_size_mb=16:max_allocation_size_mb=1024:allocator_may_return_null=0"
        return env


if __name__ == "__main__":
    unittest.main()
