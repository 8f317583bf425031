"""What the last layer of a stack lacks because this machine has no tool for it: `run` says so, with what would help."""

import shutil
import unittest

from tests.integration import launching
from tests.integration import lib

MIME = ('<?xml version="1.0"?>\n<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">\n'
        '<mime-type type="text/x-own"><glob pattern="*.own"/></mime-type>\n</mime-info>\n')


@lib.needs_tool("mkfs.erofs", "mksquashfs", "ninja")
class Unfinished(launching.LaunchCase):
    def test_a_cache_that_could_not_be_made_is_a_warning_with_a_remedy(self):
        tree = lib.copy_programs(self.tmp / "base", ("/bin/sh",))
        lib.make_tree(tree, {"usr/share/mime/packages/own.xml": MIME})
        profile = self.app("exit 0\n", base=lib.make_erofs(self.tmp / "base.erofs", tree))
        (self.tmp / "bin").mkdir()
        for tool in ("mkfs.erofs", "fsck.erofs", "ninja", "sh"):
            if lib.have(tool):
                (self.tmp / "bin" / tool).symlink_to(shutil.which(tool))
        ran = self.orch("run", profile, env={"PATH": str(self.tmp / "bin")})
        warning = ("the stack lacks its mime-database: 'update-mime-database' is not installed on this machine; "
                   "install the package 'shared-mime-info' (Debian) or 'shared-mime-info' (Fedora)")
        self.assertIn(f"warning: {warning}\n", ran.stderr)
        self.assertEqual(self.report()["warnings"], [warning])
        if lib.have("update-mime-database"):
            self.assertNotIn("warning:", self.orch("run", profile).stderr)


if __name__ == "__main__":
    unittest.main()
