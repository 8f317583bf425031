"""What a run leaves: the directory, documents against their schemas, secrets, failures before the launch, full disks."""

import hashlib
import json
import os
import subprocess
import unittest
from pathlib import Path

from tests.integration import jsonschema_mini
from tests.integration import lib
from tests.integration.launching import NATIVE, LaunchCase


class Validator(unittest.TestCase):
    """The little validator says no where it should."""

    def test_each_keyword(self):
        for schema, good, bad in (
                ({"type": "integer"}, 1, True), ({"type": ["string", "null"]}, None, 1), ({"type": "number"}, 1.5, "1"),
                ({"required": ["a"]}, {"a": 1}, {}), ({"properties": {"a": {"type": "string"}}}, {"b": 1}, {"a": 1}),
                ({"additionalProperties": False, "properties": {"a": True}}, {"a": 1}, {"b": 1}),
                ({"items": {"type": "string"}}, ["a"], ["a", 1]), ({"enum": [1, None]}, 1, True), ({"const": "a"}, "a", "b"),
                ({"pattern": "^a$"}, "a", "ab"), ({"anyOf": [{"const": 1}, {"const": 2}]}, 2, 3),
                ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, 3, 7), ({"minimum": 0}, 0, -1),
                ({"$ref": "#/$defs/x", "$defs": {"x": {"const": 1}}}, 1, 2)):
            self.assertEqual(list(jsonschema_mini.problems(good, schema)), [], schema)
            self.assertNotEqual(list(jsonschema_mini.problems(bad, schema)), [], schema)
        with self.assertRaises(ValueError):
            list(jsonschema_mini.problems(1, {"unheardOf": 1}))


