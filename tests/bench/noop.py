"""A build that has nothing to do, against bare ninja on the file it generated (hello, or $ORCH_BENCH_PROFILE)."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.integration import lib

ROUNDS = 40


def seconds(argv, env, cwd):
    started = time.perf_counter()
    subprocess.run(argv, env=env, cwd=cwd, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main():
    with tempfile.TemporaryDirectory(prefix="orch-bench-") as folder:
        home = Path(folder)
        env = {**os.environ, "APPIMAGE_ORCH_DATA_DIR": str(lib.SOURCE), "LC_ALL": "C.UTF-8",
               "XDG_CACHE_HOME": f"{home}/cache", "XDG_STATE_HOME": f"{home}/state", "XDG_CONFIG_HOME": f"{home}/config"}
        for name in ("profile.toml", "make-appimage.sh"):
            (home / name).write_bytes((lib.SOURCE / "examples/hello" / name).read_bytes())
        subprocess.run(["sh", "make-appimage.sh"], cwd=home, check=True)
        build = [str(lib.BINARY), "build"]
        subprocess.run(build, env=env, cwd=home, check=True)
        again = subprocess.run([*build, "--format", "json"], env=env, cwd=home, check=True, capture_output=True)
        if json.loads(again.stdout)["executed"] != 0:
            sys.exit("the second build was not a no-op")
        (ninja_file,) = (home / "cache").rglob("build.ninja")
        ninja = ["ninja", "-C", str(ninja_file.parent)]
        ours, bare = [], []
        for _ in range(ROUNDS):  # alternating, so that noise of the machine meets both
            ours.append(seconds(build, env, home))
            bare.append(seconds(ninja, env, home))
        a, b = statistics.median(ours), statistics.median(bare)
        print(f"no-op build of hello: {a * 1000:.2f} ms; bare ninja: {b * 1000:.2f} ms; difference {(a - b) * 1000:+.2f} ms "
              f"(at most +5), ratio {a / b:.2f}; medians of {ROUNDS}")


if __name__ == "__main__":
    main()
