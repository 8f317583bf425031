"""Hashing a large file, as for the key of an AppImage, against `xxhsum -H2`; both read from the page cache."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from tests.integration import lib

MEBIBYTES = 512
ROUNDS = 9


def timed(argv):
    started = time.perf_counter()
    ran = lib.run_command(argv)
    seconds = time.perf_counter() - started
    if ran.status != 0:
        sys.exit(str(ran))
    return seconds, ran.stdout.split()[0]


def main():
    folder = lib.BINARY.parents[2]
    program = folder / "tests/bench/hash-file"
    subprocess.run(["ninja", "--quiet", "-C", str(folder), "tests/bench/hash-file"], check=True)
    with tempfile.NamedTemporaryFile(prefix="orch-bench-") as file:
        for _ in range(MEBIBYTES):
            file.write(os.urandom(1 << 20))
        file.flush()
        ours, theirs = [], []
        for _ in range(ROUNDS):  # alternating, so that noise of the machine meets both
            seconds, digest = timed([program, file.name])
            ours.append(seconds)
            seconds, other = timed(["xxhsum", "-q", "-H2", file.name])
            theirs.append(seconds)
            if digest != other:
                sys.exit(f"digests differ: {digest} and {other}")
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"hashing {MEBIBYTES} MiB: {MEBIBYTES / 1024 / a:.1f} GiB/s; xxhsum -H2: {MEBIBYTES / 1024 / b:.1f} GiB/s; "
              f"throughput ratio {b / a:.2f} (at least 0.8); medians of {ROUNDS}")


if __name__ == "__main__":
    main()
