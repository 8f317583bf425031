"""`run --ab` and `--ab-env`, `--save`, and what lists and prunes make of their evidence."""

import json
import os
import re
import shutil
import signal
import subprocess
import unittest

from tests.integration import lib
from tests.integration.launching import NATIVE, LaunchCase, wait_for
from tests.integration.made_up_runs import MadeUp
from tests.integration.muvm import MuvmCase

STAMP = re.compile(r"\d{8}-\d{6}(-\d+)?")


class AbCase(LaunchCase):
    def ab_directory(self, app="hello", home=None):
        """The newest A/B, its document held against its schema."""
        folder = max(((home or self.tmp) / "state/appimage-orch/evidence" / app).iterdir(), key=lambda p: p.stat().st_ctime_ns)
        return folder, self.check_document(json.loads((folder / "diff.json").read_text()), "ab")

    def ranking(self, document):
        return [(item["place"], item["variant"]) for item in document["ranking"]]


@NATIVE
class Native(AbCase):
    def listed(self):
        return self.orch_json("evidence", "list")["runs"]

    def test_the_application_once_for_each_value(self):
        profile = self.app('echo "WORD=$WORD"; test "$WORD" = good')
        ran = self.orch("run", profile, "--ab-env", "WORD=bad,good", status=1)
        self.assertEqual(ran.stdout, "WORD=bad\nWORD=good\n", "standard output is the application's")
        told = ran.stderr[:ran.stderr.index("variant 1 of 2")] + ran.stderr[ran.stderr.index("ranking"):]
        self.assertLess(ran.stderr.index("variant 1 of 2: WORD=bad\n"), ran.stderr.index("variant 2 of 2: WORD=good\n"))
        self.golden("ab/run.txt", STAMP.sub("STAMP", told[told.index("ranking"):]))
        self.assertLessEqual(max(map(len, told.splitlines()[:-1])), 80)
        folder, document = self.ab_directory()
        self.assertEqual(sorted(p.name for p in folder.iterdir()), ["diff.json", "variant-1", "variant-2"])
        self.assertEqual([(v["name"], v["outcome"], v["exit_status"], v["ran"]) for v in document["variants"]],
                         [("WORD=bad", "exited", 1, True), ("WORD=good", "exited", 0, True)])
        self.assertEqual((document["kind"], document["profile"], document["left_out"]), ("run", "hello", []))
        self.assertEqual(self.ranking(document), [(1, "WORD=good"), (2, "WORD=bad")])
        self.assertEqual([f["field"] for f in document["fields"]], ["status"])
        self.assertEqual((folder / "variant-2/run.log").read_text(), "WORD=good\n")
        images = [json.loads((folder / f"variant-{n}/run.report.json").read_text())["images"] for n in (1, 2)]
        self.assertEqual(images[0], images[1], "the same stack")

    def test_gpu_modes_are_muvm_s(self):
        profile = self.app("exit 0")
        for words, status in ((("run", profile), 125), (("probe", "gpu", profile, "--no-tools"), 2), (("bench", profile), 2)):
            ran = self.orch(*words, "--ab", "drm,venus", status=status)
            self.golden("ab/modes-natively.txt", ran.stderr[ran.stderr.index("error: "):])

    def test_all_well_is_status_0_and_quiet_is_quiet(self):
        profile = self.app("exit 0")
        ran = self.orch("-q", "run", profile, "--ab-env", "A=1,2", status=0)
        self.assertEqual(ran.stderr, "")
        self.assertEqual(self.ranking(self.ab_directory()[1]), [(1, "A=1"), (1, "A=2")])

    def test_the_evidence_is_one_run_of_several(self):
        profile = self.app("exit 0")
        self.orch("run", profile, "--ab-env", "A=1,2,3")
        self.orch("run", profile)
        single, ab = self.listed()
        self.assertEqual((single["kind"], single["variants"]), ("run", None))
        self.assertEqual((ab["kind"], ab["variants"], ab["state"], ab["outcome"], ab["exit_status"], ab["app"]), ("ab", 3, "ended", "compared", 0, "hello"))
        self.assertGreater(ab["seconds"], 0)
        self.assertEqual([r["name"] for r in self.orch_json("evidence", "list", "--outcome", "compared")["runs"]], [ab["name"]])
        shown = self.orch_json("evidence", "show", ab["name"])
        self.assertEqual((shown["report"], shown["inputs"], shown["comparison"]["kind"]), (None, None, "run"))
        self.assertEqual(self.orch_json("evidence", "show", f"{ab['name']}/variant-3")["report"]["outcome"], "exited")
        self.orch("evidence", "diff", f"{ab['name']}/variant-1", f"{ab['name']}/variant-2", status=1)
        refused = self.orch("evidence", "diff", ab["name"], single["name"], status=2)
        self.golden("ab/diff.txt", STAMP.sub("STAMP", refused.stderr))

    def test_prune_takes_it_whole(self):
        profile = self.app("exit 0")
        self.orch("run", profile, "--ab-env", "A=1,2")
        folder, _ = self.ab_directory()
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        self.orch("run", profile)
        document = self.orch_json("evidence", "prune", "--keep", "2", "--dry-run")
        self.assertEqual(document["removed"], [], "it counts as one")
        (gone,) = self.orch_json("evidence", "prune", "--keep", "1")["removed"]
        self.assertEqual((gone["directory"], gone["bytes"]), (str(folder), size))
        self.assertFalse(folder.exists())
        self.assertEqual([r["kind"] for r in self.listed()], ["run"])

    def start(self, profile, *words):
        """An A/B of an application that prints "ready" and stays, in its first variant."""
        self.orch("build", profile)
        run = subprocess.Popen([lib.shared_copy()[0], "run", profile, "--ab-env", "A=1,2", *words], env=self.environment(), cwd=self.tmp,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.stderr.close)
        self.assertEqual(run.stdout.readline().strip(), b"ready")
        return run

    def test_a_signal_ends_it_at_once(self):
        profile = self.app("echo ready; exec sleep 1000")
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            run = self.start(profile, "--save")
            self.assertEqual([(r["state"], r["outcome"]) for r in self.listed() if r["state"] == "running"], [("running", "running")])
            run.send_signal(number)
            self.assertNotIn(b"variant 2", run.communicate(timeout=60)[1])
            self.assertEqual(run.returncode, status)
            folder, document = self.ab_directory()
            self.assertEqual(([v["outcome"] for v in document["variants"]], document["left_out"]), (["interrupted"], ["A=2"]))
            self.assertEqual(sorted(p.name for p in folder.iterdir()), ["diff.json", "variant-1"])
            newest = self.listed()[0]
            self.assertEqual((newest["state"], newest["outcome"], newest["signal"], newest["exit_status"]), ("ended", "interrupted", int(number), status))
        self.assertIn("it did not come to this one", self.orch("evidence", "show", "hello").stdout)

    def test_one_that_was_killed(self):
        run = self.start(self.app("echo ready; exec sleep 1000"))
        self.assertEqual(self.orch("evidence", "prune", "--keep", "0").stdout, "removed 0 runs, 0 bytes\n")
        run.send_signal(signal.SIGKILL)
        run.wait()
        (shown,) = wait_for(lambda: [r for r in self.listed() if r["state"] == "killed"], "it is seen as killed")
        self.assertEqual((shown["kind"], shown["outcome"], shown["variants"]), ("ab", "interrupted", 2))
        folder, document = self.ab_directory()
        self.assertEqual((document["variants"], document["left_out"]), ([], ["A=1", "A=2"]))
        self.orch("evidence", "prune", "--keep", "0")
        self.assertEqual((self.listed(), list(folder.parent.iterdir())), ([], []))

    def test_ctrl_c_in_the_applications_terminal_means_all_of_it(self):
        ran = self.orch("run", self.app("kill -INT $$"), "--ab-env", "A=1,2", status=130)
        self.assertNotIn("variant 2", ran.stderr)
        self.assertEqual(self.ab_directory()[1]["left_out"], ["A=2"])

    def test_what_was_there_is_replaced_as_a_whole(self):
        profile = self.app("exit 0")
        place = self.tmp / "place"
        self.orch("run", profile, "--ab-env", "A=1,2,3", "--out-dir", place)
        self.orch("run", profile, "--ab-env", "A=1,2", "--out-dir", place, status=125)
        self.orch("run", profile, "--ab-env", "A=1,2", "--out-dir", place, "--force")
        self.assertEqual(sorted(p.name for p in place.iterdir()), ["diff.json", "variant-1", "variant-2"])
        self.assertEqual(self.orch_json("evidence", "show", place)["comparison"]["variants"][1]["directory"], str(place / "variant-2"))

    def test_a_dry_run_shows_each(self):
        profile = self.app("exit 0")
        self.orch("build", profile)
        shown = self.orch("run", profile, "--ab-env", "WORD=a,b", "--dry-run").stdout
        self.assertRegex(shown, r"(?s)^variant: WORD=a\n.*env: WORD=a\n.*\n\nvariant: WORD=b\n.*env: WORD=b\n")
        self.assertFalse((self.tmp / "state/appimage-orch/evidence").exists())
        self.golden("ab/dry-run-json.txt", self.orch("run", profile, "--ab-env", "A=1,2", "--dry-run", "--format", "json", status=125).stderr)


