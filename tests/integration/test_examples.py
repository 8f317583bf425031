"""The examples do what their README files say, as root and as an ordinary user. They fetch packages through apt."""

import json
import shutil

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
