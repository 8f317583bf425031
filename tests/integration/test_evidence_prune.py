"""`evidence prune`: what goes, and what stays whatever it is told."""

import signal
import subprocess
import unittest

from tests.integration import lib
from tests.integration.launching import NATIVE, LaunchCase, wait_for
from tests.integration.made_up_runs import MadeUp


class Prune(MadeUp):
    def names(self):
        return sorted(str(p.relative_to(self.root)) for p in self.root.glob("*/*"))

    def test_it_wants_to_be_told(self):
        self.some_runs()
        before = self.names()
        self.golden("evidence/prune-usage.txt", self.orch("evidence", "prune", status=2).stderr)
        self.orch("evidence", "prune", "--app", "hello", status=2)
        self.orch("evidence", "prune", "--keep", "-1", status=2)
        self.assertEqual(self.names(), before)

    def test_what_goes_and_what_stays(self):
        self.locked(self.some_runs())
        before = self.names()
        shown = self.orch("evidence", "prune", "--keep", "1", "--dry-run")
        self.golden("evidence/prune-dry.txt", shown.stdout)
        self.assertEqual(self.names(), before)
        ran = self.orch("evidence", "prune", "--keep", "1")
        self.assertEqual(ran.stdout, shown.stdout.replace("would remove", "removed"))
        # The newest of each, what runs, and damaged ones that are newer than that.
        self.assertEqual(self.names(), ["hello/20260104-030405", "hello/20260106-030405", "notes/x.md", "other-app/20260108-030405", "other-app/20260109-030405"])
        ran = self.orch("evidence", "prune", "--keep", "0")
        self.golden("evidence/prune-stays.txt", ran.stderr)
        self.assertEqual(self.names(), ["hello/20260106-030405", "notes/x.md", "other-app/20260108-030405"])

    def test_by_age(self):
        self.some_runs()
        self.orch("evidence", "prune", "--older", "2026-01-03")
        self.assertNotIn("hello/20260102-030405", self.names())
        self.assertIn("hello/20260103-030405", self.names())
        self.orch("evidence", "prune", "--older", "999d")
        self.assertIn("hello/20260103-030405", self.names())
        document = self.orch_json("evidence", "prune", "--older", "1d", "--app", "other app")
        self.assertEqual(len(document["removed"]), 3)
        self.assertEqual(document["bytes"], sum(item["bytes"] for item in document["removed"]))

    def test_what_cannot_be_removed_is_said(self):
        user, home = self.as_user()
        self.run_directory("hello/20260102-030405")
        folder = self.root / "hello"
        folder.chmod(0o555)
        self.addCleanup(folder.chmod, 0o755)
        if not lib.is_root():
            ran = self.orch("evidence", "prune", "--keep", "0", status=1)
        else:
            ran = self.orch("evidence", "prune", "--keep", "0", "--dir", self.root, status=1, user=user, home=home)
        self.assertIn("Permission denied", ran.stderr)
        self.assertEqual(self.names(), ["hello/20260102-030405"])


@NATIVE
class Real(LaunchCase):
    def test_a_run_that_is_under_way_stays(self):
        profile = self.app("echo ready; exec sleep 1000")
        self.orch("build", profile)
        run = subprocess.Popen([lib.shared_copy()[0], "run", profile], env=self.environment(), cwd=self.tmp,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(run.stdout.close)
        self.assertEqual(run.stdout.readline().strip(), b"ready")
        self.assertEqual(self.orch("evidence", "prune", "--keep", "0").stdout, "removed 0 runs, 0 bytes\n")
        run.send_signal(signal.SIGKILL)
        run.wait()
        wait_for(lambda: [r for r in self.orch_json("evidence", "list")["runs"] if r["state"] == "killed"], "the run is seen as killed")
        self.orch("evidence", "prune", "--keep", "0")
        self.assertEqual(self.orch_json("evidence", "list")["runs"], [])


if __name__ == "__main__":
    unittest.main()
