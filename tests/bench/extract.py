"""Extraction of SquashFS, every file hashed while it is written, against `unsquashfs -p 2`; image in the page cache.

The tree is made of this machine's /usr: up to ORCH_BENCH_MIB (900) MiB and 22 000 entries. What is judged is on tmpfs.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.integration import lib

MEBIBYTES = int(os.environ.get("ORCH_BENCH_MIB", "900"))
ENTRIES = 22_000
ROUNDS = 5
LIMITS = {"gzip": 1.0, "xz": 1.0, "zstd": 1.2}
LARGEST = 64 << 20  # no single file may be most of the tree


def copy_tree(target):
    """Copies files of /usr, small ones and libraries mixed, until there is enough of both kinds."""
    size = entries = 0
    for base in ("/usr/lib", "/usr/share", "/usr/bin"):
        for parent, folders, files in os.walk(base):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(parent, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                length = os.path.getsize(path)
                # Keep the average on its way to MEBIBYTES in ENTRIES: skip what would spend one of them too early.
                ahead = (size + length) / (MEBIBYTES << 20) - (entries + 1) / ENTRIES
                if length > LARGEST or ahead > 0.15 or (length < 20_000 and ahead < -0.1):
                    continue
                place = target / path.lstrip("/")
                if not place.parent.exists():
                    place.parent.mkdir(parents=True)
                    entries += 1
                shutil.copy(path, place)
                size, entries = size + length, entries + 1
                if size >= MEBIBYTES << 20 or entries >= ENTRIES:
                    return size, entries
    return size, entries


def timed(argv, out):
    """Wall clock and processor seconds; on a busy machine only the second means anything."""
    subprocess.run(["rm", "-rf", out], check=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    ran = lib.run_command(argv)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.status != 0:
        sys.exit(str(ran)[:2000])
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(program, image, out, rounds):
    """Medians of both and of the ratios of neighbours, which share the machine's noise."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(timed([program, image, out, "squashfs", "2", "digest"], out))
        theirs.append(timed(["unsquashfs", "-q", "-n", "-no-xattrs", "-p", "2", "-d", out, image], out))
    subprocess.run(["rm", "-rf", out], check=True)
    return tuple(statistics.median(values) for values in (
        (a for a, _ in ours), (b for b, _ in theirs), (a / b for (a, _), (b, _) in zip(ours, theirs)),
        (a / b for (_, a), (_, b) in zip(ours, theirs))))


def main():
    build = lib.BINARY.parents[2]
    program = build / "tests/support/extract-driver"
    subprocess.run(["ninja", "--quiet", "-C", str(build), "tests/support/extract-driver"], check=True)
    with tempfile.TemporaryDirectory(prefix="orch-bench-", dir="/dev/shm") as memory, \
            tempfile.TemporaryDirectory(prefix="orch-bench-", dir="/var/tmp") as disk:
        tree = Path(disk) / "tree"
        size, entries = copy_tree(tree)
        print(f"a tree of {size >> 20} MiB in {entries} entries, 128 KiB blocks; medians of {ROUNDS}")
        images = {}
        for compressor in LIMITS:
            images[compressor] = Path(memory) / f"{compressor}.squashfs"
            ran = lib.run_command(["mksquashfs", tree, images[compressor], "-comp", compressor, "-noappend", "-quiet",
                                   "-no-progress"], timeout=3600)
            if ran.status != 0:
                sys.exit(str(ran)[:2000])
        shutil.rmtree(tree)
        for compressor, limit in LIMITS.items():
            a, b, ratio, cpu = measure(program, images[compressor], Path(memory) / "out", ROUNDS)
            print(f"{compressor}, tmpfs: {a:.2f} s; unsquashfs -p 2: {b:.2f} s; ratio {ratio:.2f} (at most {limit}); "
                  f"processor time {cpu:.2f}", flush=True)
        for compressor in LIMITS:
            a, b, ratio, cpu = measure(program, images[compressor], Path(disk) / "out", 3)
            print(f"{compressor}, disk: {a:.2f} s; unsquashfs -p 2: {b:.2f} s; ratio {ratio:.2f} (reported only); "
                  f"processor time {cpu:.2f}", flush=True)


if __name__ == "__main__":
    main()
