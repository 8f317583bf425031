"""What is said of an application on a stack, held against what happens when it is started there."""

import json
import os
import shutil
import subprocess
import unittest
from pathlib import Path

from tests.integration import lib

DRIVER = Path(os.environ.get("ORCH_VERIFY_DRIVER", lib.BINARY.parents[2] / "tests/support/verify-driver"))


@lib.needs_tool("cc", "unshare")
@unittest.skipUnless(os.geteuid() == 0, "chroot needs root")
class Verify(lib.TestCase):
    """A base with the C library of this machine; programs and libraries that the compiler makes."""

    def setUp(self):
        self.base = self.tmp / "base"
        self.app = self.tmp / "app"
        (self.app / "usr/bin").mkdir(parents=True)
        (self.app / "usr/lib").mkdir()
        listed = lib.run_command(["ldd", "/bin/sh"]).stdout
        for path in {word for word in listed.split() if word.startswith("/")} | {"/bin/sh"}:
            (self.base / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.base / path.lstrip("/"))
        self.script('exec "$APPDIR/usr/bin/app"\n')

    def script(self, text):
        path = self.app / "AppRun"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def library(self, name, *options, source="int answer(void) { return 42; }\n"):
        path = self.app / "usr/lib" / name
        self.compile(source, path, "-shared", "-fPIC", f"-Wl,-soname,{name}", *options)
        return path

    def compile(self, source, path, *options):
        (self.tmp / "source.c").write_text(source)
        done = subprocess.run(["cc", "-o", path, self.tmp / "source.c", *map(str, options)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def program(self, *options, source="int answer(void);\nint main(void) { return answer() == 42 ? 0 : 1; }\n", name="app"):
        self.compile(source, self.app / "usr/bin" / name, *options)

    def report(self):
        done = lib.run_command([DRIVER, self.app, self.base])
        self.assertEqual(done.status, 0, done)
        return json.loads(done.stdout)

    def starts(self):
        """Whether it starts in truth: the base as root file system, the application where the driver has it."""
        root = self.tmp / "root"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.base, root, symlinks=True)
        shutil.copytree(self.app, root / "run/app", symlinks=True)
        (root / "proc").mkdir()  # $ORIGIN of a program comes from /proc/self/exe
        script = 'mount --bind /proc "$0/proc" && exec chroot "$0" /run/app/AppRun'
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APPDIR": "/run/app"}
        return subprocess.run(["unshare", "-m", "sh", "-c", script, root], env=env, capture_output=True).returncode == 0

    def missing(self, report, severity="required"):
        return [(m["soname"], m["kind"]) for m in report["missing"] if m["severity"] == severity]

    def check(self, ok):
        report = self.report()
        self.assertEqual(report["ok"], ok, report)
        self.assertEqual(self.starts(), ok, report)
        return report

    def test_complete(self):
        self.program(self.library("libanswer.so.1"), "-Wl,-rpath,$ORIGIN/../lib")
        report = self.check(True)
        self.assertEqual(report["missing"], [])
        (needed,) = [o for o in report["objects"] if o["path"] == "/run/app/usr/bin/app"]
        self.assertEqual({n["soname"]: n["layer"] for n in needed["needs"]}, {"libanswer.so.1": "app", "libc.so.6": "layer1"})

    def test_by_the_library_path_of_the_script(self):
        self.program(self.library("libanswer.so.1"))
        self.assertEqual(self.missing(self.check(False)), [("libanswer.so.1", "missing library")])
        self.script('HERE=${0%/*}\nexport LD_LIBRARY_PATH="$HERE/usr/lib:$LD_LIBRARY_PATH"\nexec "$HERE/usr/bin/app"\n')
        report = self.check(True)
        self.assertEqual(report["library_path"], ["/run/app/usr/lib"])

    def test_missing_library(self):
        path = self.library("libanswer.so.1")
        self.program(path, "-Wl,-rpath,$ORIGIN/../lib")
        path.unlink()
        report = self.check(False)
        self.assertEqual(self.missing(report), [("libanswer.so.1", "missing library")])
        self.assertEqual(report["missing"][0]["needed_by"], ["/run/app/usr/bin/app"])

    def test_missing_symbol_version(self):
        script = self.tmp / "versions"
        script.write_text("ANSWER_2 { global: answer; };\n")
        path = self.library("libanswer.so.1", f"-Wl,--version-script,{script}")
        self.program(path, "-Wl,-rpath,$ORIGIN/../lib")
        self.check(True)
        script.write_text("ANSWER_1 { global: answer; };\n")
        self.library("libanswer.so.1", f"-Wl,--version-script,{script}")
        (item,) = [m for m in self.check(False)["missing"] if m["severity"] == "required"]
        self.assertEqual((item["kind"], item["version"]), ("missing version", "ANSWER_2"))

    def test_a_file_of_another_architecture_comes_first(self):
        path = self.library("libanswer.so.1")
        self.program(path, "-Wl,-rpath,$ORIGIN/../lib")
        foreign = bytearray(path.read_bytes())
        foreign[18:20] = (183).to_bytes(2, "little")
        path.write_bytes(foreign)
        self.assertEqual(self.missing(self.check(False)), [("libanswer.so.1", "missing library")])
        (self.base / "usr/lib").mkdir(parents=True, exist_ok=True)
        foreign[18:20] = (62).to_bytes(2, "little")
        (self.base / "usr/lib/libanswer.so.1").write_bytes(foreign)
        self.check(True)

    def test_missing_interpreter(self):
        self.program(self.library("libanswer.so.1"), "-Wl,-rpath,$ORIGIN/../lib", "-Wl,--dynamic-linker,/lib/nowhere.so")
        self.assertIn(("/lib/nowhere.so", "missing interpreter"), self.missing(self.check(False)))

    def test_missing_shell(self):
        self.program(self.library("libanswer.so.1"), "-Wl,-rpath,$ORIGIN/../lib")
        (self.base / "bin/sh").unlink()
        self.assertEqual(self.missing(self.check(False))[0][0], "/bin/sh")

    def test_a_broken_plugin_that_nothing_reaches_is_optional(self):
        self.program(self.library("libanswer.so.1"), "-Wl,-rpath,$ORIGIN/../lib")
        gone = self.library("libgone.so.3")
        self.library("plugin.so", "-Wl,--no-as-needed", gone)
        gone.unlink()
        report = self.check(True)
        self.assertEqual(self.missing(report, "optional"), [("libgone.so.3", "missing library")])

    def test_names_of_libraries_in_strings_are_hints(self):
        self.program(self.library("libanswer.so.1"), "-Wl,-rpath,$ORIGIN/../lib",
                     source='int answer(void);\nconst char *name = "libmaybe.so.7";\nint main(void) { return answer() != 42; }\n')
        report = self.check(True)
        self.assertEqual(self.missing(report, "hint"), [("libmaybe.so.7", "missing library")])


if __name__ == "__main__":
    unittest.main()