@NATIVE
class Evidence(LaunchCase):
    def test_a_run_leaves_four_files(self):
        profile = self.app("echo hello")
        ran = self.orch("run", profile)
        folder = self.evidence()
        self.assertEqual(sorted(os.listdir(folder)), ["inputs.json", "run.cast", "run.log", "run.report.json"])
        self.assertRegex(folder.name, r"^\d{8}-\d{6}$")
        self.assertIn(str(folder), ran.stderr)
        report = self.report()
        self.assertEqual(report["log"], {"bytes": 6, "truncated": False, "left_out": 0})
        self.assertEqual(report["profile"], "hello")
        self.assertEqual(report["app"]["path"], str(profile.parent / "Hello.AppImage"))
        inputs = json.loads((folder / "inputs.json").read_text())
        self.assertEqual(inputs["profile"]["verbatim"], profile.read_text())
        self.assertEqual(inputs["profile"]["expanded"]["name"], "hello")
        self.assertEqual(inputs["command"]["argv"], report["argv"])
        self.assertEqual(inputs["environment"]["TZ"], "UTC")

    def test_secrets_are_in_no_document(self):
        profile = self.app("true")
        text = profile.read_text().replace("[stack]", 'env = { API_TOKEN = "hunter2" }\nargs = ["--password=hunter2"]\n[stack]')
        profile.write_text(text)
        self.orch("run", profile, "--env", "MY_SECRET=hunter2", "--", "--token", "hunter2",
                  env={"GITHUB_TOKEN": "hunter2", "PROXY": "http://me:hunter2@proxy/"})
        self.report()
        for path in self.evidence().iterdir():
            self.assertNotIn(b"hunter2", path.read_bytes(), path)
        shown = self.orch("run", profile, "--dry-run", "--env", "MY_SECRET=hunter2").stdout
        self.assertNotIn("hunter2", shown)
        for form in ("text", "json", "dot"):
            shown = self.orch("plan", profile, "--format", form).stdout
            self.assertNotIn("hunter2", shown)

    def test_secrets_of_a_profile_are_in_no_document_however_they_are_spelled(self):
        for number, settings in enumerate((
                'env = { my_token = "hunter2", "GITHUB_TOKEN" = "x\\"hunter2" }', 'env."my_token" = \'hunter2\'',
                'env.B_TOKEN = """\nhunter2\n"hunter2"""', "env.'B_TOKEN' = \'\'\'hunter2\nhunter2\'\'\'", 'env."\\u0042_TOKEN" = "hu\\u006eter2 hunter2"',
                'args = ["--api-key=a,hunter2"]', 'args = ["--token",\n  "hunter2 hunter2"] # --token hunter2',
                '# my_token = "hunter2"')):
            with self.subTest(settings):
                profile = self.app("true")
                text = profile.read_text().replace("[stack]", f"{settings}\n[stack]")
                profile.write_text(text)
                out = self.tmp / f"out-{number}"
                self.orch("run", profile, "--out-dir", out)
                self.report(folder=out)
                for path in out.iterdir():
                    self.assertNotIn(b"hunter2", path.read_bytes(), path)
                    self.assertNotIn(b"006eter2", path.read_bytes(), path)
                verbatim = json.loads((out / "inputs.json").read_text())["profile"]["verbatim"]
                before, after = text.split(settings)
                self.assertTrue(verbatim.startswith(before) and verbatim.endswith(after), verbatim)
                self.assertIn("[redacted]", verbatim)

    def test_bytes_that_are_no_text_are_base64(self):
        self.orch("run", self.app("printf '%s' \"$1\""), "--", b"\xff\xfe", status=0)
        self.assertEqual(self.report()["argv"][1], {"base64": "//4="})
        self.assertEqual(self.log(), b"\xff\xfe")

    def test_out_dir_is_refused_if_it_is_not_empty(self):
        profile = self.app("echo x")
        out = self.tmp / "out"
        self.orch("run", profile, "--out-dir", out)
        self.assertEqual(self.report(folder=out)["outcome"], "exited")
        ran = self.orch("run", profile, "--out-dir", out, status=125)
        self.assertIn("--force", ran.stderr)
        self.orch("run", profile, "--out-dir", out, "--force")
        self.assertEqual(sorted(os.listdir(out)), ["inputs.json", "run.cast", "run.log", "run.report.json"])

    def under_way(self, script, *options):
        """A run that has printed "ready"; its standard error is kept in a file."""
        self.orch("build", profile := self.app(script))
        with open(self.tmp / "stderr", "wb") as stderr:
            run = subprocess.Popen([lib.shared_copy()[0], "run", profile, *options], env=self.environment(), cwd=self.tmp,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        for stream in (run.stdin, run.stdout):
            self.addCleanup(stream.close)
        self.addCleanup(run.kill)
        self.assertEqual(run.stdout.readline().strip(), b"ready")
        return run

    def test_a_run_that_is_under_way_is_not_replaced(self):
        out = self.tmp / "out"
        run = self.under_way("echo ready; read line; exit 7", "--out-dir", out)
        before = (out / "inputs.json").read_bytes()
        ran = self.orch("run", self.app("echo x"), "--out-dir", out, "--force", status=125)
        self.golden("evidence/out-dir-under-way.txt", ran.stderr)
        self.assertEqual((self.report(folder=out)["outcome"], (out / "inputs.json").read_bytes()), ("running", before))
        run.stdin.write(b"\n")
        run.stdin.flush()
        self.assertEqual(run.wait(), 7)
        self.assertEqual((self.report(folder=out)["outcome"], self.report(folder=out)["status"]), ("exited", 7))

    def test_the_application_keeps_its_status_where_its_report_is_lost(self):
        out = self.tmp / "out"
        run = self.under_way("echo ready; read line; exit 7", "--out-dir", out)
        out.rename(self.tmp / "moved")
        run.stdin.write(b"\n")
        run.stdin.flush()
        self.assertEqual(run.wait(), 7)
        self.golden("evidence/report-lost.txt", (self.tmp / "stderr").read_text())
        self.assertFalse(out.exists())

    def test_the_output_with_its_timing_without_escapes_and_with_a_limit(self):
        profile = self.app("printf 'one\\r\\n'; sleep 0.2; printf '\\033[1mtwo\\303\\244\\033[0m\\r\\n'; printf '%500s\\n' last",
                           profile="[evidence]\nplain = true\nmax_log = 64\n")
        self.orch("run", profile)
        report, folder = self.report(), self.evidence()
        header, *events = [json.loads(line) for line in (folder / "run.cast").read_text().splitlines()]
        self.assertEqual((header["version"], header["width"], header["height"], header["title"]), (2, 80, 24, "hello"))
        whole = "one\r\n\x1b[1mtwo\u00e4\x1b[0m\r\n" + "last".rjust(500) + "\n"
        self.assertEqual("".join(text for _, kind, text in events if kind == "o"), whole.encode()[:32].decode())
        self.assertEqual(events[-1][1:], ["m", "the recording ends here: run.log has the rest"])
        self.assertGreater(events[1][0] - events[0][0], 0.15)
        left_out = report["log"]["left_out"]
        self.assertEqual(report["log"]["bytes"] + left_out, 521)
        self.assertIn(f"{left_out} bytes in between are left out", " ".join(report["warnings"]))
        log = self.log()
        self.assertTrue(log.startswith(b"one\r\n\x1b[1mtwo") and log.endswith(b"    last\n"), log)
        self.assertIn(b"[appimage-orch: %d bytes are left out here]" % left_out, log)
        self.assertTrue((folder / "run.txt").read_text().startswith("one\ntwo\u00e4\n"))
        self.assertEqual(sorted(os.listdir(folder)), ["inputs.json", "run.cast", "run.log", "run.report.json", "run.txt"])

    def test_a_recording_that_cannot_be_opened_is_told_of(self):
        """run.txt is made when the application has ended, which has put something else there."""
        base = lib.make_base_image(self.tmp / "base.erofs", ("/bin/sh", "/bin/mkdir"))
        profile = self.app('mkdir "$1/run.txt"; exit 3', base=base, profile="[evidence]\nplain = true\n")
        ran = self.orch("run", profile, "--out-dir", self.tmp / "out", "--", self.tmp / "out", status=3)
        self.assertIn("warning: run.txt could not be opened (cannot write '", ran.stderr)
        (warning,) = self.report(folder=self.tmp / "out")["warnings"]
        self.assertRegex(warning, r"^run\.txt could not be opened \(.*/run\.txt': Is a directory\)$")

    def test_documents_of_steps_of_ones_own(self):
        """They need not name a schema, nor be JSON; of those that do, all is there."""
        image = lib.make_erofs(self.tmp / "own.erofs", lib.make_tree(self.tmp / "own", {"usr/share/own": "x"}))
        for text, content in (('{"files": [1], "x": 2}', None), ("no JSON", None), ('{"schema": "own/1", "files": [1], "x": 2}', {"schema": "own/1", "files": [1], "x": 2})):
            self.write("note", text)
            profile = self.app("exit 0", profile=(
                '[[step]]\nname = "own"\ncommand = ["sh", "-c", "cp $0 $1; cp $2 $3", "{in.image}", "{out.image}", "{in.note}", "{out.note}"]\n'
                f'[step.inputs]\nimage = {{ file = "{image}" }}\nnote = {{ file = "{self.tmp}/note" }}\n'
                '[step.outputs]\nimage = { kind = "image", provides = "layers+" }\nnote = { kind = "document" }\n'))
            self.orch("run", profile, "--out-dir", self.tmp / "out", "--force")
            inputs = json.loads((self.tmp / "out/inputs.json").read_text())
            (own,) = [m for m in inputs["manifests"] if m["role"] == "step"]
            self.assertEqual((own["content"], own["sha256"]), (content, hashlib.sha256(text.encode()).hexdigest()))

    def test_portable_folders(self):
        profile = self.app('echo "$HOME|$XDG_CONFIG_HOME"')
        image = profile.parent / "Hello.AppImage"
        for name in ("home", "config"):
            (profile.parent / f"Hello.AppImage.{name}").mkdir()
        self.assertEqual(self.orch("run", profile).stdout, f"{image}.home|{image}.config\n")
        self.assertEqual(self.orch("run", profile, "--env", "HOME=/x").stdout, f"/x|{image}.config\n")
        inputs = json.loads((self.evidence() / "inputs.json").read_text())
        self.assertEqual((inputs["guest"]["environment"]["HOME"], inputs["environment"]["HOME"]), ("/x", str(self.tmp)))

    def test_a_guest_check_looks_from_inside(self):
        profile = self.app("echo hello", profile="[preflight]\nguest_check = true\n")
        self.assertEqual(self.orch("run", profile).stdout, "hello\n")
        report = self.report()
        checks = {check["id"]: check["status"] for check in report["checks"] if check["id"].startswith("guest-")}
        self.assertEqual(checks, {"guest-start": "ok", "guest-interpreter": "ok", "guest-program": "ok"})
        self.assertIn("guest-check", [phase["name"] for phase in report["phases"]])
        self.assertEqual(self.log(), b"hello\n")
        lame = lib.make_base_image(self.tmp / "lame.erofs", ("/usr/bin/env",))  # without a shell
        profile = self.app(Path(os.path.realpath("/bin/true")).read_bytes(), base=lame, profile="[preflight]\nguest_check = true\n[verify]\nmode = \"off\"\n")
        ran = self.orch("run", profile, status=125)
        self.assertIn("/bin/sh", ran.stderr)
        self.assertEqual(self.report()["outcome"], "preflight_failed")
        self.orch("run", profile, "--force", status=0)
        self.assertTrue(self.report()["forced"])

    def test_a_tree_with_agent_context_gets_the_evidence(self):
        profile = self.app("true")
        (self.tmp / "docs/agent-context").mkdir(parents=True)
        self.orch("run", profile)
        (folder,) = (self.tmp / "docs/agent-context/research/hello").iterdir()
        self.assertEqual(self.report(folder=folder)["outcome"], "exited")

    def test_runs_in_the_same_second_do_not_collide(self):
        profile = self.app("true")
        self.orch("build", profile)
        runs = [subprocess.Popen([lib.shared_copy()[0], "run", profile], env=self.environment(), cwd=self.tmp,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(4)]
        self.assertEqual([run.wait() for run in runs], [0] * 4)
        folders = list((self.tmp / "state/appimage-orch/evidence/hello").iterdir())
        self.assertEqual(len(folders), 4)
        for folder in folders:
            self.assertEqual(self.report(folder=folder)["outcome"], "exited")

    def test_a_failed_build_leaves_evidence(self):
        profile = self.app("true")
        app = profile.parent / "Hello.AppImage"
        app.write_bytes(app.read_bytes()[:-5000])
        self.orch("run", profile, status=125)
        report = self.report()
        self.assertEqual((report["outcome"], report["exit_status"]), ("build_failed", 125))
        self.assertTrue(report["error"]["what"])

    def test_a_refused_launch_leaves_evidence(self):
        bad = self.write("bad.erofs", b"hsqs" + b"\0" * 5000)
        ran = self.orch("run", self.app("true", base=bad), ok=None)
        self.assertEqual(ran.status, 125)
        report = self.report()
        self.assertIn(report["outcome"], ("preflight_failed", "build_failed"))

    def test_a_dry_run_starts_nothing_and_leaves_nothing(self):
        profile = self.app("echo > $OWD/started")
        launch = self.orch("run", profile, "--dry-run", "--format", "json", "--env", "A=b", "--", "x y").json
        self.assertEqual(sorted(launch), ["argv", "env", "images", "launcher", "schema"])
        self.assertEqual(launch["launcher"], "native")
        self.assertEqual(launch["argv"][1:], ["x y"])
        self.assertEqual(launch["env"]["A"], "b")
        self.assertEqual([image["role"] for image in launch["images"]], ["base", "compat", "finish"])
        self.assertFalse((self.tmp / "state/appimage-orch/evidence").exists())
        self.assertFalse((self.tmp / "started").exists())
        self.orch("build", profile)
        planned = self.orch_json("plan", profile)["launch"]
        dry = self.orch_json("run", profile, "--dry-run")
        self.assertEqual({"schema": "appimage-orch/launch/1", **planned}, dry)
        self.orch("run", profile)
        self.assertEqual(self.report()["argv"], dry["argv"])

    def test_an_appimage_alone_gets_a_profile_of_its_own(self):
        profile = self.app("echo hello; exit 2")
        appimage = profile.parent / "Hello.AppImage"
        ran = self.orch("run", appimage, "--image", self.base, status=2)
        self.assertIn("wrote the profile", ran.stderr)
        (written,) = (self.tmp / "config/appimage-orch/profiles").glob("*.toml")
        ran = self.orch("run", appimage, "--image", self.base, status=2)
        self.assertNotIn("wrote the profile", ran.stderr)
        self.orch("run", self.write("x.AppImage", "no AppImage"), status=125)
        self.assertEqual(list((self.tmp / "config/appimage-orch/profiles").glob("*.toml")), [written])

    def test_mistakes_are_125(self):
        for options, word in ((["absent.toml"], "absent.toml"), ([self.app("true"), "--timeout", "soon"], "90s"),
                              ([self.app("true"), "--env", "=x"], "--env")):
            ran = self.orch("run", *options, status=125)
            self.assertIn(word, ran.stderr)

    def run_on_a_small_disk(self, profile, size, *arguments):
        """Runs on a tmpfs of that size; gives how it ended, and a copy of what it left."""
        out = self.tmp / "small"
        out.mkdir()
        command = f'mount -t tmpfs -o size={size} small {out} && "$@" > /dev/null; status=$?; cp -r {out}/e {self.tmp}/kept; exit $status'
        ran = lib.run_command(["unshare", "-m", "--propagation", "private", "sh", "-c", command, "sh", lib.shared_copy()[0], "run", profile,
                               "--out-dir", out / "e", *arguments], env=self.environment(), cwd=self.tmp)
        if "mount:" in ran.stderr:
            self.skipTest("may not mount a tmpfs")
        return ran, self.tmp / "kept"

    def full_disk(self, size, *arguments):
        profile = self.app("i=0; while [ $i -lt 160000 ]; do echo 'a line of the log'; i=$((i+1)); done; exit 9")
        self.orch("build", profile)
        ran, kept = self.run_on_a_small_disk(profile, size, *arguments)
        self.assertEqual(ran.status, 9, ran.stderr)
        report = self.report(folder=kept)
        self.assertEqual((report["outcome"], report["status"]), ("exited", 9))
        log = (kept / "run.log").read_bytes()
        self.assertTrue(report["log"]["truncated"])
        self.assertEqual(report["log"]["bytes"], len(log))
        self.assertEqual(set(log.splitlines(keepends=True)), {b"a line of the log\n"})
        self.assertIn("No space left", report["warnings"][-1])
        return kept

    @lib.needs_root
    def test_a_full_disk_cuts_the_log_at_a_line_and_the_application_goes_on(self):
        self.full_disk("300k")

    @lib.needs_root
    def test_a_full_disk_has_room_for_a_large_report(self):
        kept = self.full_disk("2500k", "--", "x" * 120_000, "y" * 50_000)
        self.assertGreater((kept / "run.report.json").stat().st_size, 160_000)


if __name__ == "__main__":
    unittest.main()
