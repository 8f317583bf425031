"""The examples do what their README files say, as root and as an ordinary user. They fetch packages through apt."""

import json
import re
import shutil
import tomllib

from tests.integration import lib


@lib.needs_tool("apt-get", "dpkg-deb", "mksquashfs", "mkfs.erofs")
class QuickStart(lib.TestCase):
    def quickstart(self, user=None, home=None):
        binary, data = lib.shared_copy()
        env = self.environment(home, ORCH_BINARY=binary, ORCH_QUICKSTART_DIR=(home or self.tmp) / "work",
                               APPIMAGE_ORCH_DATA_DIR=data)
        ran = lib.run_command([data / "examples/quickstart.sh"], env=env, cwd="/", user=user)
        self.assertEqual(ran.status, 0, msg=str(ran))
        return ran, (home or self.tmp) / "work"

    def check(self, ran, work):
        self.assertIn("Hello, you!", ran.stdout)  # seen on the terminal
        self.assertIn("executed 0, cached 0, fresh ", ran.stdout)
        (run,) = (work / "evidence").iterdir()
        self.assertIn(b"Hello, you!", (run / "run.log").read_bytes())
        report = json.loads((run / "run.report.json").read_text())
        self.assertEqual((report["outcome"], report["exit_status"]), ("exited", 0))
        self.assertEqual(report["launcher"], "native")
        self.assertEqual([image["role"] for image in report["images"]], ["base", "deps", "finish"])
        self.assertEqual(report["verify"], {"ok": True, "missing": []})
        self.assertTrue((run / "inputs.json").exists())
        self.assertIn(str(run), ran.stdout)

    def test_the_quick_start_ends_well(self):
        self.check(*self.quickstart())

    @lib.needs_root
    @lib.needs_user_namespaces
    def test_the_quick_start_ends_well_as_an_ordinary_user(self):
        uid, home = self.as_user()
        self.check(*self.quickstart(uid, home))


@lib.needs_tool("apt-get", "dpkg-deb", "mksquashfs", "mkfs.erofs")
class OwnStep(lib.TestCase):
    def setUp(self):
        shutil.copytree(lib.SOURCE / "examples", self.tmp / "examples",
                        ignore=shutil.ignore_patterns("*.AppImage", "*.lock.toml"))
        self.folder = self.tmp / "examples/own-step"
        hello = self.tmp / "examples/hello"
        made = lib.run_command([hello / "make-appimage.sh", hello / "Hello-x86_64.AppImage"], env=self.environment())
        self.assertEqual(made.status, 0, msg=str(made))

    def install_rule(self):
        shutil.copytree(self.folder / "rules", self.tmp / "config/appimage-orch/rules")

    def greeting(self):
        return self.orch("run", cwd=self.folder).stdout.strip().splitlines()[-1]

    def build(self):
        document = self.orch_json("build", cwd=self.folder)
        by_rule = {s["rule"]: s["result"] for s in document["steps"]}
        return document, by_rule

    def test_own_steps_work_between_extraction_and_launch(self):
        self.install_rule()
        self.assertEqual(self.greeting(), "GUTEN TAG, world!")
        document, _ = self.build()
        self.assertEqual((document["executed"], document["cached"]), (0, 0))

        profile = self.folder / "profile.toml"
        text = profile.read_text()
        profile.write_text(text.replace("Guten Tag", "Bonjour"))
        document, by_rule = self.build()
        self.assertEqual((by_rule["step:translate"], by_rule["step:shout"]), ("executed", "executed"))
        self.assertEqual(sorted(rule for rule, result in by_rule.items() if result == "executed"),
                         ["index-tree", "step:shout", "step:translate", "verify-stack"], msg=document)
        self.assertEqual(self.greeting(), "BONJOUR, world!")

        profile.write_text(text)
        document, by_rule = self.build()
        self.assertEqual((document["executed"], by_rule["step:translate"], by_rule["step:shout"]), (0, "cached", "cached"))

        with open(self.folder / "translate.sh", "a") as script:
            script.write("# a comment: another script, the same result\n")
        document, by_rule = self.build()
        self.assertEqual(document["executed"], 1, msg=document)
        self.assertEqual(by_rule["step:translate"], "executed")
        self.assertEqual(self.greeting(), "GUTEN TAG, world!")

    def test_a_rule_that_is_not_installed_is_an_error_that_names_it(self):
        ran = self.orch("plan", cwd=self.folder, status=2)
        self.assertIn("profile.toml:", ran.stderr)
        self.assertIn("'shout'", ran.stderr)


PROFILE_FILES = {"Foo.AppImage", "rootfs.erofs", "mesa.erofs", "fonts.erofs", "keys/archive.gpg", "keys/fedora.asc"}
PAGES = ["README.md", "docs/stack.md", "docs/man/appimage-orch-profile.5.md", "examples/hello/README.md", "examples/own-step/README.md"]


def blocks(page, language="toml"):
    """The fenced blocks of a page, with the line that each begins at."""
    text = (lib.SOURCE / page).read_text()
    return [(text[:found.start()].count("\n") + 1, found[1]) for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)]


@lib.needs_tool("mksquashfs", "mkfs.erofs")
class Pages(lib.TestCase):
    """What the documentation shows can be used as it stands."""

    def setUp(self):
        for name in PROFILE_FILES:
            self.write(name, "not read by a plan")
        lib.make_appimage(self.tmp / "Foo.AppImage", lib.make_tree(self.tmp / "app", {"AppRun": "#!/bin/sh\n"}))
        lib.make_erofs(self.tmp / "rootfs.erofs", self.tmp / "app")
        for name in ("mesa", "fonts"):
            shutil.copy(self.tmp / "rootfs.erofs", self.tmp / f"{name}.erofs")
        (self.tmp / "packages").mkdir()

    def test_every_profile_of_the_guide_can_be_planned(self):
        found = blocks("docs/stack.md")
        self.assertGreater(len(found), 8)
        for line, text in found:
            with self.subTest(line=line):
                rules = {step["rule"] for step in self.orch_json("plan", self.write("page.toml", text))["steps"]}
                self.assertTrue({"extract-appimage", "check-stack"} <= rules, rules)
                self.assertEqual("deps-overlay" in rules or "take-image" in rules, "stack.deps" in text)

    def test_the_profile_of_the_front_page_is_the_one_of_the_example(self):
        ((_, text),) = blocks("README.md")
        shown, used = tomllib.loads(text), tomllib.loads((lib.SOURCE / "examples/hello/profile.toml").read_text())
        for place in ("app", "stack"):
            self.assertEqual(shown[place], used[place])

    def test_every_command_line_has_options_that_there_are(self):
        helps = {}
        for page in PAGES:
            for line in (lib.SOURCE / page).read_text().splitlines():
                if not (match := re.match(r" {4}appimage-orch (.*?)(?: +#.*)?$", line)):
                    continue
                words = match[1].split(" -- ")[0].split()
                options = [w for w in words if w.startswith("--")]
                command = next(w for w in words if not w.startswith("--"))
                if command not in helps:
                    helps[command] = self.orch(command, "--help").stdout + self.orch("--help").stdout
                for option in options:
                    with self.subTest(page=page, line=line):
                        self.assertRegex(helps[command], rf"(^|[ ,]){re.escape(option)}\b")
        self.assertTrue({"run", "build", "lock", "verify", "plan", "inspect"} <= set(helps), helps.keys())