@NATIVE
class Save(AbCase):
    def test_a_variable(self):
        profile = self.app('test "$WORD" = good', profile="# mine\n")
        before = profile.read_text()
        ran = self.orch("run", profile, "--ab-env", "WORD=bad,good", "--save", status=1)
        self.assertIn(f"saved app.env.WORD = \"good\" in '{profile}'\n", ran.stderr)
        self.assertEqual(profile.read_text(), before.replace("[app]\n", '[app]\nenv.WORD = "good"\n'))
        self.orch("run", profile, status=0)
        ran = self.orch("run", profile, "--ab-env", "WORD=good,bad", "--save", status=1)
        self.assertIn("has app.env.WORD = \"good\" already\n", ran.stderr)

    def test_nothing_to_save(self):
        for script, words in (("exit 0", "'A=1' and 'A=2' are equal"), ("exit 1", "no variant ended with status 0")):
            profile = self.app(script)
            before = profile.read_text()
            ran = self.orch("run", profile, "--ab-env", "A=1,2", "--save", ok=None)
            self.assertIn(f"nothing is saved: {words}\n", ran.stderr)
            self.assertEqual(profile.read_text(), before)
        ran = self.orch("probe", "devices", profile, "--ab-env", "A=1,2", "--save")
        self.assertIn("are equal", ran.stderr)

    def test_a_probe(self):
        profile = self.app("exit 0")
        before = profile.read_text()
        tools = lib.make_erofs(self.tmp / "tools.erofs", lib.make_tree(self.tmp / "tools", {"usr/bin/glxinfo": '#!/bin/sh\necho "OpenGL renderer string: $WHO"\n'}))
        ran = self.orch("probe", "gpu", profile, "--no-tools", "--image", tools, "--ab-env", "WHO=llvmpipe,Apple M1", "--save", status=1)
        self.golden("ab/probe.txt", ran.stdout)
        self.assertEqual(profile.read_text(), before.replace("[app]\n", '[app]\nenv.WHO = "Apple M1"\n'))

    def test_what_cannot_be_saved_is_refused_before_anything_starts(self):
        profile = self.app("exit 0")
        data = self.tmp / "data"
        for folder in ("rules", "profiles"):
            shutil.copytree(lib.SOURCE / folder, data / folder)
        (data / "profiles/own.toml").write_text(profile.read_text().replace('"Hello', f'"{profile.parent}/Hello'))
        shipped = self.orch("run", "own", "--ab-env", "A=1,2", "--save", status=125, env={"APPIMAGE_ORCH_DATA_DIR": str(data)})
        self.golden("ab/save-shipped.txt", shipped.stderr)
        self.golden("ab/save-nothing.txt", self.orch("run", profile, "--save", status=125).stderr)
        self.assertEqual(self.orch("probe", "gpu", profile, "--save", status=2).stderr, (lib.GOLDEN / "ab/save-nothing.txt").read_text())
        self.golden("ab/secret.txt", self.orch("run", profile, "--ab-env", "API_TOKEN=1,2", status=125).stderr)
        self.assertFalse((self.tmp / "state/appimage-orch/evidence").exists())

    def test_a_profile_that_is_not_ones_own(self):
        user, home = self.as_user()
        profile = self.app("exit 0")
        if lib.is_root():
            ran = self.orch("run", profile, "--ab-env", "A=1,2", "--save", status=125, user=user, home=home)
            self.golden("ab/save-anothers.txt", ran.stderr, {profile.parent.name: "APP"})
            for path in (profile, profile.parent):
                os.chown(path, user, user)
        self.addCleanup(profile.parent.chmod, 0o755)
        for file, folder in ((0o444, 0o755), (0o644, 0o555)):
            profile.chmod(file)
            profile.parent.chmod(folder)
            ran = self.orch("run", profile, "--ab-env", "A=1,2", "--save", status=125, user=user, home=home)
            self.golden("ab/save-read-only.txt", ran.stderr, {profile.parent.name: "APP"})
        self.assertFalse((home / "state/appimage-orch/evidence").exists())


