"""`evidence show`: the page of a run, however it ended."""

import unittest

from tests.integration.launching import NATIVE, LaunchCase
from tests.integration.made_up_runs import INPUTS, REPORT, MadeUp


class Show(MadeUp):
    def test_the_page(self):
        self.run_directory("hello/20260102-030405", log=b"first\n" * 20 + b"10 %\r20 %\r\n\x1b[1mbold\xff\x1b[0m\r\nno end")
        for word in ("hello", "hello/20260102-030405", "2026", self.root / "hello/20260102-030405"):
            self.golden("evidence/show.txt", self.orch("evidence", "show", word).stdout)
        self.assertLessEqual(max(map(len, self.orch("evidence", "show", "hello").stdout.splitlines()[2:])), 80)

    def test_what_is_not_over_as_planned(self):
        live = self.some_runs()
        self.locked(live)
        for name, golden in (("hello/20260103", "signaled"), ("hello/20260104", "killed"), ("hello/20260105", "damaged"), ("hello/20260106", "empty"),
                             ("other-app/20260107", "timed-out"), ("other-app/20260109", "launch-failed")):
            text = self.orch("evidence", "show", name).stdout
            part = "\n".join(p for p in text.split("\n\n") if not p.startswith(("what\n", "with\n", "warnings", "what to do", "log")))
            self.golden(f"evidence/show-{golden}.txt", part)
        self.assertIn("it is running", self.orch("evidence", "show", "other-app/20260108").stdout)

    def test_json(self):
        self.run_directory("hello/20260102-030405")
        document = self.orch_json("evidence", "show", "hello")
        self.assertEqual((document["state"], document["report"], document["inputs"]), ("ended", REPORT, INPUTS))
        self.run_directory("hello/20260103-030405", report="{", inputs=False)
        document = self.orch_json("evidence", "show", "hello")
        self.assertEqual((document["state"], document["report"], document["inputs"]), ("damaged", None, None))
        self.assertIn("run.report.json", document["problem"])

    def test_mistakes(self):
        self.some_runs()
        for words, golden, status in ((["hello/2026"], "ambiguous", 2), (["helo"], "unknown", 1), ([self.root / "hello"], "no-run", 1)):
            self.golden(f"evidence/show-{golden}.txt", self.orch("evidence", "show", *words, status=status).stderr)


@NATIVE
class Real(LaunchCase):
    def test_a_run_and_a_failed_build(self):
        profile = self.app("echo from the application; exit 3")
        self.orch("run", profile, status=3)
        text = self.orch("evidence", "show", "hello").stdout
        for words in ("the application ended with status 3", "  | from the application\n", str(profile), str(self.base)):
            self.assertIn(words, text)
        app = profile.parent / "Hello.AppImage"
        app.write_bytes(app.read_bytes()[:-5000])
        self.orch("run", profile, status=125)
        self.assertIn("not started, because the build failed", self.orch("evidence", "show", "hello").stdout)


if __name__ == "__main__":
    unittest.main()
