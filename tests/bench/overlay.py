"""A locked overlay build of the closure of libwebkit2gtk-4.0-37 against `dpkg-deb -x` and mkfs.erofs, all on tmpfs.

The packages are the distribution's, resolved and downloaded by `lock` and a first build. Ours is the whole of
`appimage-orch build --locked --only base-image`: verifying the archives, unpacking, hashing, checking the layer,
staging, mkfs.erofs, publishing. Both make their image with `-zlz4` and the same other options.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from tests.bench.extract import timed
from tests.integration import lib

PACKAGE = os.environ.get("ORCH_BENCH_PACKAGE", "libwebkit2gtk-4.0-37")
ROUNDS = int(os.environ.get("ORCH_BENCH_ROUNDS", "5"))
PROFILE = f"""schema = 1
extends = "native"
[stack]
base = {{ packages = ["{PACKAGE}"], source = "auto", compressor = "lz4", cluster = 0 }}
compat = "off"
"""
OPTIONS = ["-T0", "-U00000000-0000-4000-8000-000000000001", "--all-root", "-x-1"]


class Ours:
    def __init__(self, home, profile=PROFILE):
        self.home, self.cache = home, home / "cache/appimage-orch"
        self.profile = home / "p.toml"
        self.profile.write_text(profile)
        self.env = {**os.environ, "APPIMAGE_ORCH_DATA_DIR": str(lib.SOURCE), "HOME": str(home), "LC_ALL": "C.UTF-8",
                    **{f"XDG_{n.upper()}_HOME": str(home / n) for n in ("cache", "state", "config")}}

    def run(self, *args):
        ran = lib.run_command([lib.BINARY, *args], env=self.env, cwd=self.home, timeout=3600)
        if ran.status != 0:
            sys.exit(str(ran)[:3000])
        return ran

    def forget(self, unpacked):
        """What earlier builds made, but for the downloads and, if so, the unpacked packages."""
        for path in self.cache.iterdir():
            if path.name not in ("downloads", "apt") and (unpacked or path.name != "unpacked"):
                shutil.rmtree(path, ignore_errors=True)

    def build(self):
        """(seconds, processor seconds, of them mkfs.erofs)."""
        argv = [lib.BINARY, "build", self.profile, "--locked", "--only", "base-image"]
        os.environ.update({k: v for k, v in self.env.items() if k.startswith(("XDG_", "APPIMAGE_", "HOME"))})
        seconds, processor = timed(argv, self.home / "none")
        (log,) = [p.read_text() for p in self.cache.glob("build/*/logs/base-image*.log")]
        return seconds, processor, *map(float, re.search(r"mkfs.erofs took ([\d.]+) s, ([\d.]+) s of processor", log).groups())

    def archives(self):
        (layer,) = [layer for layer in tomllib.loads((self.home / "p.lock.toml").read_text())["layer"]]
        return [(p, self.cache / "downloads/sha256" / p["sha256"]) for p in layer["package"]]

    def change_one(self, number):
        """Puts a rebuilt package of middle size in the place of the locked one."""
        packages = sorted(self.archives(), key=lambda p: p[0]["size"])
        package, archive = packages[len(packages) // 2]
        tree = self.home / "repack"
        shutil.rmtree(tree, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-R", archive, tree], check=True)
        (tree / "usr/lib").mkdir(parents=True, exist_ok=True)
        (tree / "usr/lib/orch-bench").write_text(f"changed {number}\n")
        subprocess.run(["dpkg-deb", "-Zxz", "--root-owner-group", "-b", tree, self.home / "new.deb"], check=True,
                       stdout=subprocess.DEVNULL)
        data = (self.home / "new.deb").read_bytes()
        digest = lib.hashlib.sha256(data).hexdigest()
        (self.cache / "downloads/sha256" / digest).write_bytes(data)
        lock = self.home / "p.lock.toml"
        block = re.search(rf'\[\[layer\.package\]\]\nname = "{re.escape(package["name"])}"\n(?:.+\n)*', lock.read_text())[0]
        changed = block.replace(package["sha256"], digest).replace(f"size = {package['size']}", f"size = {len(data)}")
        lock.write_text(lock.read_text().replace(block, changed))
        return package["name"], len(data)


def theirs(archives, out):
    """(seconds, processor seconds, those of mkfs.erofs): one dpkg-deb after the other, then the image."""
    script = 'out=$1; shift; mkdir "$out"; for f; do dpkg-deb -x "$f" "$out" || exit 1; done'
    unpack = timed(["sh", "-c", script, "x", out, *archives], out)
    image = timed(["mkfs.erofs", "--quiet", "-zlz4", *OPTIONS, f"{out}.erofs", out], f"{out}.erofs")
    os.unlink(f"{out}.erofs")
    subprocess.run(["rm", "-rf", out], check=True)
    return unpack[0] + image[0], unpack[1] + image[1], *image


def report(name, limit, pairs):
    ratio = statistics.median(a / b for a, b in pairs)
    ours, peer = (statistics.median(values) for values in zip(*pairs))
    print(f"{name}: {ours:.2f} s; peer {peer:.2f} s; ratio {ratio:.3f}" + (f" (at most {limit})" if limit else ""), flush=True)


def main():
    with tempfile.TemporaryDirectory(prefix="orch-bench-", dir="/dev/shm") as memory:
        ours = Ours(Path(memory))
        ours.run("lock", ours.profile)
        ours.run("build", ours.profile, "--locked", "--only", "base-image")
        archives = [path for _, path in ours.archives()]
        print(f"{len(archives)} packages, {sum(p.stat().st_size for p in archives) >> 20} MiB; medians of {ROUNDS} interleaved "
              f"runs; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        cold, changed, peer = [], [], []
        for number in range(ROUNDS):
            peer.append(theirs(archives, f"{memory}/peer"))
            ours.forget(unpacked=True)
            cold.append(ours.build())
            package = ours.change_one(number)
            changed.append(ours.build())
        for index, kind in ((0, "wall clock"), (1, "processor")):
            rows = list(zip(cold, changed, peer))
            print(f"-- {kind}; the package that changed: {package[0]}, {package[1] >> 10} KiB")
            limits = (0.65, 0.75, 0.1) if index == 0 else (None, None, None)
            report("unpack and staging (all but mkfs.erofs)", limits[0],
                   [(c[index] - c[2 + index], p[index] - p[2 + index]) for c, _, p in rows])
            report("all together", limits[1], [(c[index], p[index]) for c, _, p in rows])
            report("one package changed, all but mkfs.erofs", limits[2],
                   [(o[index] - o[2 + index], p[index] - p[2 + index]) for _, o, p in rows])


if __name__ == "__main__":
    main()