class Muvm(MuvmCase, AbCase):
    def by_mode(self, drm="exit 0", venus="exit 0", software="exit 0"):
        """An application that does by its VM's GPU mode, as the double's record has it."""
        mode = f"mode=$(grep -o '\"gpu-mode\": *\\[\"[a-z]*' {self.home}/record | tail -1); mode=${{mode##*\\\"}}"
        return self.app(f"{mode}\ncase $mode in venus) {venus} ;; software) {software} ;; *) {drm} ;; esac")

    def test_one_vm_after_another_and_one_that_crashes(self):
        profile = self.by_mode(software="kill -SEGV $$", venus="exit 3")
        for path in (profile, profile.parent):
            os.chown(path, self.user, -1)
        before = profile.read_text()
        ran = self.muvm(profile, "--ab", "software,venus,drm", "--save", status=1)
        _, document = self.ab_directory(home=self.home)
        self.assertEqual([(v["name"], v["outcome"], v["exit_status"]) for v in document["variants"]],
                         [("software", "signaled", 139), ("venus", "exited", 3), ("drm", "exited", 0)])
        self.assertEqual(self.ranking(document), [(1, "drm"), (2, "software"), (2, "venus")])
        self.assertEqual([r["options"]["gpu-mode"] for r in self.records()], [["software"], ["venus"], ["drm"]])
        self.assertFalse([r for r in self.records() if r["reused"]], "each has a VM of its own")
        self.assertIn("saved launch.gpu_mode = \"drm\" in ", ran.stderr)
        self.assertEqual(profile.read_text(), before + '\n[launch]\ngpu_mode = "drm"\n')
        self.assertIn("it was ended by a signal, status 139", ran.stderr)

    def test_what_auto_goes_by(self):
        """A mode that was the best once, until none is; one that failed once settles nothing."""
        renderer = self.home / "renderer"
        tools = lib.make_erofs(self.tmp / "tools.erofs", lib.make_tree(self.tmp / "tools", {"usr/bin/glxinfo": f"""#!/bin/sh
mode=$(grep -o '"gpu-mode": *\\["[a-z]*' {self.home}/record | tail -1); mode=${{mode##*\\"}}
[ ! -e {renderer}.${{mode:-drm}} ] || exit 1
[ -e {renderer} ] || [ "$mode" = venus ] && echo "OpenGL renderer string: Apple M1" || echo "OpenGL renderer string: llvmpipe"
"""}))
        profile = self.app("exit 0", profile=f'images = ["{tools}"]\n')

        def probe(script=None):
            ran = self.orch("probe", "gpu", profile, "--launcher", "muvm", "--no-tools", "--ab", "drm,venus", ok=None, home=self.home, prefix=self.prefix, env=self.muvm_env(),)
            self.muvm(profile)
            argv = json.loads(next(iter(sorted((self.home / "state/appimage-orch/evidence/hello").iterdir(), reverse=True))).joinpath("run.report.json").read_text())["argv"]
            return "".join(line for line in ran.stderr.splitlines() if line.startswith("gpu_mode")), "--gpu-mode=venus" in argv

        self.assertEqual(probe(), ("gpu_mode = \"auto\" of 'hello' is venus from now on, on this machine", True))
        base = profile.read_text()
        profile.write_text(base + '\n[app.env]\nGTK_THEME = "1"\n')
        renderer.touch()
        self.assertEqual(probe(), ("gpu_mode = \"auto\" of 'hello' goes by this machine's GPU again: no mode is the best", False))
        self.assertEqual(probe(), ("", False))

    def test_one_that_did_not_run_settles_nothing(self):
        profile = self.app("exit 0", profile=f'images = ["{self.tools_of_venus()}"]\n')
        ran = self.orch("probe", "gpu", profile, "--launcher", "muvm", "--no-tools", "--ab", "venus,drm", ok=None, home=self.home, prefix=self.prefix,
                        env=self.muvm_env(MUVM_DOUBLE_RELEASE="0.4.0"))
        self.assertIn("gpu_mode = \"auto\" of 'hello' stays as it was: not every mode ran\n", ran.stderr)

    def tools_of_venus(self):
        return lib.make_erofs(self.tmp / "tools.erofs", lib.make_tree(self.tmp / "tools", {"usr/bin/glxinfo": '#!/bin/sh\necho "OpenGL renderer string: Apple M1"\n'}))

    def test_a_mode_that_this_muvm_has_not_got(self):
        self.muvm(self.by_mode(), "--ab", "venus,drm", status=1, env={"MUVM_DOUBLE_RELEASE": "0.4.0"})
        _, document = self.ab_directory(home=self.home)
        self.assertEqual([(v["outcome"], v["ran"]) for v in document["variants"]], [("preflight_failed", False), ("exited", True)])
        self.assertEqual(self.ranking(document), [(1, "drm"), (2, "venus")])
        self.assertIn("no --gpu-mode", document["ranking"][1]["reason"])


