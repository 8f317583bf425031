"""The resolver on a stack against the real loader in what the kernel shows of the same layers.

Programs and libraries of this machine's packages, strewn over three layers of which the upper ones replace, hide and add;
our answers come out of the layers' indexes, the loader's out of an overlayfs of the layers.
"""

import os
import random
import re
import stat
import unittest
from collections import Counter, namedtuple
from pathlib import Path

from tests.integration import lib
from tests.integration import stacks
from tests.integration import test_loader as loader

CONF = "/usr/lib/x86_64-linux-gnu"
HWCAPS = f"{CONF}/glibc-hwcaps/x86-64-v2"
APP = ("/opt/app/lib", "/opt/app/lib", "/opt/app/lib/sub", "/opt/app/lib/x86_64-linux-gnu")
ENV = ("/env/one", "/env/one", "/env/two", "/env/lib/x86_64-linux-gnu", "/env/link")
RUNPATHS = ("$ORIGIN/../lib:$ORIGIN/../$LIB", "${ORIGIN}/../lib/sub:$ORIGIN/../lib:$ORIGIN/../lib/x86_64-linux-gnu",
            "/none:$ORIGIN/../$LIB:$ORIGIN/../lib//")
OF_LIBRARIES = ("$ORIGIN", "$ORIGIN/sub:$ORIGIN/../lib", "${ORIGIN}/../lib/x86_64-linux-gnu")
LIBRARY_PATHS = ("/env/one:/env/two", "/env/two/;/none:/env/link:/env/one", "/env/$LIB:env/one", "/env/link::/env/two:/env/$LIB")
CHOSEN, LEAST = 360, 300  # files of this machine, and how many of them at least in each layout
LARGEST = 4_000_000  # bytes of a file that is copied

# Reads lines "FILE<tab>LD_LIBRARY_PATH" from $1. --list stops at what is missing; tracing goes on.
LIST = r"""
tab=$(printf '\t')
ld=/lib64/ld-linux-x86-64.so.2
while IFS=$tab read -r file path; do
  LD_LIBRARY_PATH=$path $ld --list "$file" 2>&1
  status=$?
  echo "== $status"
  if [ $status != 0 ]; then LD_TRACE_LOADED_OBJECTS=1 LD_LIBRARY_PATH=$path $ld "$file" 2>&1; fi
  echo "=="
done < "$1"
"""

Library = namedtuple("Library", "name path real")  # the soname, where it is found, and where that leads


class Layers:
    """Three folders, bottom first."""

    def __init__(self, folder, chance, others):
        self.folders = [folder / name for name in ("bottom", "middle", "top")]
        self.chance, self.others = chance, others
        self.done = Counter()
        for name in ("usr/lib", "usr/lib64", "usr/bin", "usr/sbin", "etc", "tmp", "proc", "dev", "env/one"):
            (self.folders[0] / name).mkdir(parents=True)
        for name in ("lib", "lib64", "bin", "sbin"):
            (self.folders[0] / name).symlink_to(f"usr/{name}")
        (self.folders[0] / "env/link").symlink_to("one")  # upper layers have a directory there
        (self.folders[0] / "lib64/ld-linux-x86-64.so.2").symlink_to(os.path.realpath(loader.LD))

    def put(self, layer, path, content):
        """content: bytes, ("link", target), or None for a whiteout. What is there stays."""
        place = self.folders[layer] / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(place):
            return
        if content is None:
            os.mknod(place, stat.S_IFCHR, os.makedev(0, 0))
        elif isinstance(content, tuple):
            place.symlink_to(content[1])
        else:
            place.write_bytes(content)
            place.chmod(0o755)

    def strew(self, path, content):
        """Puts a file into one layer or more, or something else in its place."""
        what = self.chance.choices(("one", "over foreign", "over other", "under foreign", "under other", "under whiteout"),
                                   (72, 8, 10, 4, 3, 3))[0]
        self.done[what] += 1
        low, high = sorted(self.chance.sample(range(3), 2))
        other = {"foreign": loader.foreign_elf(*self.chance.choice(((183, 64), (3, 32)))), "whiteout": None,
                 "other": Path(self.chance.choice(self.others)).read_bytes()}
        if what == "one":
            self.put(self.chance.randrange(3), path, content)
        elif what.startswith("over"):
            self.put(low, path, other[what.split()[1]])
            self.put(high, path, content)
        else:
            self.put(low, path, content)
            self.put(high, path, other[what.split()[1]])


