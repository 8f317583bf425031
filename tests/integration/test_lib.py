"""The helpers themselves: what they make has the form that the tests rely on."""

import os
import unittest

from tests.integration import lib


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

    def test_a_golden_that_is_absent_fails(self):
        if os.environ.get("ORCH_ACCEPT") == "1":
            self.skipTest("goldens are being written")
        with self.assertRaises(AssertionError):
            self.golden("no/such/file.txt", "text")


if __name__ == "__main__":
    unittest.main()
