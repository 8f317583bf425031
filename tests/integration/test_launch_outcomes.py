"""How a run with muvm ended, for each release of muvm, in a VM of its own and in one that was joined: the report's outcome
and the exit status, in every cell of the table."""

import os
import signal
import unittest

from tests.integration.launching import processes_with, wait_for
from tests.integration.muvm import MuvmCase, RELEASES

APP = """
case "$1" in
  exit) exit "$2" ;;
  signal) kill -s "$2" $$ ;;
  lost) echo "$2: command not found"; exit 248 ;;
  fex) printf 'Invalid or Unsupported elf file.\\n'; exit 248 ;;
  wait) echo ready; sleep "$2" ;;
esac
"""
# What the application does, the double's trick, options, and (outcome, status or signal, exit status).
ENDS = {
    "exit 0": (("exit", "0"), "", (), ("exited", 0, 0)),
    "exit 3": (("exit", "3"), "", (), ("exited", 3, 3)),
    "signal 11": (("signal", "SEGV"), "", (), ("signaled", 11, 139)),
    "FEX 248": (("fex",), "", (), ("launch_failed", None, 126)),
    "VM killed": (("wait", "100"), "die", (), ("signaled", 9, 137)),
    "timeout": (("wait", "100"), "", ("--timeout", "400ms"), ("timed_out", None, 124)),
    "interrupted": (("wait", "100"), "", (), ("interrupted", 2, 130)),
    "hang at exit": (("exit", "3"), "hang", (), ("exited", 3, 3)),
    "output after the end": (("exit", "0"), "late|after the end", (), ("exited", 0, 0)),
    "noise, exit 0": (("exit", "0"), "noise", (), ("exited", 0, 0)),
    "noise, exit 3": (("exit", "3"), "noise", (), ("exited", 3, 3)),
    "noise, FEX found nothing": (("lost", "program"), "noise", (), ("launch_failed", None, 127)),
}
NOISE = (b"No IPv6 nameserver available for NDP/DHCPv6", b"Using default interface naming scheme 'v257'.",
         b"ptrace::attach(1234, ...) failed (continuing)", b"rutabaga_gfx::cross_domain] Futex dropped without shutdown")
# Nobody but the first muvm sees the signal that ended its VM.
IN_A_JOINED_VM = {"VM killed": ("launch_failed", None, 125)}


class Table(MuvmCase):
    def setUp(self):
        super().setUp()
        self.number = 0
        self.profile = self.app(APP, profile='[launch]\nexit_wait = "200ms"\n')

    def end(self, name, release, wanted):
        words, trick, options, _ = ENDS[name]
        force = ["--force"] if release == "0.3.0" else []  # stacks images at random, which is refused
        env = {"MUVM_DOUBLE_RELEASE": release, "MUVM_DOUBLE_TRICK": trick}
        self.number += 1
        folder = self.home / f"run-{self.number}"
        words = [*options, *force, "--out-dir", folder, "--", *words]
        if name == "interrupted":
            terminal = self.running(self.profile, *words, **env)
            tool = next(p for p in processes_with(f"{folder}\0") if os.readlink(f"/proc/{p}/exe").endswith("/appimage-orch"))
            os.kill(tool, signal.SIGINT)
            status = terminal.wait()
        else:
            status = self.muvm(self.profile, *words, status=None, ok=None, env=env).status
        report = self.report(folder=folder)
        number = report["status"] if report["outcome"] == "exited" else report["signal"]
        self.assertEqual((report["outcome"], number, status), wanted, report)
        self.assertEqual(report["exit_status"], status)
        if name == "hang at exit":
            self.assertIn("muvm did not end", " ".join(report["warnings"]))
        if name == "output after the end":
            self.assertIn(b"after the end", (folder / "run.log").read_bytes())
        if trick == "noise" and not report["vm_reused"]:
            log = (folder / "run.log").read_bytes()
            self.assertEqual([line for line in NOISE if line not in log], [])
        if name == "FEX 248":
            self.assertEqual(report["raw"]["guest"]["ended"], 248)
        return report

    def table(self, release):
        for name, (_, _, _, wanted) in ENDS.items():
            with self.subTest(f"{release}, first launch: {name}"):
                self.assertFalse(self.end(name, release, wanted)["vm_reused"])

    def joined(self, release):
        first = None
        for name, (_, _, _, wanted) in ENDS.items():
            with self.subTest(f"{release}, joined: {name}"):
                if first is None:
                    words = ["--force"] if release == "0.3.0" else []
                    first = self.running(self.profile, *words, "--", "wait", "1234", MUVM_DOUBLE_RELEASE=release)
                self.assertTrue(self.end(name, release, IN_A_JOINED_VM.get(name, wanted))["vm_reused"])
                wait_for(lambda: not processes_with("sleep\x00100\x00"), "the end of the application")
                if name == "VM killed":
                    self.assertEqual(first.wait(), 137)
                    first = None
                else:
                    self.assertTrue(processes_with("sleep\x001234"), "the other application goes on")
        os.kill(first.pid, signal.SIGTERM)
        first.wait()


for _release in RELEASES:
    _name = _release.replace(".", "_").lower()
    setattr(Table, f"test_first_launch_{_name}", lambda self, release=_release: self.table(release))
    setattr(Table, f"test_joined_{_name}", lambda self, release=_release: self.joined(release))


if __name__ == "__main__":
    unittest.main()
