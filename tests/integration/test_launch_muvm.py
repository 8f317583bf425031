"""The muvm launcher against a stub: the command line, what is refused beforehand, and how the guest's end is read."""

import fcntl
import json
import os
import shutil
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.launching import LaunchCase, install_stub_muvm


class MuvmCase(LaunchCase):
    def setUp(self):
        self.user, self.home = self.as_user()
        self.bin = self.home / "bin"
        install_stub_muvm(self.bin)
        self.runtime = self.home / "runtime"
        self.runtime.mkdir(mode=0o700)
        if lib.is_root():
            for path in (self.bin, self.runtime):
                os.chown(path, self.user, self.user)

    def muvm_env(self, **extra):
        return {"PATH": f"{self.bin}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(self.runtime), "TERM": "xterm",
                "STUB_MUVM_RECORD": str(self.home / "record.json"), **extra}

    def muvm(self, profile, *words, status, env=None, **more):
        return self.orch("run", profile, "--launcher", "muvm", *words, status=status, user=self.user, home=self.home,
                         env=self.muvm_env(**(env or {})), **more)

    def record(self):
        return json.loads((self.home / "record.json").read_text())

    def started(self):
        return (self.home / "record.json").exists()


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
            "--emu=fex", "--gpu-mode=venus", "-f", str(self.base), "-f", str(upper), "-f", report["images"][-1]["path"],
            "-e", "FEX_ROOTFS=/run/fex-emu/rootfs", "-e", "TERM=xterm", "-e", f"APPDIR={appdir}",
            "-e", f"APPIMAGE={profile.parent}/Hello.AppImage", "-e", f"ARGV0={profile.parent}/Hello.AppImage",
            "-e", f"OWD={self.home}", "-e", "A=b c", "--", "/bin/sh", "-c",
            'cd -- "$1" || exit 125\nshift\nexec "$@"\n', "sh", str(self.home), f"{appdir}/AppRun", "x", "y z"])
        self.assertEqual(record["terminals"], [True, True, True])
        self.assertEqual(report["launcher"], "muvm")
        self.assertEqual(report["argv"], [str(self.bin / "muvm"), *argv])
        self.assertEqual([i["role"] for i in report["images"]], ["base", "image", "finish"])

    def test_a_dry_run_shows_what_a_run_passes(self):
        profile = self.app("exit 0")
        self.muvm(profile, status=0)
        shown = self.muvm(profile, "--dry-run", "--format", "json", status=0).json
        self.assertEqual(shown["argv"][1:], self.record()["argv"])
        self.assertEqual(shown["launcher"], "muvm")

    def test_an_old_muvm_gets_no_option_that_it_does_not_know(self):
        self.muvm(self.app("exit 0"), "--gpu-mode", "drm", status=0, env={"STUB_MUVM_RELEASE": "0.4.0"})
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
        self.user = None
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
        self.refused("older than 0.4.0", env={"STUB_MUVM_RELEASE": "0.3.0"})

    def test_a_gpu_mode_that_an_old_muvm_lacks(self):
        self.refused("no --gpu-mode", "--gpu-mode", "venus", env={"STUB_MUVM_RELEASE": "0.4.0"})

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

    def test_a_vm_that_runs(self):
        profile = self.app("exit 0")
        with open(self.runtime / "muvm.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refused(f"a VM is running (process {os.getpid()})", profile=profile)
        self.muvm(profile, status=0)  # the file alone says nothing

    def test_a_vm_that_may_be_joined(self):
        profile = self.app("exit 0", profile='[launch]\nvm = "shared"\n')
        with open(self.runtime / "muvm.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.muvm(profile, status=0)
        self.assertTrue(self.report(self.home)["vm_reused"])
        self.assertEqual(self.record()["options"][:2], [["--interactive"], ["--tty"]])


class Outcomes(MuvmCase):
    def end(self, mode, release="0.6.0", status=0):
        self.muvm(self.app("exit 0"), status=status, env={"STUB_MUVM_MODE": mode, "STUB_MUVM_RELEASE": release})
        return self.report(self.home)

    def test_the_commands_status(self):
        for release in ("0.6.0", "0.4.0"):
            with self.subTest(release):
                self.muvm(self.app("echo out; exit 3"), status=3, env={"STUB_MUVM_RELEASE": release})
                report = self.report(self.home)
                self.assertEqual((report["status"], report["determined_by"]), (3, "message"))
                self.assertEqual(report["raw"]["status"], 3 if release == "0.6.0" else 0)

    def test_a_signal(self):
        self.muvm(self.app("kill -SEGV $$"), status=139)
        self.assertEqual(self.report(self.home)["signal"], 11)

    def test_fex_refuses_the_program(self):
        report = self.end('print|Invalid or Unsupported elf file.\\n"/bin/sh" process exited with status code: 248\\n|248', status=126)
        self.assertEqual((report["outcome"], report["raw"]["status"]), ("launch_failed", 248))
        self.assertIn("FEX refused", report["error"]["what"])

    def test_muvm_fails_itself(self):
        report = self.end("print|Error: Failed to create the microVM\\n\\nCaused by:\\n    Invalid argument (os error 22)\\n|1",
                          status=125)
        self.assertEqual(report["outcome"], "launch_failed")
        self.assertIn("Failed to create the microVM: Invalid argument", report["error"]["what"])

    def test_a_stack_that_was_not_mounted_is_a_warning(self):
        report = self.end("print|Failed to mount FEX rootfs, carrying on without. Error: Failed to mount erofs\\n|0")
        self.assertIn("could not mount the stack", report["warnings"][-1] + report["warnings"][0])

    def test_a_time_limit_ends_the_vm(self):
        self.muvm(self.app("sleep 1000"), "--timeout", "500ms", status=124)
        self.assertEqual(self.report(self.home)["outcome"], "timed_out")


if __name__ == "__main__":
    unittest.main()
