"""`evidence diff`: each difference once, and none between equal runs."""

import json
import unittest

from tests.integration import lib
from tests.integration.launching import NATIVE, LaunchCase
from tests.integration.made_up_runs import REPORT, MadeUp
from tests.integration.test_launch_muvm import MuvmCase


class Diff(MadeUp):
    def pair(self, **changes):
        self.run_directory("hello/20260102-030405")
        self.run_directory("hello/20260103-030405", **changes)

    def diff(self, *options, status):
        return self.orch("evidence", "diff", "hello/20260102", "hello/20260103", *options, status=status)

    def test_equal_runs_have_no_differences(self):
        self.pair(started="2026-01-03T00:00:00.000Z", pid=9, phases=[])
        ran = self.diff(status=0)
        self.assertEqual((ran.stdout, ran.stderr), ("", "no differences\n"))
        document = self.diff("--format", "json", status=0).json
        self.assertEqual((document["differences"], document["ignored"][:2]), ([], ["report.pid", "report.started"]))
        self.golden("evidence/diff-verbose.txt", self.orch("-v", "evidence", "diff", "hello/20260102", "hello/20260103").stderr)
        self.assertNotEqual(self.diff("--all", status=1).stdout, "")

    def test_differences(self):
        argv = ["/usr/bin/muvm", "--emu=fex", "-e", "A=2", *REPORT["argv"][6:], "more"]
        self.pair(outcome="signaled", status=None, signal=11, determined_by="wait status", exit_status=139, argv=argv, images=REPORT["images"][1:],
                  environment={"A": "2", "B": "two words"}, advice=["do this next", "x\ny"], error=None)
        self.golden("evidence/diff.txt", self.diff(status=1).stdout)
        self.golden("evidence/diff.json", self.diff("--format", "json", status=1).stdout)

    def test_the_document_goes_where_it_is_asked_to(self):
        self.pair(status=4)
        before = lib.listing(self.tmp)
        self.diff(status=1)
        self.assertEqual(lib.listing(self.tmp), before)
        (self.tmp / "out").mkdir()
        shown = self.diff("-o", "out", "--format", "json", status=1).json
        self.diff("--output", "x.json", status=1)
        self.assertEqual([json.loads((self.tmp / name).read_text()) for name in ("out/diff.json", "x.json")], [shown] * 2)
        self.assertEqual([d["field"] for d in shown["differences"]], ["report.status"])

    def test_trouble_is_2(self):
        self.pair(report="{")
        self.golden("evidence/diff-damaged.txt", self.diff(status=2).stderr)
        self.diff("--dir", "absent", status=2)
        self.orch("evidence", "diff", "hello/20260102", status=2)
        self.orch("evidence", "diff", "hello/20260102", "x", status=2)
        (self.root / "hello/20260103-030405/run.report.json").write_text(json.dumps(REPORT))
        self.diff("-o", "absent/x.json", status=2)


@NATIVE
class Real(LaunchCase):
    def test_two_equal_runs_and_one_with_another_variable(self):
        profile = self.app("echo $A")
        self.orch("build", profile)
        for value in ("1", "1", "2"):
            self.orch("run", profile, "--env", f"A={value}")
        runs = [self.evidence(number=n) for n in range(3)]
        self.orch("evidence", "diff", runs[0], runs[1], status=0)
        document = self.orch("evidence", "diff", runs[1], runs[2], "--format", "json", status=1).json
        self.assertEqual(document["differences"], [{"field": "report.environment.A", "a": "1", "b": "2"}])
        listed = self.orch_json("evidence", "list")["runs"]
        self.assertEqual({run["directory"] for run in listed}, set(map(str, runs)))
        self.assertEqual({(run["state"], run["status"]) for run in listed}, {("ended", 0)})

    def test_from_other_directories(self):
        profile = self.app("true")
        for name in ("x", "y"):
            (self.tmp / name).mkdir()
            self.orch("run", profile, cwd=self.tmp / name, env={"PWD": self.tmp / name})
        document = self.orch("evidence", "diff", self.evidence(number=0), self.evidence(), "--format", "json", status=1).json
        self.assertEqual([d["field"] for d in document["differences"]], ["inputs.paths.directory"])

    def test_a_failed_build_can_be_compared(self):
        profile = self.app("true")
        self.orch("run", profile)
        app = profile.parent / "Hello.AppImage"
        app.write_bytes(app.read_bytes()[:-5000])
        self.orch("run", profile, status=125)
        document = self.orch("evidence", "diff", self.evidence(number=0), self.evidence(), "--format", "json", status=1).json
        fields = {d["field"] for d in document["differences"]}
        self.assertLessEqual({"report.outcome", "report.error", "report.images[base]"}, fields)


class Muvm(MuvmCase):
    def test_what_is_in_the_command_line_too_is_named_once(self):
        """A variable is there as -e, an image as -f, the mode as an option: of muvm's stand-in, whose line is muvm's."""
        profile = self.app("exit 0")
        image = lib.make_erofs(self.tmp / "more.erofs", lib.make_tree(self.tmp / "more", {"usr/share/more": "x"}))
        options = ("--env", "A=1", "--gpu-mode", "drm")
        runs = []
        for changed in ((), ("--env", "A=2"), ("--env", b"C=\xff"), ("--gpu-mode", "venus"), ("--image", image)):
            words = ("--env", "A=1", *changed) if changed[:1] == ("--gpu-mode",) else (*options, *changed)
            out = self.home / f"out-{len(runs)}"
            self.muvm(profile, *words, "--out-dir", out, "--", "x", status=0)
            runs.append(out)
        found = []
        for run in runs[1:]:
            document = self.orch("evidence", "diff", runs[0], run, "--format", "json", status=1).json
            found.append([d["field"] for d in document["differences"]])
        self.assertEqual(found[:3], [["report.environment.A"], ["report.environment.C"], ["inputs.launch.gpu_mode"]])
        self.assertEqual(found[3], ["report.images[finish]", "report.images[image]",
                                    "inputs.profile.expanded.stack.images[0]"])


if __name__ == "__main__":
    unittest.main()