class MadeUpAb(MadeUp):
    """Evidence with fixed times."""

    def ab(self, name, variants, left_out=()):
        folder = self.root / name
        for number, variant in enumerate(variants, 1):
            self.run_directory(f"{name}/variant-{number}", started=f"2026-01-02T03:0{number}:05.000Z", ended=f"2026-01-02T03:0{number}:45.500Z")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "diff.json").write_text(json.dumps({
            "schema": "appimage-orch/ab/1", "kind": "run", "profile": "hello", "left_out": list(left_out),
            "variants": [{"name": n, "directory": f"{folder}/variant-{i}", "outcome": "exited", "exit_status": i, "error": None, "ran": True} for i, n in enumerate(variants, 1)],
            "fields": [{"field": "status", "values": {n: i for i, n in enumerate(variants, 1)}}],
            "ranking": [{"place": 1, "variant": n, "reason": "it ended with a status, and said much of why that is so, in more words than a line has"} for n in variants]}))
        self.check_document(json.loads((folder / "diff.json").read_text()), "ab")

    def test_lists_and_pages(self):
        self.run_directory("hello/20260101-030405")
        self.ab("hello/20260102-030405", ["drm", "venus"])
        long = "MESA_EXTENSION_OVERRIDE=-GL_ARB_one_thing,-GL_ARB_another_thing"
        self.ab("hello/20260103-030405", ["GALLIUM_DRIVER=llvmpipe", long], ["GALLIUM_DRIVER=softpipe"])
        (self.root / "hello/20260104-030405").mkdir()
        (self.root / "hello/20260104-030405/diff.json").write_text("{}")
        self.damaged.add(self.root / "hello/20260104-030405/diff.json")
        listed = self.orch("evidence", "list").stdout
        self.golden("ab/list.txt", listed)
        for name in ("20260102", "20260103"):
            shown = self.orch("evidence", "show", f"hello/{name}").stdout
            self.golden(f"ab/show-{name}.txt", shown)
            self.assertLessEqual(max(len(line) for line in shown.splitlines() if str(self.tmp) not in line), 80)
        self.orch("evidence", "prune", "--keep", "0", "--older", "2026-01-02")
        self.assertTrue((self.root / "hello/20260104-030405").exists())


if __name__ == "__main__":
    unittest.main()
