"""The muvm launcher against the double: the command line, what is refused beforehand, and how the guest's end is read."""

import fcntl
import os
import shutil
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.muvm import MuvmCase


class CommandLine(MuvmCase):
    def test_the_whole_line(self):
        upper = lib.make_erofs(self.tmp / "upper.erofs", lib.make_tree(self.tmp / "u", {"etc/a": "a"}))
        profile = self.app("exit 0")
        self.muvm(profile, "--image", upper, "--gpu-mode", "venus", "--env", "A=b c", "--", "x", "y z", status=0)
        record = self.record()
        report = self.report(self.home)
        argv = record["argv"]
        appdir = next(word[7:] for word in argv if word.startswith("APPDIR="))
        self.assertEqual(argv, [
            "--interactive", "--tty", "--emu=fex", "--gpu-mode=venus", "-f", str(self.base), "-f", str(upper), "-f", report["images"][-1]["path"],
            "-e", "FEX_ROOTFS=/run/fex-emu/rootfs", "-e", "TERM=xterm", "-e", f"APPDIR={appdir}",
            "-e", f"APPIMAGE={profile.parent}/Hello.AppImage", "-e", f"ARGV0={profile.parent}/Hello.AppImage",
            "-e", f"OWD={self.home}", "-e", "A=b c", "--", "/bin/sh", "-c",
            argv[-7], "sh", f"{self.evidence(self.home)}/guest.record", str(self.home), f"{appdir}/AppRun", "x", "y z"])
        self.assertIn('cd -- "$1" || { echo directory >&4; exit 125; }', argv[-7])
        self.assertEqual(record["terminals"], [True, True, True])
        self.assertEqual(report["launcher"], "muvm")
        self.assertEqual(report["argv"], [str(self.bin / "muvm"), *argv])
        self.assertEqual([i["role"] for i in report["images"]], ["base", "image", "finish"])

    def test_a_dry_run_shows_what_a_run_passes(self):
        profile = self.app("exit 0")
        self.muvm(profile, status=0)
        shown = self.muvm(profile, "--dry-run", "--format", "json", status=0).json
        record = f"{self.evidence(self.home)}/guest.record"
        self.assertEqual([record if w == "(evidence)/guest.record" else w for w in shown["argv"][1:]], self.record()["argv"])
        self.assertEqual(shown["launcher"], "muvm")

    def test_an_old_muvm_gets_no_option_that_it_does_not_know(self):
        self.muvm(self.app("exit 0"), "--gpu-mode", "drm", status=0, env={"MUVM_DOUBLE_RELEASE": "0.4.0"})
        record = self.record()
        self.assertEqual(record["command"][0], "/bin/sh")
        self.assertNotIn("--gpu-mode=drm", record["argv"])

    def test_arguments_that_muvm_cannot_carry_arrive(self):
        profile = self.app("printf '%s|' \"$@\"")
        self.muvm(profile, "--", "--help", "-h", b"\xff'\n", "it's", "", status=0)
        log = (self.evidence(self.home) / "run.log").read_bytes()
        self.assertEqual(log.replace(b"\r\n", b"\n"), b"--help|-h|\xff'\n|it's||")

    def test_the_application_runs_in_the_callers_directory(self):
        ran = self.muvm(self.app("pwd; echo $OWD"), status=0)
        self.assertEqual(ran.stdout.split(), [str(self.home)] * 2)

    def test_piped_input_is_typed(self):
        ran = self.muvm(self.app("cat"), status=0, stdin=b"a line\nno end")
        self.assertEqual(ran.stdout, "a line\nno end")


class Refusals(MuvmCase):
    def refused(self, words, *options, profile=None, env=None, **more):
        ran = self.muvm(profile or self.app("exit 0"), *options, status=125, env=env, **more)
        self.assertIn(words, ran.stderr)
        self.assertIn("hint:", ran.stderr)
        self.assertFalse(self.started())
        report = self.report(self.home)
        self.assertEqual(report["outcome"], "preflight_failed")
        self.assertTrue(report["advice"][0])

    @lib.needs_root
    def test_root(self):
        self.prefix = []
        self.refused("muvm does not run as root")

    def test_no_runtime_directory(self):
        self.refused("XDG_RUNTIME_DIR is not set", env={"XDG_RUNTIME_DIR": None})

    def test_no_muvm(self):
        (self.bin / "muvm").unlink()
        if shutil.which("muvm"):
            self.skipTest("this machine has a muvm")
        self.refused("muvm was not found")

    def test_no_emulator(self):
        (self.bin / "FEXInterpreter").unlink()
        if shutil.which("FEXInterpreter") or shutil.which("FEX"):
            self.skipTest("this machine has FEX")
        self.refused("neither 'FEXInterpreter' nor 'FEX' is on PATH")

    def test_a_muvm_that_shuffles_images(self):
        self.refused("older than 0.4.0", env={"MUVM_DOUBLE_RELEASE": "0.3.0"})

    def test_a_gpu_mode_that_an_old_muvm_lacks(self):
        self.refused("no --gpu-mode", "--gpu-mode", "venus", env={"MUVM_DOUBLE_RELEASE": "0.4.0"})

    def test_more_images_than_muvm_keeps_in_order(self):
        tree = lib.make_tree(self.tmp / "t", {"etc/x": "x"})
        options = []
        for number in range(26):
            options += ["--image", lib.make_erofs(self.tmp / f"{number}.erofs", tree)]
        self.refused("28 images", *options)

    @unittest.skipUnless(os.access("/dev/shm", os.W_OK), "/dev/shm is not writable")
    def test_an_appimage_that_the_guest_does_not_see(self):
        profile = self.app("exit 0")
        folder = Path("/dev/shm") / self.tmp.name
        shutil.copytree(profile.parent, folder)
        try:
            self.refused("not visible in the VM", profile=folder / "hello.toml")
        finally:
            shutil.rmtree(folder)

    def test_a_foreign_vm(self):
        profile = self.app("exit 0")
        with open(self.runtime / "muvm.lock", "w", opener=lambda p, f: os.open(p, f, 0o666)) as file:
            os.chmod(file.fileno(), 0o666)
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refused(f"a VM that this tool did not start (process {os.getpid()}) is running", profile=profile)
        self.muvm(profile)  # the file alone says nothing


if __name__ == "__main__":
    unittest.main()
