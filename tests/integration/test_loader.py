"""The resolver against the real loader: what glibc's ld.so loads, from where, and what it complains of.

The loader runs in the very root that the resolver reads: by chroot, as root or in a user namespace.
"""

import ctypes
import functools
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.integration import lib

LD = "/lib64/ld-linux-x86-64.so.2"
LIBRARIES = "/lib/x86_64-linux-gnu"
SEED = 20240229
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000


def driver():
    return lib.BINARY.parents[2] / "tests/support/loader-driver"


def enter(root):
    """What a child does first to have `root` as its root, with /proc in it; None for this machine's own root.

    The loader asks /proc/self/exe where the program lies ($ORIGIN).
    """
    if str(root) == "/":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    proc = os.fsencode(os.path.join(root, "proc"))
    os.makedirs(proc, exist_ok=True)

    def in_child():
        if libc.unshare(CLONE_NEWNS) != 0 and libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0 \
                or libc.mount(b"/proc", proc, None, MS_BIND | MS_REC, None) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        os.chroot(root)
        os.chdir("/")
    return in_child


@functools.lru_cache(None)
def may_chroot():
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(["/nothing"], preexec_fn=enter(folder), check=False)
        except FileNotFoundError:
            return True
        except (OSError, subprocess.SubprocessError):
            return False


def start(root, argv, **env):
    """(status, stdout, stderr) of a program started in a root; status "ENOENT" or the like if it could not be."""
    try:
        done = subprocess.run(argv, env=env, preexec_fn=enter(root), cwd="/", stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60)
    except OSError as error:
        return os.strerror(error.errno), "", ""
    return done.returncode, *(b.decode("utf-8", "surrogateescape") for b in (done.stdout, done.stderr))


@functools.lru_cache(None)
def processor():
    """(x86-64 level, AT_PLATFORM) that this machine's loader sees."""
    text = lib.run_command([LD, "--help"]).stdout
    levels = [int(n) for n in re.findall(r"^  x86-64-v(\d) \(supported, searched\)", text, re.M)]
    platform = re.search(r'^dl_platform="(.*)"', lib.run_command([LD, "--list-diagnostics"]).stdout, re.M)
    return max(levels, default=1), platform[1] if platform else "x86_64"


def resolve(root, requests):
    """Our answers for requests (program, LD_LIBRARY_PATH, LD_PRELOAD), in their order."""
    level, platform = processor()
    return run_driver(root, str(level), platform, requests=requests)


def run_driver(*words, requests):
    text = "".join("\t".join(r if isinstance(r, tuple) else (r,)) + "\n" for r in requests)
    done = lib.run_command([driver(), *words], stdin=text.encode("utf-8", "surrogateescape"))
    if done.status != 0 or "Sanitizer" in done.stderr:
        raise AssertionError(str(done))
    return json.loads(done.stdout)


def ours(answer):
    """{name: path or None} of what is loaded beside the program itself."""
    return {o["path"] if o["via"] == "interpreter" else o["name"]: o["path"] or None for o in answer["objects"][1:]}


def truth(root, program, library_path="", preload="", direct=False):
    """The same from the real loader, and what it wrote on stderr. `direct`: the program is started itself."""
    env = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "1"}
    env.update({k: v for k, v in (("LD_LIBRARY_PATH", library_path), ("LD_PRELOAD", preload)) if v})
    status, out, err = start(root, [program] if direct else [LD, program], **env)
    return status, listed(out), err


def listed(out):
    """What the loader's list says, as ours() gives it."""
    found = {}
    for line in out.splitlines():
        if match := re.fullmatch(r"\t(.+) => not found", line):
            found[match[1]] = None
        elif match := re.fullmatch(r"\t(.+) => (.+) \(0x[0-9a-f]+\)", line):
            found[match[1]] = match[2]
        elif (match := re.fullmatch(r"\t(.+) \(0x[0-9a-f]+\)", line)) and match[1] != "linux-vdso.so.1":
            found[match[1]] = match[1]
    return found


def elf_header(path):
    """(class, e_type, e_machine) of an ELF file, or None."""
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError:
        return None
    return (head[4], head[16], head[18] + 256 * head[19]) if head[:4] == b"\x7fELF" and len(head) == 20 else None


