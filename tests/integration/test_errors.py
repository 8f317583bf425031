"""What goes wrong outside of the profile's text: the message, the status, and nothing half-made left behind.

The mistakes inside a profile are test_profile_errors.py.
"""

import os
import re
import subprocess
import unittest

from tests.integration import lib
from tests.integration.staleness import StalenessCase

PROFILE = """
schema = 1
name = "app"
extends = "native"
[app]
appimage = "app.AppImage"
[stack]
base = "base.erofs"
compat = "off"
finish = "off"
[verify]
mode = "off"
"""

STEP = """
[[step]]
name = "mine"
command = {command}
inputs.tree = {{ value = "app.tree" }}
outputs.out = {{ kind = "file" }}
"""


@lib.needs_tool("mksquashfs", "mkfs.erofs", "ninja")
class Errors(StalenessCase):
    def setUp(self):
        self.write("profile.toml", PROFILE)
        self.tree = lib.make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\necho one\n", "usr/data": os.urandom(1 << 20)})
        self.appimage = lib.make_appimage(self.tmp / "app.AppImage", self.tree)
        lib.make_erofs(self.tmp / "base.erofs", lib.make_tree(self.tmp / "base", {"etc/x": "x"}))

    def check(self, name, *arguments, status, **options):
        """Runs a command that must fail, compares its message, and looks for what it may have left."""
        ran = self.orch(*arguments, status=status, **options)
        text = re.sub(r"-[0-9a-f]{12}\b", "-ID", ran.stderr)
        text = re.sub(r"build/app-[0-9a-f]{8}", "build/app-ID", text)
        text = re.sub(r"tmp/\d+-\w{6}", "tmp/STAGING", text)
        self.golden(f"errors/{name}.txt", self.without_image(text))
        self.assertNotIn("internal", ran.stderr)
        self.nothing_left()
        return ran

    def without_image(self, text):
        """Without the steps that look at the base image: they run beside the one that fails."""
        text = re.sub(r"^executed (index the image base|check the stack of app) .*\n", "", text, flags=re.M)
        return re.sub(r"^\d+ executed.*", "SUMMARY", text, flags=re.M)

    def nothing_left(self, cache=None):
        store = (cache or self.tmp / "cache/appimage-orch") / "store"
        for folder in ("tmp", "cas/tree"):
            if (store / folder).exists():
                self.assertEqual([str(p) for p in (store / folder).rglob("*")], [])

    def test_missing_appimage(self):
        self.appimage.unlink()
        self.check("missing_appimage", "build", status=2)

    def test_truncated_appimage(self):
        data = self.appimage.read_bytes()
        self.appimage.write_bytes(data[:len(data) // 2])
        self.check("truncated_appimage", "build", status=1)

    def test_text_file_named_appimage(self):
        self.appimage.write_text("this is no AppImage\n")
        self.check("text_file", "build", status=1)

    def test_missing_tool(self):
        self.write("profile.toml", PROFILE + STEP.format(command='["no-such-program-here", "{out.out}"]'))
        self.check("missing_tool", "build", status=1)

    def test_missing_ninja(self):
        folder = self.tmp / "bin"
        folder.mkdir()
        self.check("missing_ninja", "build", status=1, env={"PATH": str(folder)})

    def test_unwritable_cache(self):
        # A file where a folder should be: that no user may write through, root included.
        self.write("cache/appimage-orch", "a file")
        ran = self.orch("build", status=1)
        self.golden("errors/unwritable_cache.txt", ran.stderr)

    def test_cache_that_belongs_to_another(self):
        if not lib.is_root():
            self.skipTest("needs root to make a folder of another user")
        user, home = self.as_user()
        (self.tmp / "foreign").mkdir(mode=0o755)
        ran = self.orch("--cache-dir", str(self.tmp / "foreign"), "build", str(self.tmp / "profile.toml"), status=1, user=user,
                        home=home)
        self.golden("errors/foreign_cache.txt", ran.stderr)

    def test_failing_command(self):
        self.write("profile.toml", PROFILE + STEP.format(
            command='["sh", "-c", "echo first line; echo to stderr >&2; exit 3", "x", "{in.tree}", "{out.out}"]'))
        ran = self.orch("build", status=1)
        text = re.sub(r"-[0-9a-f]{12}\b", "-ID", re.sub(r"[0-9a-f]{32}", "DIGEST", ran.stderr))
        text = re.sub(r"/[0-9a-f]{2}/DIGEST", "/DIGEST", re.sub(r"build/app-[0-9a-f]{8}", "build/app-ID", text))
        text = re.sub(r"tmp/\d+-\w{6}", "tmp/STAGING", re.sub(r"\(\d+ ms\)", "(TIME)", text))
        self.golden("errors/failing_command.txt", self.without_image(text))
        document = self.build(status=1)
        self.assertEqual((document["failed"], self.rules(document, "failed")), (1, ["step:mine"]))

    def test_command_that_leaves_no_output(self):
        self.write("profile.toml", PROFILE + STEP.format(command='["true", "{in.tree}", "{out.out}"]'))
        ran = self.orch("build", status=1)
        self.assertIn("the command ended well, but left no output 'out'", ran.stderr)
        self.assertEqual(list((self.tmp / "cache/appimage-orch/store/tmp").iterdir()), [])

    def test_keep_going(self):
        other = STEP.replace('"mine"', '"other"').format(command='["sh", "-c", "echo x > \\"$1\\"", "x", "{out.out}"]')
        self.write("profile.toml", PROFILE + STEP.format(command='["false"]') + other)
        document = self.build(options=["--keep-going", "-j1"], status=1)
        self.assertEqual(self.rules(document, "failed"), ["step:mine"])
        self.assertIn("step:other", self.rules(document, "executed"))

    def test_usage(self):
        for name, arguments in {"no_command": [], "unknown_command": ["biuld"], "unknown_option": ["build", "--jbos", "3"],
                                "bad_value": ["build", "-j", "many"], "unknown_step": ["plan", "--explain", "extrakt-appimage"],
                                "missing_argument": ["bench", "compare", "bench.json"], "too_many_arguments": ["bench", "a.toml", "b.toml"],
                                "negative_number": ["bench", "--warm", "-1"], "no_number": ["bench", "a.toml", "--cold", "few"]
                                }.items():
            with self.subTest(name):
                ran = self.orch(*arguments, status=2)
                self.golden(f"errors/usage_{name}.txt", ran.stderr)
                self.assertEqual(ran.stdout, "")


@lib.needs_root
@lib.needs_tool("mksquashfs", "ninja")
class FullDisk(StalenessCase):
    """A cache on a small tmpfs."""

    def setUp(self):
        self.disk = self.tmp / "disk"
        self.disk.mkdir()
        ran = lib.run_command(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", self.disk])
        if ran.status != 0:
            self.skipTest("may not mount a tmpfs")
        self.addCleanup(lambda: lib.run_command(["umount", "-l", self.disk]))

    def test_full_disk(self):
        self.write("profile.toml", PROFILE)
        tree = lib.make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\n", "big": b"\0" * 100 + b"pattern" * (2 << 20)})
        lib.make_appimage(self.tmp / "app.AppImage", tree)
        lib.make_erofs(self.tmp / "base.erofs", lib.make_tree(self.tmp / "base", {"etc/x": "x"}))
        ran = self.orch("--cache-dir", self.disk / "cache", "build", "--only", "extract-appimage", status=1)
        text = re.sub(r"-[0-9a-f]{12}\b", "-ID", re.sub(r"build/app-[0-9a-f]{8}", "build/app-ID", ran.stderr))
        self.golden("errors/full_disk.txt", re.sub(r"tmp/\d+-\w{6}", "tmp/STAGING", text))
        store = self.disk / "cache/store"
        self.assertEqual([str(p) for folder in ("tmp", "cas") for p in (store / folder).rglob("*")], [])
        lib.run_command(["mount", "-o", "remount,size=60m", self.disk])
        self.orch("--cache-dir", self.disk / "cache", "build")


if __name__ == "__main__":
    unittest.main()
