"""What a step must not be able to do to the store: each case was found by looking for it, and stays found."""

import json
import os
import shutil
import time
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.staleness import StalenessCase

PROFILE = """
schema = 1
name = "p"
extends = "native"
[[step]]
name = "s"
command = ["sh", "-c", COMMAND, "x", "{in.leaf}", "{out.o}", "TMP"]
inputs.leaf = { file = "leaf" }
outputs.o = { kind = "file" }
"""


@lib.needs_tool("ninja")
class Hygiene(StalenessCase):
    def profile(self, command, extra=""):
        self.write("profile.toml", PROFILE.replace("COMMAND", json.dumps(command)).replace("TMP", str(self.tmp)) + extra)

    def setUp(self):
        self.write("leaf", "A")

    def output(self, document):
        (step,) = [s for s in document["steps"] if s["rule"] == "step:s"]
        return Path(step["artifact"]).read_text()

    def test_an_input_that_changes_meanwhile_does_not_poison_the_cache(self):
        # The first execution edits its own input; a result that is half of one and half of the other has no key.
        self.profile('cat "$1" > "$2"; [ -e "$3/edited" ] || { echo B > "$1"; touch "$3/edited"; }; cat "$1" >> "$2"')
        self.assertEqual(self.output(self.build_checked()), "B\nB\n")
        self.write("leaf", "A")
        self.assertEqual(self.output(self.build_checked()), "AA")

    def test_what_a_command_leaves_running_is_ended_before_its_result_is_published(self):
        self.profile('exec 9> "$2"; echo x >&9; (trap "" TERM; while :; do echo late >&9; sleep 0.01; done) &')
        document = self.build_checked()
        first = self.output(document)
        time.sleep(0.1)
        self.assertEqual(self.output(document), first)
        (digest,) = [s["digest"] for s in document["steps"]]
        hashed = lib.run_command(["xxhsum", "-H2", document["steps"][0]["artifact"]]).stdout.split()[0]
        self.assertEqual(hashed, digest)

    def test_a_command_gets_no_descriptors_but_its_own(self):
        self.profile('ls -l /proc/self/fd > "$2"')
        listed = self.output(self.build_checked())
        self.assertIn("/dev/null", listed)
        for what in ("/lock", "pipe:", "socket:"):
            self.assertNotIn(what, listed)

    def test_a_step_that_is_killed_is_a_failure(self):
        self.profile('kill -9 $PPID; sleep 1')
        document = self.build(status=1)
        self.assertEqual((document["failed"], document["steps"][0]["result"]), (1, "failed"))

    def test_records_with_other_outputs_are_misses(self):
        self.profile('cp "$1" "$2"')
        key = self.build_checked()["steps"][0]["key"]
        record = self.tmp / "cache/appimage-orch/store/ac" / key[:2] / f"{key}.json"
        document = json.loads(record.read_text())
        document["outputs"] = []
        record.write_text(json.dumps(document))
        lib.remove_tree(self.tmp / "cache/appimage-orch/build")
        self.assertEqual(self.build_checked()["executed"], 1)

    def test_power_loss(self):
        # Stamps and records of another boot, and artifacts that the disk never got.
        self.profile('cp "$1" "$2"')
        self.build_checked()
        cache = self.tmp / "cache/appimage-orch"
        for path in [*cache.glob("store/ac/*/*.json"), *cache.glob("store/cas/*/*/*/manifest.json"), *cache.glob("build/*/stamps/*")]:
            path.write_text(path.read_text().replace(Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "x"))
        done = self.build_checked()
        self.assertEqual((done["executed"], done["cached"]), (0, 0))  # whole after all
        for path in [*cache.glob("store/ac/*/*.json"), *cache.glob("store/cas/*/*/*/manifest.json"), *cache.glob("build/*/stamps/*")]:
            path.write_text(path.read_text().replace(Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "x"))
        for path in cache.glob("store/cas/file/*/*/file"):
            path.chmod(0o600)
            path.write_text("")
        self.assertEqual(self.build_checked()["executed"], 1)
        self.assertEqual(self.output(self.build()), "A")

    def test_a_command_that_changes_its_input_fails_and_the_input_is_made_again(self):
        self.write("change", "")
        shared = """
[[step]]
name = "t"
command = ["sh", "-c", %s, "x", "{in.o}", "{out.r}", "{in.change}"]
inputs.o = { value = "o" }
inputs.change = { file = "change" }
outputs.r = { kind = "file" }
"""
        self.write("profile.toml", PROFILE.replace("COMMAND", json.dumps('mkdir "$2"; cp "$1" "$2/f"')).replace(
            'kind = "file"', 'kind = "tree", provides = "o"') + shared % json.dumps('. "$3"; cp "$1/f" "$2"'))
        self.build_checked()
        for change in ('chmod u+w "$1" "$1/f"; echo x > "$1/f"', 'chmod u+w "$1"; rm "$1/f"', 'chmod u+w "$1"; ln -s f "$1/g"',
                       'chmod u+w "$1/f"; echo x > "$1/f"; exit 1'):
            with self.subTest(change):
                self.write("change", change)
                ran = self.orch("build", status=1)
                self.assertIn("the command changed its input 'o', which other steps and builds share", ran.stderr)
                self.write("change", "")
                self.assertEqual(self.rules(self.build(), "cached", "executed"), ["step:s", "step:t"])
        # What leaves the content alone is no harm.
        self.write("change", 'cp -al "$1" copy; touch "$1/f"')
        self.build_checked()

    def test_fifos_are_no_outputs(self):
        self.profile('mkfifo "$2"')
        self.assertIn("the step made something else", self.orch("build", status=1).stderr)

    def test_folders_with_names_that_are_not_utf8(self):
        folder = os.fsencode(self.tmp) + b"/caf\xe9"
        os.mkdir(folder)
        self.profile('cp "$1" "$2"')
        for name in (b"leaf", b"profile.toml"):
            shutil.copy(os.fsencode(self.tmp) + b"/" + name, folder)
        self.assertEqual(self.output(self.build(cwd=folder)), "A")

    def test_never_cached_steps_of_ones_own_are_targets(self):
        self.profile('cp "$1" "$2"', '[[step]]\nname = "look"\ncache = "never"\ncommand = ["sh", "-c", "echo looked; : > \\"$1\\"", "x",'
                     ' "{out.o}"]\noutputs.o = { kind = "file" }\n')
        document = self.build_checked()
        self.assertEqual(self.rules(document["plan"], "always"), ["step:look"])
        (folder,) = (self.tmp / "cache/appimage-orch/build").iterdir()
        (look,) = [s["id"] for s in document["plan"]["steps"] if s["rule"] == "step:look"]
        self.assertEqual(lib.run_command(["ninja", "-C", folder, f"always/{look}"], env=self.environment()).status, 0)


if __name__ == "__main__":
    unittest.main()
