"""Images from packages are the same bytes whoever makes them, and sound for fsck.erofs and the kernel."""

import hashlib
import os
import shutil
import unittest

from tests.integration import lib
from tests.integration.repository import driver


@lib.needs_tool("apt-get", "mkfs.erofs", "fsck.erofs")
class Reproducible(lib.TestCase):
    def make(self, name, jobs="1", umask=0o022, user=None, **env):
        """Builds the base image in a folder and cache of its own; gives the digests of image and manifest."""
        home = self.tmp / name
        home.mkdir()
        shutil.copytree(self.first / "cache/downloads", home / "cache/downloads")
        shutil.copy(self.first / "x.lock.toml", home)
        if user is not None:
            lib.run_command(["chown", "-R", f"{user}:{user}", home])
        ran = lib.run_command([driver(), "image", home / "cache", home / "x.lock.toml", "auto", "base", "base", home / "out", jobs],
                              env={**self.environment(home), **env}, cwd=home, user=user, preexec=lambda: os.umask(umask))
        self.assertEqual(ran.status, 0, msg=str(ran))
        self.assertNotIn("downloading", ran.stderr)
        return [hashlib.sha256((home / "out" / part).read_bytes()).hexdigest() for part in ("image", "manifest")]

    def setUp(self):
        self.first = self.tmp / "first"
        self.first.mkdir()
        env = self.environment(self.first)
        for args in (["lock", self.first / "cache", self.first / "x.lock.toml", "missing", "auto", "base=libc6,dash,coreutils"],
                     ["image", self.first / "cache", self.first / "x.lock.toml", "auto", "base", "base", self.first / "out", "2"]):
            ran = lib.run_command([driver(), *args], env=env, cwd=self.tmp)
            self.assertEqual(ran.status, 0, msg=str(ran))
        self.image = self.first / "out/image"

    def test_the_bytes_depend_on_the_packages_alone(self):
        expected = [hashlib.sha256((self.first / "out" / part).read_bytes()).hexdigest() for part in ("image", "manifest")]
        self.assertEqual(self.make("one-job"), expected)
        self.assertEqual(self.make("umask", umask=0o077), expected)
        self.assertEqual(self.make("zone", TZ="Asia/Kathmandu", LC_ALL="tr_TR.UTF-8", SOURCE_DATE_EPOCH="1234567"), expected)
        self.assertEqual(self.make("a folder with a much longer name", jobs="2"), expected)
        if lib.is_root():
            self.assertEqual(self.make("user", umask=0o077, jobs="2", user=lib.ORDINARY_USER), expected)

    def test_fsck_accepts_the_image_and_finds_what_was_unpacked(self):
        self.assertEqual(lib.run_command(["fsck.erofs", self.image]).status, 0)
        out = self.tmp / "extracted"
        ran = lib.run_command(["fsck.erofs", f"--extract={out}", self.image])
        self.assertEqual(ran.status, 0, msg=str(ran))
        self.assertEqual(os.readlink(out / "bin"), "usr/bin")
        self.assertEqual(os.readlink(out / "usr/bin/sh"), "dash")
        self.assertTrue((out / "usr/bin/dash").read_bytes().startswith(b"\x7fELF"))

    @lib.needs_erofs_mounts
    def test_the_kernel_mounts_it_and_its_shell_runs(self):
        script = ('mount -t erofs -o ro,loop "$1" "$2" && stat -c "%n %N %u %Y" "$2/bin" "$2/lib64" && '
                  'chroot "$2" /bin/sh -c "echo from the image"')
        (self.tmp / "mnt").mkdir()
        ran = lib.run_command(["unshare", "-m", "sh", "-c", script, "x", self.image, self.tmp / "mnt"])
        self.assertEqual(ran.status, 0, msg=str(ran))
        self.assertIn("'usr/bin' 0 0", ran.stdout)
        self.assertIn("'usr/lib64' 0 0", ran.stdout)
        self.assertIn("from the image", ran.stdout)


if __name__ == "__main__":
    unittest.main()
