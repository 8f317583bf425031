"""What it takes to know a stack: the index of an image against `fsck.erofs --extract`, links of shared objects against `readelf -d`.

The image is made of the distribution's packages below with `-zlz4hc`, about 500 MiB; all is in memory. The objects are
the first ORCH_BENCH_OBJECTS (2000) shared objects among the files, by path. `resolve` reads what they and all that they
need say of themselves (versions, notes) and finds every name of the whole closure of each; `readelf -d` prints one section.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.extract import timed
from tests.bench.overlay import Ours
from tests.integration import lib

PACKAGES = os.environ.get("ORCH_BENCH_PACKAGES", "libwebkit2gtk-4.0-37 python3-scipy vlc-plugin-base "
                          "gstreamer1.0-plugins-bad samba-libs").split()
OBJECTS = int(os.environ.get("ORCH_BENCH_OBJECTS", "2000"))
ROUNDS = int(os.environ.get("ORCH_BENCH_ROUNDS", "9"))
PROFILE = f"""schema = 1
extends = "native"
[stack]
base = {{ packages = {PACKAGES!r}, source = "auto", compressor = "none" }}
compat = "off"
""".replace("'", '"')


def shared_objects(tree):
    out = []
    for parent, folders, files in os.walk(tree):
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            if ".so" in name and not path.is_symlink() and path.open("rb").read(18)[:4] + path.open("rb").read(18)[16:] == b"\x7fELF\3\0":
                out.append(path)
    return out[:OBJECTS]


def spawned(argv, paths):
    """As timed(), with next to nothing of its own around the program: for what takes milliseconds. The output is dropped."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, paths, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
               (os.POSIX_SPAWN_DUP2, 1, 2)]
    started = time.perf_counter()
    _, _, usage = os.wait4(os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions), 0)
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def compare(name, ours, peer, wanted, timer=timed, rounds=ROUNDS):
    """Runs both in turn; `wanted` says what the ratio should be, for the reader."""
    pairs = [(timer(*ours), timer(*peer)) for _ in range(rounds)]
    for index, kind in ((0, "wall clock"), (1, "processor")):
        rows = [(a[index], b[index]) for a, b in pairs]
        a, b = (statistics.median(column) for column in zip(*rows))
        print(f"{name}, {kind}: {a * 1000:.1f} ms; peer {b * 1000:.0f} ms; {statistics.median(y / x for x, y in rows):.1f} times as fast "
              f"({wanted})", flush=True)


def main():
    build = lib.BINARY.parents[2]
    indexer, resolver = (build / f"tests/bench/{name}-driver" for name in ("index", "resolve"))
    subprocess.run(["ninja", "--quiet", "-C", str(build), "tests/bench/index-driver", "tests/bench/resolve-driver"], check=True)
    with tempfile.TemporaryDirectory(prefix="orch-bench-", dir="/dev/shm") as memory:
        home = Path(memory)
        ours = Ours(home, PROFILE)
        ours.run("lock", ours.profile)
        ours.run("build", ours.profile, "--locked", "--only", "base-image")
        tree, image = home / "tree", home / "image.erofs"
        for _, archive in ours.archives():
            subprocess.run(["dpkg-deb", "-x", archive, tree], check=True)
        subprocess.run(["rm", "-rf", ours.cache], check=True)
        for options in ([], ["-C65536"]):
            subprocess.run(["mkfs.erofs", "--quiet", "-zlz4hc", *options, "-T0", image, tree], check=True)
            ran = lib.run_command([indexer, image, home / "index"])
            print(f"image of {image.stat().st_size >> 20} MiB, -zlz4hc {' '.join(options)}: {ran.stdout.strip()}")
            compare("index", ([indexer, image, home / "index"], home / "index"),
                    (["fsck.erofs", f"--extract={home}/out", image], home / "out"), "at least 8")
            subprocess.run(["rm", "-rf", home / "out"], check=True)
        objects = shared_objects(tree)
        (home / "paths").write_text("".join(f"/{path.relative_to(tree)}\n" for path in objects))
        (home / "files").write_text("".join(f"{path}\n" for path in objects))
        peer = (["xargs", "-n", "200", "readelf", "-d"], str(home / "files"))
        for what, source, wanted in (("tree", tree, "at least 1"), ("index", home / "index", "at least 10")):
            command = [str(resolver), what, str(source)]
            ran = lib.run_command(["sh", "-c", '"$0" "$1" "$2" <"$3"', *command, home / "paths"])
            if ran.status != 0:
                sys.exit(str(ran)[:2000])
            print(f"{len(objects)} shared objects: {ran.stdout.strip()}")
            compare(f"resolve from {what}", (command, str(home / "paths")), peer, wanted, spawned, 4 * ROUNDS)


if __name__ == "__main__":
    main()