@loader.needs_loader
@lib.needs_root
@lib.needs_erofs_mounts
@lib.needs_tool("unshare", "patchelf", "ldconfig")
class Stack(lib.TestCase):
    def choose(self):
        """Files of this machine that need more than the C library, and the libraries that they load."""
        small = [p for p in loader.machine_files() if os.path.getsize(p) < LARGEST and "/jvm/" not in p]
        kept, libraries = [], {}
        for file, answer in zip(small, loader.resolve("/", small)):
            objects = answer["objects"][1:]
            if answer["starts"] and len(objects) > 2 and all(o["path"] and os.path.getsize(o["path"]) < LARGEST for o in objects):
                kept.append((file, objects))
        kept = loader.sample(kept, CHOSEN)
        for each in (each for _, objects in kept for each in objects):
            libraries.setdefault(each["path"], Library(each["name"].rpartition("/")[2], each["path"], each["real_path"]))
        return [file for file, _ in kept], list(libraries.values())

    def patched(self, source, *options):
        """The bytes of a copy with another RUNPATH."""
        place = self.tmp / "patched"
        place.unlink(missing_ok=True)
        place.write_bytes(Path(source).read_bytes())
        done = lib.run_command(["patchelf", *options, place])
        self.assertEqual(done.status, 0, str(done))
        return place.read_bytes()

    def usual_places(self, layers, files, libraries, fixed):
        """Everything where it is on this machine; libraries elsewhere, too."""
        for each in libraries:
            content = Path(each.real).read_bytes()
            if each.real in fixed:
                layers.put(0, each.real, content)
            else:
                layers.strew(each.real, content)
            found = os.path.realpath(os.path.dirname(each.path)) + "/" + os.path.basename(each.path)
            if found != each.real:
                target = os.path.relpath(each.real, os.path.dirname(found)) if layers.chance.random() < 0.5 else each.real
                layers.put(0 if each.real in fixed else layers.chance.randrange(3), found, ("link", target))
            if each.real not in fixed and layers.chance.random() < 0.2:
                layers.strew(f"{layers.chance.choice((HWCAPS, '/opt/conf'))}/{each.name}", content)
        for file in sorted(set(files) - {each.real for each in libraries}):
            layers.put(layers.chance.randrange(3), file, Path(file).read_bytes())

    def app_places(self, layers, files, libraries):
        """Copies with RUNPATHs (or RPATHs), and libraries beside them. Gives the files' new paths."""
        chance, paths = layers.chance, []
        for each in libraries:
            if chance.random() < 0.95:
                options = ["--set-rpath", chance.choice(OF_LIBRARIES)] if chance.random() < 0.5 else []
                content = self.patched(each.real, *options) if options else Path(each.real).read_bytes()
                for folder in chance.sample(APP, chance.choice((1, 1, 2))):
                    layers.strew(f"{folder}/{each.name}", content)
        for i, file in enumerate(files):
            paths.append(f"/opt/app/{chance.choice(('bin', 'plugins'))}/{i}-{os.path.basename(file)}")
            options = ["--force-rpath"] if chance.random() < 0.2 else []
            layers.put(chance.randrange(3), paths[-1], self.patched(file, *options, "--set-rpath", chance.choice(RUNPATHS)))
        return paths

    def env_places(self, layers, libraries):
        for each in libraries:
            for folder in layers.chance.sample(ENV, layers.chance.choice((0, 1, 1, 1, 2, 2))):
                if folder == "/env/link":
                    layers.put(layers.chance.choice((1, 2)), f"{folder}/{each.name}", Path(each.real).read_bytes())
                else:
                    layers.strew(f"{folder}/{each.name}", Path(each.real).read_bytes())

    def tools(self, layers):
        """A shell and ldconfig in the lowest layer; gives the libraries that they need."""
        fixed = []
        for program in ("/bin/sh", "/bin/cat", "/sbin/ldconfig"):
            folder, name = os.path.split(program)
            layers.put(0, f"{os.path.realpath(folder)}/{name}", Path(program).read_bytes())
            if (answer := loader.resolve("/", [program])[0])["static"]:
                continue
            fixed += [Library(o["name"].rpartition("/")[2], o["path"], o["real_path"]) for o in answer["objects"][1:]]
        layers.put(0, "/etc/ld.so.conf", f"/opt/conf\n/lib/x86_64-linux-gnu\n{CONF}\n".encode())
        return fixed

    def agree(self, answer, status, listed, traced):
        """Whether an answer is what --list said and, where that failed, the tracing loader."""
        problems = {}
        for each in answer["problems"]:
            problems.setdefault(each["kind"], []).append(each["detail"])
        if not answer["objects"]:  # the file itself is hidden, or for another machine
            return status == "127" and set(problems) <= {"missing program", "wrong program"}
        fatal = problems.get("bad library", []) + problems.get("missing library", [])
        if (status != "0") != bool(fatal) or (fatal and not any(detail in listed for detail in fatal)):
            return False
        if "bad library" in problems:  # the loader ends there and lists nothing
            return problems["bad library"][0] in traced
        text = traced or listed
        complaints = set(re.findall(r"version `.+' not found \(required by .+\)", text))
        return loader.ours(answer) == loader.listed(text) and set(problems.get("missing version", [])) == complaints

    def compare(self, stack, requests, wanted):
        """Compares; `wanted`: how many files at least have a library from such a place, or from such a layer."""
        level, platform = loader.processor()
        answers = loader.run_driver("--stack", str(level), platform, *stack, requests=requests)
        self.write("asked/requests", "".join("\t".join(r) + "\n" for r in requests))
        ran = stacks.run_in_stack(self.tmp, [*stack, self.tmp / "asked"], ["/bin/sh", "-c", LIST, "sh", "/requests"])
        self.assertEqual((ran.status, ran.stderr), (0, ""), ran)
        texts = re.split(r"^==(?: (\d+))?\n", ran.stdout, flags=re.M)
        seen, different = Counter(), []
        self.assertEqual((len(texts) // 4, len(answers)), (len(requests), len(requests)))
        for request, answer, first, status, traced in zip(requests, answers, texts[::4], texts[1::4], texts[2::4]):
            if not self.agree(answer, status, first, traced):
                different.append((request, answer, first, traced))
                continue
            objects = [o for o in answer["objects"][1:] if o["via"] != "interpreter"]
            seen.update({"compared": bool(answer["objects"]), "passed over": any(o["skipped"] for o in objects)})
            seen["program" if ".so" not in os.path.basename(request[0]) else "library"] += 1
            vias = {o["via"] for o in objects}
            seen.update(vias | {o["layer"] for o in objects} | ({"rpath or runpath"} if vias & {"rpath", "runpath"} else set()))
        self.seen += seen
        self.assertEqual(different[:3], [], f"{len(different)} of {len(requests)} differ, seed {lib.chosen_seed()}")
        for what, least in wanted.items():
            self.assertGreaterEqual(seen[what], least, f"{what}: {seen}")

    def test_the_same_libraries_from_the_same_places(self):
        chance, self.seen = random.Random(lib.chosen_seed()), Counter()
        files, libraries = self.choose()
        layers = Layers(self.tmp, chance, [each.real for each in libraries])
        fixed = self.tools(layers)
        self.usual_places(layers, files, [*fixed, *libraries], {each.real for each in fixed})
        moved = self.app_places(layers, files, [each for each in libraries if each not in fixed])
        self.env_places(layers, [each for each in libraries if each not in fixed])
        self.assertEqual(len(layers.done), 6, layers.done)
        # The lowest layer's cache knows nothing of the others, as that of a base image.
        self.assertEqual(loader.start(layers.folders[0], ["/sbin/ldconfig", "-X"])[0], 0)
        bottom, middle, top = layers.folders
        stack = [lib.make_erofs(self.tmp / "bottom.erofs", bottom),
                 lib.make_erofs(self.tmp / "middle.erofs", middle, options=["-zlz4"]), top]
        everywhere = {"compared": LEAST, "program": 60, "library": 60, "missing": 10, **{path.name: 100 for path in stack}}
        plain = [(f, "") for f in files]
        with self.subTest("plain"):
            self.compare(stack, plain, {**everywhere, "cache": 100, "default": 100})
        with self.subTest("RUNPATH"):
            self.compare(stack, [(f, "") for f in moved], {**everywhere, "rpath or runpath": LEAST, "rpath": 30, "cache": 100})
        with self.subTest("LD_LIBRARY_PATH"):
            requests = [(f, chance.choice(LIBRARY_PATHS)) for f in files]
            self.compare(stack, requests, {**everywhere, "LD_LIBRARY_PATH": LEAST})
        with self.subTest("plain, with a cache of all layers on top of them"):
            ran = stacks.run_in_stack(self.tmp, stack, ["/bin/sh", "-c", "ldconfig -X -C /tmp/cache && cat /tmp/cache"])
            self.assertEqual(ran.status, 0, ran)
            cache = self.write("finish/etc/ld.so.cache", ran.stdout.encode("utf-8", "surrogateescape"))
            self.compare([*stack, cache.parents[1]], plain, {**everywhere, "cache": LEAST})
        self.assertGreaterEqual(self.seen["passed over"], 20)


if __name__ == "__main__":
    unittest.main()
