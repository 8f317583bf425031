"""The helpers themselves: what they make has the form that the tests rely on."""

import contextlib
import io
import json
import os
import sys
import unittest

from tests.integration import lib
from tests.integration import made_up_runs
from tests.runner import Recorder


class Helpers(lib.TestCase):
    @lib.needs_tool("mksquashfs", "unsquashfs")
    def test_an_appimage_starts_with_a_program_and_holds_the_tree(self):
        tree = lib.make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\necho hi\n", "a/b": "text", "l": ("link", "a/b")})
        image = lib.make_appimage(self.tmp / "x.AppImage", tree)
        self.assertEqual(lib.run_command([image]).status, 9)
        listed = lib.run_command(["unsquashfs", "-o", str(len(lib.make_runtime())), "-ls", image])
        for name in ("AppRun", "a/b", "l"):
            self.assertIn(f"squashfs-root/{name}\n", listed.stdout)
        first = image.read_bytes()
        self.assertEqual(lib.make_appimage(self.tmp / "x.AppImage", tree).read_bytes(), first)

    @lib.needs_tool("xorriso", "bsdtar")
    def test_a_type_1_appimage_holds_the_tree(self):
        tree = lib.make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\n", "data": "x" * 100000})
        image = lib.make_type1_appimage(self.tmp / "x.AppImage", tree)
        self.assertEqual(image.read_bytes()[:11], b"\x7fELF\x02\x01\x01\x00AI\x01")
        self.assertLess(image.stat().st_size, 500000)
        self.assertEqual(lib.run_command(["bsdtar", "-xOf", image, "data"]).stdout, "x" * 100000)

    @lib.needs_tool("mkfs.erofs", "fsck.erofs")
    def test_a_base_image_is_valid_and_reproducible(self):
        image = lib.make_base_image(self.tmp / "base.erofs", ["/bin/true"])
        self.assertEqual(lib.run_command(["fsck.erofs", image]).status, 0)
        first = image.read_bytes()
        self.assertEqual(lib.make_base_image(image, ["/bin/true"]).read_bytes(), first)

    @lib.needs_root
    def test_an_ordinary_user_has_a_home_and_reaches_the_program(self):
        uid, home = self.as_user()
        ran = lib.run_command(["sh", "-c", "id -u && touch made", "x"], user=uid, cwd=home)
        self.assertEqual(ran.stdout.strip(), str(uid))
        self.assertEqual(os.stat(home / "made").st_uid, uid)
        self.orch("--version", user=uid, home=home, ok=None)

    @unittest.skipIf(os.environ.get("ORCH_SANITIZED") == "1", "memory is bounded by the sanitizer")
    def test_memory_is_bounded(self):
        for megabytes, ends_well in ((64, True), (2000, False)):
            ran = lib.run_command([sys.executable, "-c", f"bytes({megabytes} << 20)"], **lib.in_bounded_memory(os.environ))
            self.assertEqual(ran.status == 0, ends_well, msg=str(ran))

    def test_the_log_of_a_success_has_its_notes(self):
        class Noting(lib.TestCase):
            def runTest(self):
                self.note("seed 7")
                self.note("9 images")

        log = io.StringIO()
        Noting().run(Recorder(log))
        result, _, text, _ = json.loads(log.getvalue().splitlines()[-1])
        self.assertEqual((result, text), ("ok", "seed 7; 9 images"))

    def test_a_document_of_a_run_that_is_not_as_its_schema_says_fails(self):
        class Writing(lib.TestCase):
            documents = {}
            damaged_ones = ()

            def runTest(self):
                for name, text in self.documents.items():
                    self.write(name, text)
                self.damaged |= {self.tmp / name for name in self.damaged_ones}

            def fails(self, documents, damaged=()):
                self.documents, self.damaged_ones = documents, damaged
                result = unittest.TestResult()
                with contextlib.redirect_stderr(io.StringIO()):
                    self.run(result)
                if self.tmp.exists():
                    lib.remove_tree(self.tmp)
                return [text.splitlines()[-1] for _, text in [*result.failures, *result.errors]]

        good = json.dumps(made_up_runs.REPORT)
        self.assertEqual(Writing().fails({"a/b/run.report.json": good, "x.json": "{", "cache/diff.json": "{"}), [])
        for name, text in (("a/b/run.report.json", good.replace('"pid"', '"bid"')), ("inputs.json", good), ("out/diff.json", "{")):
            self.assertEqual(len(Writing().fails({name: text})), 1, name)
            self.assertEqual(Writing().fails({name: text}, damaged=[name]), [])

    def test_a_golden_that_is_absent_fails(self):
        if os.environ.get("ORCH_ACCEPT") == "1":
            self.skipTest("goldens are being written")
        with self.assertRaises(AssertionError):
            self.golden("no/such/file.txt", "text")


if __name__ == "__main__":
    unittest.main()
