"""A mistake in a profile: place, source line, caret, expectation and what to do, exit status 2, and nothing is left behind.

The cases are tests/golden/profile/NAME.toml, their messages NAME.txt; tests/unit/load/profile_errors_test.cpp writes those.
"""

import shutil
import unittest

from tests.integration import lib

CASES = [
    "append_to_text", "bad_choice", "bad_duration", "bad_variable_name", "defined_twice", "duplicate_layer", "duplicate_step", "early_appdir",
    "empty_overlay", "extends_cycle", "host_parameter", "layer_form", "misplaced_key", "missing_appimage", "missing_extends",
    "missing_image", "missing_step_file", "newer_format", "syntax_error", "unknown_key", "unknown_output", "unknown_rule",
    "unknown_source", "unknown_step", "unknown_table", "unknown_variable", "unknown_word", "unset_environment",
    "wrong_item_type", "wrong_type",
]
RULE = """id = "shout"
command = ["true"]
outputs = { tree = { kind = "tree" } }
"""


class ProfileErrors(lib.TestCase):
    def setUp(self):
        for path in (lib.GOLDEN / "profile").glob("*.toml"):
            shutil.copy(path, self.tmp)
        self.write("config/appimage-orch/rules/shout.toml", RULE)
        self.elsewhere = self.tmp / "elsewhere"  # messages name paths relative to the working directory
        self.elsewhere.mkdir()

    def refused(self, command, profile):
        return self.orch(command, profile, status=2, cwd=self.elsewhere)

    def test_each_mistake_has_its_message(self):
        for name in CASES:
            with self.subTest(name):
                ran = self.refused("plan", self.tmp / f"{name}.toml")
                wanted = (lib.GOLDEN / f"profile/{name}.txt").read_text()
                self.assertEqual(ran.stderr.replace(str(self.tmp), "TMP"), wanted)
                self.assertEqual(ran.stdout, "")

    def test_build_refuses_before_it_writes_anything(self):
        before = sorted(self.tmp.rglob("*"))
        self.refused("build", self.tmp / "unknown_key.toml")
        left = [path for path in sorted(self.tmp.rglob("*")) if path not in before and path.is_file()]
        self.assertEqual(left, [])

    def test_run_gives_the_status_of_a_tool_that_failed(self):
        self.orch("run", self.tmp / "unknown_key.toml", status=125, cwd=self.elsewhere)

    def test_a_profile_that_is_not_there(self):
        ran = self.refused("plan", "asahy")
        self.assertIn("there is no profile 'asahy'", ran.stderr)
        self.assertIn("did you mean 'asahi'?", ran.stderr)
        ran = self.refused("plan", "./none.toml")
        self.assertIn("there is no profile './none.toml'", ran.stderr)
        program = self.tmp / "program"
        program.write_bytes(b"\x7fELF and more")
        for words in (("bench", "Some.AppImage"), ("plan", program), ("probe", "gpu", "./Some.AppImage")):
            ran = self.orch(*words, status=2)
            self.golden("profile/an-application.txt", ran.stderr.replace("./Some", "Some").replace(str(program), "Some.AppImage"))

    def test_a_shipped_profile_without_an_application_can_be_looked_at_and_not_run(self):
        self.assertIn("deps-webkit", self.orch("plan", "bambu-studio").stdout)
        ran = self.orch("run", "bambu-studio", status=125)
        self.assertIn("profile 'bambu-studio' names no AppImage", ran.stderr)
        self.assertIn("--appimage FILE", ran.stderr)

    def test_a_value_of_the_command_line(self):
        self.write("p.toml", "")
        ran = self.orch("plan", self.tmp / "p.toml", "--launcher", "wine", status=2)
        self.assertIn("wine", ran.stderr)


if __name__ == "__main__":
    unittest.main()
