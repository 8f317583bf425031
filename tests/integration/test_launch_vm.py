"""Which VM a run gets: one stack and mode share one, others never do, a foreign one is refused by name."""

import os
import shutil
import signal
import time
import unittest

from tests.integration import lib
from tests.integration.launching import Terminal, processes_with, wait_for
from tests.integration.muvm import MuvmCase

WAITS = 'echo ready; read line; echo "got $line"; exit 4'


class Sharing(MuvmCase):
    refusals = 0

    def upper(self, text):
        tree = lib.make_tree(self.tmp / f"tree-{text}", {"etc/a": text})
        return lib.make_erofs(self.tmp / f"{text}.erofs", tree)

    def first(self, *words, profile="", **env):
        """A run that waits for a line, in a VM."""
        terminal = self.running(self.app(WAITS, profile=profile), *words, **env)
        self.addCleanup(lambda: terminal.pid in processes_with("run\0") and os.kill(terminal.pid, signal.SIGTERM))
        return terminal

    def end(self, terminal):
        terminal.type(b"on\r")
        self.assertEqual(terminal.wait(), 4)
        self.assertIn(b"got on", terminal.output)

    def folder(self, name):
        return self.home / name

    def refused(self, words, profile, *options, **more):
        ran = self.muvm(profile, "--out-dir", self.folder("refused"), "--force" if more.pop("force", False) else "--quiet",
                        *options, status=125, **more)
        self.assertIn(words, ran.stderr)
        self.refusals += 1
        self.message_golden(ran.stderr, f"{self._testMethodName.removeprefix('test_')}-{self.refusals}")
        report = self.report(folder=self.folder("refused"))
        self.assertFalse(report["vm_reused"])
        return report

    def test_two_applications_share_one(self):
        one = self.first("--out-dir", self.folder("one"))
        self.muvm(self.app("cat /run/fex-emu/rootfs/etc/os-release >/dev/null; echo two; exit 3"), "--out-dir", self.folder("two"), status=3)
        self.end(one)
        reports = [self.report(folder=self.folder(name)) for name in ("one", "two")]
        self.assertEqual([(r["outcome"], r["status"], r["vm_reused"]) for r in reports], [("exited", 4, False), ("exited", 3, True)])
        self.assertEqual([r["reused"] for r in self.records()], [False, True])
        self.assertIn("joined", " ".join(reports[1]["warnings"]))
        self.assertEqual(list(self.runtime.glob("*.appimage-orch")), [])

    def test_the_first_waits_for_the_others(self):
        one = self.first(profile='[launch]\nexit_wait = "100ms"\n')
        two = self.running(self.app(WAITS))
        one.type(b"on\r")
        one.read_until(b"Waiting for 1 other commands")
        self.end(two)
        self.assertEqual(one.wait(), 4)

    def test_many_at_once_are_one_vm(self):
        profile = self.app("echo ready; sleep 0.5")
        self.muvm(profile, "--timeout", "50ms", status=124)  # built
        runs = [self.muvm_terminal(profile, "--out-dir", self.folder(f"run-{i}")) for i in range(6)]
        self.assertEqual([run.wait() for run in runs], [0] * 6, [run.output for run in runs])
        reused = sorted(self.report(folder=self.folder(f"run-{i}"))["vm_reused"] for i in range(6))
        self.assertEqual([r["reused"] for r in self.records()[1:]].count(True), sum(reused))
        self.assertGreaterEqual(sum(reused), 1)

    def test_a_time_limit_counts_for_the_application_alone(self):
        """Not for the VM, which others still use."""
        began = time.monotonic()
        one = self.first("--timeout", "5s", "--out-dir", self.folder("one"))
        two = self.running(self.app(WAITS))
        one.type(b"on\r")
        one.read_until(b"Waiting for 1 other")
        time.sleep(max(0, began + 6 - time.monotonic()))
        self.end(two)
        self.assertEqual(one.wait(), 4)
        self.assertEqual(self.report(folder=self.folder("one"))["outcome"], "exited")

    def test_who_waits_keeps_nobody_from_joining(self):
        one = self.first()
        profile = self.app("exit 3")
        waiting = self.muvm_terminal(self.app("exit 0", profile='[launch]\nvm_wait = "30s"\n'), "--image", self.upper("x"))
        waiting.read_until(b"waiting for its end")
        self.muvm(profile, "--out-dir", self.folder("two"), status=3)
        self.assertTrue(self.report(folder=self.folder("two"))["vm_reused"])
        self.end(one)
        self.assertEqual(waiting.wait(), 0)

    def test_who_is_cut_off_before_it_began_never_begins(self):
        one = self.first(MUVM_DOUBLE_TRICK="slow|2")
        began = self.home / "began"
        self.muvm(self.app(f"touch {began}; exec sleep 5"), "--timeout", "1s", "--out-dir", self.folder("two"), status=124)
        report = self.report(folder=self.folder("two"))
        self.assertEqual((report["outcome"], report["vm_reused"]), ("timed_out", True))
        time.sleep(2)
        self.assertFalse(began.exists())
        self.end(one)

    def test_another_stack_waits_and_is_refused(self):
        one = self.first()
        other = self.app("exit 0", profile='[launch]\nvm_wait = "300ms"\n')
        report = self.refused("the VM of 'hello' (process", other, "--image", self.upper("x"))
        self.assertEqual(report["outcome"], "launch_failed")
        self.assertIn("with another stack; waited 300 ms for its end", report["error"]["what"])
        at_once = self.app("exit 0", profile='[launch]\nvm_wait = "0s"\n')
        self.assertEqual(self.refused("with another stack", at_once, "--image", self.upper("x"), "--force")["outcome"], "preflight_failed")
        self.assertIn("--force does not help here", self.report(folder=self.folder("refused"))["error"]["hint"])
        self.end(one)
        self.assertEqual(len(self.records()), 1)

    def test_another_stack_gets_its_turn(self):
        one = self.first()
        two = self.muvm_terminal(self.app("echo mine; exit 0", profile='[launch]\nvm_wait = "30s"\n'), "--image", self.upper("x"),
                                 "--out-dir", self.folder("two"))
        two.read_until(b"waiting for its end")
        self.end(one)
        self.assertEqual(two.wait(), 0)
        report = self.report(folder=self.folder("two"))
        self.assertFalse(report["vm_reused"])
        self.assertIn("vm-wait", [phase["name"] for phase in report["phases"]])

    def test_another_mode_is_another_vm(self):
        one = self.first("--gpu-mode", "drm")
        other = self.app("exit 0", profile='[launch]\nvm_wait = "0s"\n')
        report = self.refused("with the GPU mode drm", other, "--gpu-mode", "venus")
        self.assertEqual(report["outcome"], "preflight_failed")
        self.muvm(other, "--gpu-mode", "drm")
        self.end(one)

    def foreign(self):
        """A muvm of the user's own."""
        argv = [*self.prefix, self.bin / "muvm", "cat"]
        env = self.environment(self.home, **self.muvm_env())
        shutil.rmtree(self.runtime / "krun", ignore_errors=True)
        terminal = Terminal([os.fspath(a) for a in argv], env, self.home)
        wait_for(lambda: (self.runtime / "krun/server").exists() and self.records(), "the VM")
        return terminal

    def test_a_foreign_vm_is_refused_by_name_and_shared_on_demand(self):
        profile = self.app("exit 3")
        self.muvm(profile, status=3)
        foreign = self.foreign()
        pid = int((self.runtime / "krun/double.pid").read_text())
        self.refused(f"a VM that this tool did not start (process {pid}) is running", profile)
        shared = self.app("exit 3", profile='[launch]\nvm = "shared"\n')
        self.muvm(shared, "--out-dir", self.folder("shared"), status=3)
        report = self.report(folder=self.folder("shared"))
        self.assertTrue(report["vm_reused"])
        self.assertIn(f"process {pid}", " ".join(report["warnings"]))
        os.kill(pid, signal.SIGTERM)
        foreign.wait()

    def test_a_private_one_beside_a_foreign_one(self):
        foreign = self.foreign()
        private = self.app("exit 3", profile='[launch]\nvm = "private"\n')
        (self.runtime / "wayland-0").write_text("")
        self.muvm(private, "--out-dir", self.folder("private"), status=3)
        report = self.report(folder=self.folder("private"))
        self.assertFalse(report["vm_reused"])
        self.assertEqual([r["reused"] for r in self.records()], [False, False])
        self.assertEqual(list(self.runtime.glob("aorch-*")), [])
        abandoned, young = self.runtime / "aorch-abandd", self.runtime / "aorch-young1"
        for folder in (abandoned, young):  # of runs that were killed: long ago, and just now
            (folder / "krun").mkdir(parents=True)
            if lib.is_root():
                os.chown(folder, self.user, self.user)
                os.chown(folder / "krun", self.user, self.user)
        os.utime(abandoned, (1, 1))
        self.muvm(private, "--force", "--out-dir", self.folder("private"), status=3)
        self.assertEqual(list(self.runtime.glob("aorch-*")), [young])
        os.kill(int((self.runtime / "krun/double.pid").read_text()), signal.SIGTERM)
        foreign.wait()

    def test_a_record_of_another_process_is_not_believed(self):
        one = self.first()
        record = next(self.runtime.glob("*.appimage-orch"))
        lines = record.read_text().splitlines()
        record.write_text("\n".join("start 1" if line.startswith("start ") else line for line in lines) + "\n")
        self.refused("a VM that this tool did not start", self.app("exit 0"))
        self.end(one)


if __name__ == "__main__":
    unittest.main()
