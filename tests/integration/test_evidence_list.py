"""`evidence list`: what it prints, of runs made up here and of real ones."""

import signal
import subprocess
import unittest

from tests.integration import lib
from tests.integration.launching import NATIVE, LaunchCase, wait_for
from tests.integration.made_up_runs import MadeUp


class List(MadeUp):
    def test_the_table(self):
        self.some_runs()
        ran = self.orch("evidence", "list")
        self.golden("evidence/list.txt", ran.stdout)
        self.assertLessEqual(max(map(len, ran.stdout.splitlines()[1:-2])), 80)

    def test_a_live_run_is_running_and_a_dead_one_is_not(self):
        self.locked(self.some_runs())
        document = self.orch_json("evidence", "list")
        self.assertEqual(document["root"], str(self.root))
        states = {run["name"]: (run["state"], run["outcome"]) for run in document["runs"]}
        self.assertEqual(states["other-app/20260108-030405"], ("running", "running"))
        self.assertEqual(states["hello/20260104-030405"], ("killed", "interrupted"))
        self.assertEqual(states["hello/20260105-030405"], ("damaged", None))
        self.assertIn("running", self.orch("evidence", "list", "--outcome", "running").stdout)

    def test_filters(self):
        self.some_runs()
        def names(*options):
            return [run["name"].replace("-030405", "") for run in self.orch_json("evidence", "list", *options)["runs"]]
        self.assertEqual(names("--app", "other app"), names("--app", "other-app"))
        self.assertEqual(names("--app", "other app", "--since", "2026-01-09"), ["other-app/20260109"])
        self.assertEqual(names("--outcome", "interrupted"), ["other-app/20260108", "hello/20260104"])
        self.assertEqual(names("--outcome", "damaged"), ["hello/20260106", "hello/20260105"])
        self.assertEqual(names("--since", "1d"), [])
        self.assertEqual(len(names("--since", "999d")), 8)
        self.assertEqual(names("--dir", self.tmp), [])

    def test_what_lies_elsewhere(self):
        self.run_directory("hello/20260102-030405")
        (self.tmp / "docs/agent-context/research").mkdir(parents=True)
        self.assertEqual(self.orch_json("evidence", "list")["runs"], [])
        (run,) = self.orch_json("evidence", "list", "--dir", "state/appimage-orch/evidence")["runs"]
        self.assertEqual(run["directory"], str(self.root / "hello/20260102-030405"))
        (run,) = self.orch_json("evidence", "list", "--dir", self.root / "hello")["runs"]
        self.assertEqual(run["name"], "20260102-030405")

    def test_nothing_and_mistakes(self):
        self.golden("evidence/list-none.txt", self.orch("evidence", "list").stderr)
        self.run_directory("hello/20260102-030405")
        self.golden("evidence/list-filtered.txt", self.orch("evidence", "list", "--app", "x").stderr)
        self.golden("evidence/list-since.txt", self.orch("evidence", "list", "--since", "soon", status=2).stderr)
        self.golden("evidence/list-dir.txt", self.orch("evidence", "list", "--dir", "absent", status=1).stderr)
        self.assertIn("did you mean", self.orch("evidence", "lst", status=2).stderr)


@NATIVE
class Real(LaunchCase):
    def test_a_run_while_it_runs_and_after_it_was_killed(self):
        profile = self.app("echo ready; exec sleep 1000")
        self.orch("build", profile)
        run = subprocess.Popen([lib.shared_copy()[0], "run", profile], env=self.environment(), cwd=self.tmp,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(run.stdout.close)
        self.assertEqual(run.stdout.readline().strip(), b"ready")
        (shown,) = self.orch_json("evidence", "list")["runs"]
        self.assertEqual((shown["state"], shown["outcome"]), ("running", "running"))
        run.send_signal(signal.SIGKILL)
        run.wait()
        (shown,) = wait_for(lambda: [r for r in self.orch_json("evidence", "list")["runs"] if r["state"] == "killed"], "the run is seen as killed")
        self.assertEqual(shown["outcome"], "interrupted")


if __name__ == "__main__":
    unittest.main()