@functools.lru_cache(None)
def machine_files():
    """Dynamic x86_64 programs and libraries of this machine: real paths, sorted."""
    found = set()
    for top in ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec"):
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if (top != "/usr/lib" or ".so" in name) and os.path.isfile(path):
                    found.add(os.path.realpath(path))
    return sorted(p for p in found if elf_header(p) in ((2, 2, 62), (2, 3, 62)) and "\t" not in p and "\n" not in p)


def sample(items, count):
    """`count` of the items, spread evenly."""
    return items if len(items) <= count else [items[i * len(items) // count] for i in range(count)]


def soname(path):
    match = re.search(r"Library soname: \[(.+)\]", lib.run_command(["readelf", "-d", path]).stdout)
    return match[1] if match else None


def foreign_elf(machine=lib.MACHINE_AARCH64, bits=64):
    """The header of an ELF file that this machine's loader passes over."""
    text = bytearray(lib.make_runtime(kind=0, machine=machine))
    text[4] = 2 if bits == 64 else 1
    return bytes(text)


needs_loader = unittest.skipUnless(os.path.exists(LD) and os.uname().machine == "x86_64", "no x86_64 glibc here")
needs_chroot = unittest.skipUnless(may_chroot(), "may neither chroot nor make a user namespace")
needs_compiler = lib.needs_tool("cc", "ld", "readelf")


@needs_loader
class ThisMachine(lib.TestCase):
    """Real programs and libraries, where they are installed."""

    def compare(self, files, library_path=""):
        answers = resolve("/", [(f, library_path) for f in files])
        compared = 0
        for file, answer in zip(files, answers):
            if answer["static"]:
                continue
            status, found, err = truth("/", file, library_path)
            with self.subTest(file=file):
                self.assertEqual(ours(answer), found, err)
                if status == 0:
                    self.assertNotIn("bad library", [p["kind"] for p in answer["problems"]])
                # LD_WARN makes the loader complain of versions.
                said = {p["detail"] for p in answer["problems"] if p["kind"] == "missing version"}
                self.assertEqual(said, set(re.findall(r"version `.+' not found \(required by .+\)", err)), err)
            compared += 1
        return compared

    def test_plain(self):
        self.assertGreaterEqual(self.compare(sample(machine_files(), 700)), 300)

    def test_library_path(self):
        with_libraries = {os.path.dirname(p) for p in machine_files() if ".so" in p and soname(p)}
        folders = sample(sorted(with_libraries), 8)
        path = ":".join([*folders, "/nowhere", f"$LIB:/usr/$LIB/:{LIBRARIES}//;/usr/lib"])
        self.assertGreaterEqual(self.compare(sample(machine_files(), 320), path), 300)


class InRoot(lib.TestCase):
    """A root of the test's own, with a loader and a C library of this machine."""

    def setUp(self):
        self.root = self.tmp / "root"
        for name in (LD, f"{LIBRARIES}/libc.so.6", f"{LIBRARIES}/libm.so.6"):
            self.put(name, Path(name).read_bytes())
        self.seen_as = {}

    def put(self, path, content, mode=0o755):
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
            place.chmod(mode)
        else:
            place.symlink_to(content)
        return place

    def run_tool(self, *argv):
        done = lib.run_command(argv, cwd=self.tmp)
        self.assertEqual(done.status, 0, str(done))

    def ldconfig(self):
        tool = shutil.which("ldconfig", path="/sbin:/usr/sbin")
        if not tool:
            self.skipTest("no ldconfig")
        if not (self.root / "sbin/ldconfig").exists():
            self.put("/sbin/ldconfig", Path(tool).read_bytes())
        (self.root / "etc").mkdir(exist_ok=True)
        self.assertEqual(start(self.root, ["/sbin/ldconfig", "-X"])[0], 0)


@needs_loader
@needs_chroot
@needs_compiler
class Layouts(InRoot):
    """Real libraries, scattered at random over the places that the loader searches, with decoys before them."""

    PLACES = ("/app/lib", "/app/lib/sub", "/env/one", "/env/two", "/opt/conf", LIBRARIES, "/usr" + LIBRARIES, "/usr/lib",
              f"{LIBRARIES}/glibc-hwcaps/x86-64-v2", "/app/lib/glibc-hwcaps/x86-64-v3", "/env/one/glibc-hwcaps/x86-64-v2",
              "/opt/conf/glibc-hwcaps/x86-64-v2", "/opt/conf/glibc-hwcaps/x86-64-v3", "/env/two/tls", "/usr/lib/x86_64")
    PATHS = ("$ORIGIN/../lib", "${ORIGIN}/../lib/sub:$ORIGIN/../lib", "/none:$ORIGIN/../lib/", "/env/one", "/usr/$LIB", "/opt/conf")
    ENVIRONMENTS = ("", "", "/env/one:/env/two", "/env/two;/none:$ORIGIN/../lib", "env/one::/app/lib/sub", "/usr/$LIB:/opt/$PLATFORM")

    def scatter(self, chance):
        """Copies libraries of this machine to one or more places each; gives [(soname, original)]."""
        libraries = {}
        candidates = [p for p in machine_files() if p.startswith("/usr/lib/x86_64-linux-gnu/")
                      and os.path.getsize(p) < 300_000]
        for path in sample(candidates, 420):
            name = soname(path)
            if name and "/" not in name and name not in libraries and not name.startswith("ld-linux"):
                libraries[name] = path
        for name, path in libraries.items():
            content = Path(path).read_bytes()
            for place in chance.sample(self.PLACES, chance.choice((1, 1, 2, 3))):
                self.put(f"{place}/{name}", chance.choice((foreign_elf(), foreign_elf(3, 32))) if chance.random() < 0.15
                         else content)
        self.put("/app/lib/other-name.so", "sub/../../../usr/lib/link-target")
        return sorted(libraries.items())

    def programs(self, chance, libraries, count):
        """Small programs that need some of the libraries; gives their paths."""
        self.run_tool("cc", "-c", "-x", "c", "/dev/null", "-o", self.tmp / "empty.o")
        (self.root / "app/bin").mkdir(parents=True, exist_ok=True)
        made = []
        for i in range(count):
            needed = [libraries[(i + k * 37) % len(libraries)][1] for k in range(chance.choice((1, 1, 2, 4)))]
            options = []
            if chance.random() < 0.75:
                tags = chance.choice(("--enable-new-dtags", "--disable-new-dtags"))
                options = [tags, "-rpath", chance.choice(self.PATHS)]
            if chance.random() < 0.1:
                options += ["-z", "nodefaultlib"]
            program = f"/app/bin/p{i}"
            self.run_tool("ld", "-pie", "-e", "0", "--dynamic-linker", LD, "-o", self.root / program[1:], self.tmp / "empty.o",
                          "--unresolved-symbols=ignore-all", "--no-as-needed", *options, *needed)
            made.append(program)
        return made

    def compare(self, requests):
        vias, different = {}, []
        for (program, path), answer in zip(requests, resolve(self.root, requests)):
            status, found, err = truth(self.root, program, path, direct=True)
            for each in answer["objects"][1:]:
                vias[each["via"]] = vias.get(each["via"], 0) + 1
            # Where something is no library at all, the loader ends there and lists nothing.
            bad = [p["detail"] for p in answer["problems"] if p["kind"] == "bad library"]
            if (bad and bad[0] not in err) if status != 0 else ours(answer) != found:
                different.append((program, path, {k: v for k, v in ours(answer).items() if found.get(k, 0) != v}, found, err))
        self.assertEqual(different[:3], [], f"{len(different)} of {len(requests)} differ, seed {SEED}")
        return vias

    def test_scattered_libraries(self):
        chance = random.Random(SEED)
        self.put("/etc/ld.so.conf", b"include ld.so.conf.d/*.conf\n")
        self.put("/etc/ld.so.conf.d/opt.conf", b"/opt/conf\n")
        libraries = self.scatter(chance)
        self.assertGreater(len(libraries), 100)
        programs = self.programs(chance, libraries, 330)
        for cached in (False, True):
            if cached:
                self.ldconfig()
            for layout, fixed in (("plain or RUNPATH", [""]), ("LD_LIBRARY_PATH", self.ENVIRONMENTS)):
                with self.subTest(layout=layout, cached=cached):
                    vias = self.compare([(p, chance.choice(fixed)) for p in programs])
                    wanted = {"rpath", "runpath", "default", "interpreter", "missing"} | ({"cache"} if cached else set())
                    self.assertLessEqual(wanted, set(vias), vias)
        # A cache that we write is as good as ldconfig's.
        before = start(self.root, ["/sbin/ldconfig", "-p"])
        made = self.tmp / "made.cache"
        self.run_tool(driver(), "--rewrite-cache", self.root / "etc/ld.so.cache", made)
        self.put("/etc/ld.so.cache", made.read_bytes())
        after = start(self.root, ["/sbin/ldconfig", "-p"])
        drop = re.compile("Cache generated by.*")
        self.assertEqual(drop.sub("", after[1]), drop.sub("", before[1]))
        self.compare([(p, "") for p in programs[::3]])


@needs_loader
@needs_chroot
@needs_compiler
class Problems(InRoot):
    """What we say is wrong is what happens when the program is started."""

    def library(self, path, *options, source="int answer(void) { return 42; }"):
        self.write("library.c", source)
        place = self.put(path, b"")
        self.run_tool("cc", "-shared", "-fPIC", "-o", place, f"-Wl,-soname,{os.path.basename(path)}", *options, "library.c")
        return place

    def program(self, *options, path="/app", source="int answer(void); int main(void) { return answer() - 42; }"):
        self.write("program.c", source)
        self.put(path, b"")
        self.run_tool("cc", "-o", self.root / path[1:], "program.c", *options)
        return path

    def expect(self, *problems, skipped=(), status=127, program="/app", preload=""):
        """Compares with [(kind, object, detail)], and the details with what the program says when it is started."""
        answer, = resolve(self.root, [(program, "", preload)])
        self.assertEqual([(p["kind"], p["object"], p["detail"]) for p in answer["problems"]], list(problems))
        self.assertEqual([(s["path"], s["why"]) for o in answer["objects"] for s in o["skipped"]], list(skipped))
        ran, _, err = start(self.root, [program], **({"LD_PRELOAD": preload} if preload else {}))
        self.assertEqual(ran, status, err)
        self.assertEqual(answer["starts"], status == 0)
        return err

    def test_a_missing_library(self):
        self.library("/x/libgone.so.1")
        self.program("-Wl,-rpath,/x", self.root / "x/libgone.so.1")
        self.expect(status=0)
        (self.root / "x/libgone.so.1").unlink()
        text = "cannot open shared object file: No such file or directory"
        self.assertIn(f"libgone.so.1: {text}", self.expect(("missing library", "libgone.so.1", text)))

    def test_a_missing_symbol_version(self):
        self.write("one.map", "V1 { global: answer; };\n")
        self.write("two.map", "V1 { global: other; };\nV2 { global: answer; } V1;\n")
        source = "int other(void) { return 1; } int answer(void) { return 42; }"
        self.library("/x/libv.so.1", "-Wl,--version-script,two.map", source=source)
        self.program("-Wl,-rpath,/x", self.root / "x/libv.so.1")
        self.expect(status=0)
        self.library("/x/libv.so.1", "-Wl,--version-script,one.map", source=source)
        text = "version `V2' not found (required by /app)"
        self.assertIn(f"/app: /x/libv.so.1: {text}", self.expect(("missing version", "/x/libv.so.1", text), status=1))
        # A library without any versions: a warning, and the program runs.
        self.library("/x/libv.so.1", source="#include <stdlib.h>\nint answer(void) { return atoi(\"42\"); }")
        text = "no version information available (required by /app)"
        self.assertIn(text, self.expect(("no version table", "/x/libv.so.1", text), status=0))

    def test_files_of_other_machines_come_first(self):
        self.library("/y/libx.so.1")
        self.program("-Wl,-rpath,/x:/y", self.root / "y/libx.so.1")
        self.put("/x/libx.so.1", foreign_elf())
        self.expect(status=0, skipped=[("/x/libx.so.1", "is for aarch64")])
        self.put("/x/libx.so.1", foreign_elf(3, 32))
        self.expect(status=0, skipped=[("/x/libx.so.1", "wrong ELF class: ELFCLASS32")])
        (self.root / "y/libx.so.1").unlink()
        err = self.expect(("missing library", "libx.so.1", "wrong ELF class: ELFCLASS32"),
                          skipped=[("/x/libx.so.1", "wrong ELF class: ELFCLASS32")])
        self.assertIn("libx.so.1: wrong ELF class: ELFCLASS32", err)
        self.put("/x/libx.so.1", foreign_elf())
        text = "cannot open shared object file: No such file or directory"
        err = self.expect(("missing library", "libx.so.1", text), skipped=[("/x/libx.so.1", "is for aarch64")])
        self.assertIn(f"libx.so.1: {text}", err)

    def test_files_that_are_no_libraries(self):
        good = self.library("/y/libx.so.1").read_bytes()
        self.program("-Wl,-rpath,/x:/y", self.root / "y/libx.so.1")

        def patched(at, byte):
            return good[:at] + bytes([byte]) + good[at + 1:]

        self.program("-pie", path="/pie", source="int main(void) { return 0; }")
        self.program("-no-pie", path="/fixed", source="int main(void) { return 0; }")
        cases = [(b"x" * 100, "invalid ELF header"), (b"", "file too short"),
                 (patched(5, 2), "ELF file data encoding not little-endian"),
                 (patched(6, 0), "ELF file version ident does not match current one"),
                 (patched(7, 9), "ELF file OS ABI invalid"), (patched(8, 1), "ELF file ABI version invalid"),
                 (patched(10, 2), "nonzero padding in e_ident"),
                 (patched(20, 2), "ELF file version does not match current one"),
                 (patched(16, 1), "only ET_DYN and ET_EXEC can be loaded"),
                 (patched(0x36, 57), "ELF file's phentsize not the expected size"),
                 ((self.root / "pie").read_bytes(), "cannot dynamically load position-independent executable"),
                 ((self.root / "fixed").read_bytes(), "cannot dynamically load executable")]
        for content, text in cases:
            with self.subTest(text):
                self.put("/x/libx.so.1", content)
                self.assertIn(text, self.expect(("bad library", "/x/libx.so.1", text)))
        (self.root / "x/libx.so.1").unlink()
        (self.root / "x/libx.so.1").mkdir()
        text = "cannot read file data: Error 21"
        self.assertIn(text, self.expect(("bad library", "/x/libx.so.1", f"is a directory ({text})")))

    def test_a_missing_interpreter_and_one_of_another_machine(self):
        self.program("-Wl,--dynamic-linker=/lib64/none.so", source="int main(void) { return 0; }")
        self.expect(("missing interpreter", "/lib64/none.so", "No such file or directory"),
                    ("missing library", "ld-linux-x86-64.so.2", "cannot open shared object file: No such file or directory"),
                    status="No such file or directory")
        self.put("/lib64/none.so", foreign_elf())
        self.expect(("wrong interpreter", "/lib64/none.so", "is for aarch64, expected x86_64"),
                    ("missing library", "ld-linux-x86-64.so.2", "cannot open shared object file: No such file or directory"),
                    status="Accessing a corrupted shared library")

    def test_a_directory_over_lib64(self):
        (self.root / "usr").mkdir()
        (self.root / "lib64").rename(self.root / "usr/lib64")
        self.put("/lib64", "usr/lib64")
        self.program(source="int main(void) { return 0; }")
        self.expect(status=0)
        (self.root / "lib64").unlink()
        (self.root / "lib64").mkdir()
        answer, = resolve(self.root, ["/app"])
        self.assertEqual((answer["problems"][0]["kind"], answer["problems"][0]["object"]), ("missing interpreter", LD))
        self.assertEqual(start(self.root, ["/app"])[0], "No such file or directory")

    def test_an_isa_level_that_no_processor_has(self):
        place = self.library("/x/libx.so.1", "-Wl,-z,x86-64-v2")
        self.program("-Wl,-rpath,/x", place)
        self.expect(status=0)
        note = b"\x02\x80\x00\xc0\x04\x00\x00\x00"  # GNU_PROPERTY_X86_ISA_1_NEEDED, 4 bytes
        content = place.read_bytes()
        self.assertEqual(content.count(note), 1)
        at = content.index(note) + len(note)
        place.write_bytes(content[:at] + b"\x10" + content[at + 1:])
        offered = processor()[0]
        detail = f"CPU ISA level is lower than required (x86-64-v5; x86-64-v{offered} is on offer)"
        err = self.expect(("isa level", "/x/libx.so.1", detail))
        self.assertIn("/x/libx.so.1: CPU ISA level is lower than required", err)

    def test_a_preloaded_object_that_is_missing(self):
        self.library("/y/libx.so.1")
        self.program("-Wl,-rpath,/y", self.root / "y/libx.so.1")
        text = "cannot open shared object file"
        err = self.expect(("preload", "/none.so", text + ": No such file or directory"), status=0, preload="/none.so")
        self.assertIn(text, err)


if __name__ == "__main__":
    unittest.main()
