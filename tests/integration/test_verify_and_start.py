"""What `verify` says of an AppImage on a stack, held against what happens when `run` starts it there all the same."""

import os
import unittest

from tests.integration import lib
from tests.integration.launching import LaunchCase

SCRIPT = 'exec "$APPDIR/usr/bin/app"\n'
PROGRAM = '#include <stdio.h>\nint answer(void);\nint main(void) { return puts("works") < 0 || answer() != 42; }\n'
RPATH = "-Wl,-rpath,$ORIGIN/../lib"
LIBRARY = "usr/lib/libanswer.so.1"
NOT_FOUND = "app: error while loading shared libraries: libanswer.so.1: "
ABSENT = NOT_FOUND + "cannot open shared object file: No such file or directory"


@unittest.skipUnless(lib.can_mount_erofs() or lib.user_namespaces(), "neither mounts nor user namespaces")
@lib.needs_tool("cc", "mksquashfs", "mkfs.erofs")
class VerifyAndStart(LaunchCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tree = lib.copy_programs(cls.shared / "tree", ["/bin/sh"])
        (tree / "etc/os-release").write_text("ID=own\nVERSION_ID=1\n")  # of a distribution whose packages nobody is asked for
        cls.base = lib.make_erofs(cls.shared / "own.erofs", tree)

    def compile(self, source, name, *options):
        """The bytes of what the compiler makes."""
        self.write("source.c", source)
        place = self.tmp / "compiled" / name
        place.parent.mkdir(exist_ok=True)
        done = lib.run_command(["cc", "-o", place, "source.c", *options], cwd=self.tmp)
        self.assertEqual(done.status, 0, done)
        return place.read_bytes()

    def library(self, *options, source="int answer(void) { return 42; }\n", name="libanswer.so.1"):
        return self.compile(source, name, "-shared", "-fPIC", f"-Wl,-soname,{name}", *options)

    def program(self, *options):
        """Of the library that was made last."""
        return self.compile(PROGRAM, "app", self.tmp / "compiled/libanswer.so.1", *options)

    def image(self, files):
        return lib.make_erofs(self.tmp / "image.erofs", lib.make_tree(self.tmp / "image", files))

    def verify(self, profile, status):
        """What is missing, [(severity, kind, soname)], and the document."""
        document = self.orch("verify", profile, "--format", "json", status=status).json
        self.assertEqual(document["ok"], status == 0)
        return [(m["severity"], m["kind"], m["soname"]) for m in document["missing"] if m["severity"] != "hint"], document

    def start(self, profile, *options, status, outcome):
        """Runs it; gives its log and the report of the run."""
        self.orch("run", profile, "--launcher", "native", *options, ok=None, status=status)
        report = self.report()
        self.assertEqual((report["outcome"], report["exit_status"], report["launcher"]), (outcome, status, "native"), report)
        return self.log().decode(), report

    def works(self, files, missing=(), *, script=SCRIPT, profile=""):
        app = self.app(script, files=files, profile=profile)
        self.assertEqual(self.verify(app, 0)[0], list(missing))
        log, report = self.start(app, status=0, outcome="exited")
        self.assertEqual((log, report["verify"]["ok"]), ("works\n", True))

    def fails(self, files, missing, says, *, script=SCRIPT, profile="", status=127, outcome="exited", detail="", version="", signature=None):
        """`says`: what its log has or, if nothing was started, the error of the report; `signature`: what the report makes of it."""
        app = self.app(script, files=files, profile=profile)
        found, document = self.verify(app, 1)
        self.assertEqual([item for item in found if item[0] == "required"], missing)
        self.assertIn(detail, document["missing"][0]["detail"])
        self.assertEqual(document["missing"][0]["version"], version)
        # A run that looks stops there.
        _, report = self.start(app, status=125, outcome="preflight_failed")
        self.assertEqual(report["verify"]["ok"], False)
        log, report = self.start(app, "--verify", "off", status=status, outcome=outcome)
        self.assertIn(says, log if outcome == "exited" else report["error"]["what"])
        self.assertNotIn("works", log)
        if signature:
            self.assertEqual([s["id"] for s in report["signatures"]], [signature])
            self.assertIn(f"{report['signatures'][0]['meaning']}: {report['signatures'][0]['action']}", report["advice"])

    def test_a_missing_library(self):
        whole = {LIBRARY: self.library(), "usr/bin/app": self.program(RPATH)}
        self.works(whole)
        self.fails({"usr/bin/app": whole["usr/bin/app"]}, [("required", "missing library", "libanswer.so.1")], ABSENT, signature="library")

    def test_a_missing_symbol_version(self):
        script = self.write("versions", "ANSWER_2 { global: answer; };\n")
        good = self.library(f"-Wl,--version-script,{script}")
        program = self.program(RPATH)
        self.write("versions", "ANSWER_1 { global: answer; };\n")
        old = self.library(f"-Wl,--version-script,{script}")
        self.works({LIBRARY: good, "usr/bin/app": program})
        missing = [("required", "missing version", "/AppDir/usr/bin/../lib/libanswer.so.1")]
        self.fails({LIBRARY: old, "usr/bin/app": program}, missing,
                   "libanswer.so.1: version `ANSWER_2' not found (required by ", status=1, version="ANSWER_2",
                   signature="symbol-version")

    def test_a_version_of_glibc_that_nobody_has(self):
        """A program of a newer distribution: the same bytes with another version's name and hash."""
        def elf_hash(name):
            value = 0
            for byte in name:
                value = (value << 4) + byte
                value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
            return value
        program = self.compile('#include <stdio.h>\nint main(void) { return puts("works") < 0; }\n', "app")
        versions = [v for v in (b"GLIBC_2.34", b"GLIBC_2.17", b"GLIBC_2.2.5") if v + b"\0" in program]
        old, new = versions[0], b"GLIBC_2.99"[:len(versions[0])]
        self.assertEqual(len(old), len(new), "the C library of this machine has other versions")
        newer = program.replace(old + b"\0", new + b"\0").replace(elf_hash(old).to_bytes(4, "little"), elf_hash(new).to_bytes(4, "little"))
        library = next(p for p in ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6") if os.path.exists(p))
        self.works({"usr/bin/app": program})
        self.fails({"usr/bin/app": newer}, [("required", "missing version", library)], "version `GLIBC_2.99' not found (required by ",
                   status=1, version="GLIBC_2.99", signature="symbol-version")

    def test_a_file_of_another_architecture_first_in_the_path(self):
        good = self.library()
        program = self.program("-Wl,-rpath,$ORIGIN/../lib/first:$ORIGIN/../lib")
        foreign = good[:18] + lib.MACHINE_AARCH64.to_bytes(2, "little") + good[20:]
        narrow = self.library("-m32", "-nostdlib", "-Wl,--build-id=none")
        for name, bad, says, detail in (("aarch64", foreign, ABSENT, "libanswer.so.1 (is for aarch64)"),
                                        ("32 bits", narrow, NOT_FOUND + "wrong ELF class: ELFCLASS32", "ELFCLASS32")):
            with self.subTest(name):
                files = {"usr/lib/first/libanswer.so.1": bad, "usr/bin/app": program}
                self.fails(files, [("required", "missing library", "libanswer.so.1")], says, detail=detail)
                self.works({**files, LIBRARY: good}, [("optional", "wrong program", "/AppDir/usr/lib/first/libanswer.so.1")])

    def test_a_missing_interpreter(self):
        library, other = self.library(), "-Wl,--dynamic-linker,/lib64/ld-own.so.2"
        image = self.image({"usr/lib64/ld-own.so.2": ("link", "ld-linux-x86-64.so.2")})
        missing = [("required", "missing interpreter", "/lib64/ld-own.so.2"),
                   ("required", "missing library", "ld-linux-x86-64.so.2")]
        with self.subTest("of a program that a script starts"):
            files = {LIBRARY: library, "usr/bin/app": self.program(RPATH, other)}
            self.fails(files, missing, "usr/bin/app: not found", signature="interpreter")
            self.works(files, profile=f'images = ["{image}"]\n')
        with self.subTest("of AppRun"):
            program = self.program("-Wl,-rpath,$ORIGIN/usr/lib", other)
            self.fails({LIBRARY: library}, missing, "needs the interpreter '/lib64/ld-own.so.2', which is not in the merged view",
                       script=program, status=126, outcome="launch_failed")
            self.works({LIBRARY: library}, script=program, profile=f'images = ["{image}"]\n')

    def test_a_directory_over_lib64(self):
        files = {LIBRARY: self.library()}
        program = self.program("-Wl,-rpath,$ORIGIN/usr/lib")
        stack = f'gpu = ["{self.image({"lib64/libx.so.1": "x"})}"]\nallow = ["type-conflict:lib64"]\n'
        self.fails(files, [("required", "missing interpreter", "/lib64/ld-linux-x86-64.so.2")],
                   "needs the interpreter '/lib64/ld-linux-x86-64.so.2', which is not in the merged view", script=program,
                   profile=f'{stack}compat = "off"\n', status=126, outcome="launch_failed")
        # If it is not told off, the tool puts the loader into that directory.
        self.works(files, script=program, profile=stack)

    def test_a_broken_plugin_that_nothing_reaches(self):
        good, gone = self.library(), self.library(name="libgone.so.3", source="int gone(void) { return 1; }\n")
        plugin = self.library("-Wl,--no-as-needed", self.tmp / "compiled/libgone.so.3", name="plugin.so", source="int plugin;\n")
        files = {LIBRARY: good, "usr/bin/app": self.program(RPATH), "usr/lib/plugins/plugin.so": plugin}
        self.works(files, [("optional", "missing library", "libgone.so.3")])


if __name__ == "__main__":
    unittest.main()
