"""Which steps run after which edit, and why the plan said so: architecture, section 5."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.staleness import StalenessCase

PROFILE = """
schema = 1
name = "app"
extends = "native"
[app]
appimage = "app.AppImage"
[stack]
base = "base.erofs"
compat = "off"
finish = "off"
[verify]
mode = "off"

[[step]]
name = "names"
command = ["sh", "-c", 'cd "$1" && find . | sort > "$2"', "x", "{in.tree}", "{out.list}"]
inputs.tree = { value = "app.tree" }
outputs.list = { kind = "file" }

[[step]]
name = "count"
command = ["sh", "-c", 'wc -l < "$1" > "$2"; echo "$3" >> "$2"', "x", "{in.list}", "{out.count}", "{param.unit}"]
inputs.list = { step = "names" }
parameters.unit = { literal = "names" }
outputs.count = { kind = "file" }

[[step]]
name = "sum"
command = ["{tool.sum}", "{in.image}", "{out.sum}"]
inputs.image = { value = "layers[0].image" }
tools.sum = { program = "TMP/sum.sh" }
outputs.sum = { kind = "file" }
"""

OLD = 1_000_000_000  # seconds since the epoch: older than anything here


def older(path):
    os.utime(path, (OLD, OLD))


@lib.needs_tool("mksquashfs", "mkfs.erofs", "ninja")
class Staleness(StalenessCase):
    def setUp(self):
        self.profile_text = PROFILE.replace("TMP", str(self.tmp))
        self.write("profile.toml", self.profile_text)
        self.write("sum.sh", '#!/bin/sh\ncksum < "$1" > "$2"\n', mode=0o755)
        self.tree = lib.make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\necho one\n", "usr/a": "a"})
        self.appimage = lib.make_appimage(self.tmp / "app.AppImage", self.tree)
        lib.make_erofs(self.tmp / "base.erofs", lib.make_tree(self.tmp / "base", {"etc/x": "x"}))
        first = self.build_checked()
        self.assertEqual(self.rules(first, "executed"), ["check-stack", "extract-appimage", "index-image", "step:count", "step:names", "step:sum"])

    def replace_app(self, files):
        lib.make_tree(self.tree, files)
        lib.make_appimage(self.appimage, self.tree)

    def test_the_store_is_read_only_and_outlives_a_reboot(self):
        cache = self.tmp / "cache/appimage-orch"
        writable = [p for p in cache.glob("store/cas/*/*/*/*/**/*") if not p.is_symlink() and p.is_file() and p.stat().st_mode & 0o222]
        self.assertEqual(writable, [])
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        for path in [*cache.glob("store/ac/*/*.json"), *cache.glob("store/cas/*/*/*/manifest.json"), *cache.glob("build/*/stamps/*")]:
            path.write_text(path.read_text().replace(boot, "another boot"))
        done = self.build()
        self.assertEqual((done["executed"], done["failed"]), (0, 0))  # verified, and whole

    def test_touch_executes_nothing(self):
        os.utime(self.appimage)
        done = self.build_checked()
        self.assertEqual((done["executed"], done["cached"]), (0, 0))
        self.assertEqual(self.rules(done["plan"], "stale", "pending", "cached"), [])

    def test_changed_appimage_and_back(self):
        before = shutil.copy2(self.appimage, self.tmp / "before")
        self.replace_app({"usr/b": "b"})
        done = self.build_checked()
        self.assertEqual(self.rules(done, "executed"), ["extract-appimage", "step:count", "step:names"])
        self.assertEqual(self.reasons(done["plan"], "extract-appimage"), [("input", "appimage")])
        self.assertEqual(self.reasons(done["plan"], "step:count")[0][0], "upstream")
        shutil.copy2(before, self.appimage)
        back = self.build_checked()
        self.assertEqual(back["executed"], 0)
        self.assertEqual(self.rules(back, "cached"), ["extract-appimage", "step:count", "step:names"])
        self.assertEqual(self.reasons(back["plan"], "extract-appimage"), [("input", "appimage")])

    def test_equal_result_stops_the_rebuild(self):
        # Another content under the same name: the list of names stays, so what takes from it is cut off.
        self.replace_app({"usr/a": "another content"})
        done = self.build_checked()
        self.assertEqual(self.rules(done["plan"], "pending"), ["step:count", "step:names"])
        self.assertEqual(self.rules(done, "executed"), ["extract-appimage", "step:names"])
        self.assertEqual(self.rules(done, "fresh"), ["check-stack", "index-image", "step:count", "step:sum"])

    def test_other_content_with_an_older_time(self):
        self.replace_app({"usr/c": "c"})
        older(self.appimage)
        done = self.build_checked()
        self.assertEqual(self.rules(done, "executed"), ["extract-appimage", "step:count", "step:names"])
        lib.make_erofs(self.tmp / "base.erofs", lib.make_tree(self.tmp / "base", {"etc/y": "y"}))
        older(self.tmp / "base.erofs")
        done = self.build_checked()
        self.assertEqual(self.rules(done, "executed"), ["check-stack", "index-image", "step:sum"])
        self.assertEqual(self.reasons(done["plan"], "step:sum"), [("input", "image")])
        self.write("sum.sh", '#!/bin/sh\ncksum "$1" > "$2"\n', mode=0o755)
        older(self.tmp / "sum.sh")
        done = self.build_checked()
        self.assertEqual(self.rules(done, "executed"), ["step:sum"])
        self.assertEqual(self.reasons(done["plan"], "step:sum"), [("tool", "sum")])

    def test_same_size_and_time_but_another_file(self):
        # As `cp -p` over a file of equal size leaves it: the inode or the change time tell.
        before = os.stat(self.tmp / "sum.sh")
        self.write("other.sh", '#!/bin/sh\ncksum < "$1" >"$2" \n', mode=0o755)
        os.utime(self.tmp / "other.sh", ns=(before.st_atime_ns, before.st_mtime_ns))
        os.rename(self.tmp / "other.sh", self.tmp / "sum.sh")
        after = os.stat(self.tmp / "sum.sh")
        self.assertEqual((after.st_mtime_ns, after.st_size), (before.st_mtime_ns, before.st_size))
        self.assertEqual(self.rules(self.build_checked(), "executed"), ["step:sum"])

    def test_parameter(self):
        self.write("profile.toml", self.profile_text.replace('literal = "names"', 'literal = "paths"'))
        done = self.build_checked()
        self.assertEqual(self.rules(done, "executed"), ["step:count"])
        (reason,) = [s for s in done["plan"]["steps"] if s["rule"] == "step:count"][0]["reasons"]
        self.assertEqual((reason["kind"], reason["what"], reason["before"], reason["after"]),
                         ("parameter", "unit", '"names"', '"paths"'))
        self.write("profile.toml", self.profile_text)
        back = self.build_checked()
        self.assertEqual((back["executed"], self.rules(back, "cached")), (0, ["step:count"]))

    def test_environment_of_the_launch_executes_no_artifact_step(self):
        self.write("profile.toml", self.profile_text.replace("[stack]", '[app.env]\nCOLOUR = "blue"\n[stack]'))
        done = self.build_checked()
        self.assertEqual((done["executed"], done["cached"]), (0, 0))
        self.assertEqual(self.rules(done["plan"], "always"), ["launch", "preflight"])

    def artifact(self, document, rule):
        (step,) = [s for s in document["steps"] if s["rule"] == rule]
        return step

    def test_deleted_artifact(self):
        step = self.artifact(self.build(), "step:names")
        lib.remove_tree(os.path.dirname(step["artifact"]))
        done = self.build_checked()
        self.assertEqual(self.rules(done, "executed"), ["step:names"])
        self.assertEqual(self.reasons(done["plan"], "step:names"), [("artifact", "its artifact is gone from the store")])
        self.assertTrue(os.path.exists(step["artifact"]))

    def folder(self):
        (folder,) = (self.tmp / "cache/appimage-orch/build").iterdir()
        return folder

    def test_truncated_stamp(self):
        step = self.artifact(self.build(), "step:names")
        stamp = self.folder() / "stamps" / step["id"]
        stamp.write_bytes(stamp.read_bytes()[:40])
        done = self.build_checked()
        self.assertEqual((done["executed"], self.rules(done, "cached")), (0, ["step:names"]))
        self.assertEqual(self.reasons(done["plan"], "step:names")[0], ("stamp", "the stamp is unreadable"))

    def test_foreign_stamp(self):
        document = self.build()
        names, count = (self.artifact(document, rule)["id"] for rule in ("step:names", "step:count"))
        shutil.copy(self.folder() / "stamps" / names, self.folder() / "stamps" / count)
        done = self.build_checked()
        self.assertEqual((done["executed"], self.rules(done, "cached")), (0, ["step:count"]))

    def test_corrupt_action_cache_record(self):
        step = self.artifact(self.build(), "step:names")
        record = self.tmp / "cache/appimage-orch/store/ac" / step["key"][:2] / (step["key"] + ".json")
        record.write_bytes(b'{"schema": "appimage-orch/reco')
        (self.folder() / "stamps" / step["id"]).unlink()
        done = self.build_checked()
        self.assertEqual(self.rules(done, "executed"), ["step:names"])
        self.assertIn(("record", "the action-cache record is unreadable"), self.reasons(done["plan"], "step:names"))

    def test_bare_ninja_sees_an_ordinary_edit(self):
        self.replace_app({"usr/d": "d"})
        ran = lib.run_command(["ninja", "-C", self.folder()], env=self.environment())
        self.assertEqual(ran.status, 0, str(ran))
        done = self.build_checked()
        self.assertEqual((done["executed"], done["cached"]), (0, 0))
        again = lib.run_command(["ninja", "-C", self.folder()], env=self.environment())
        self.assertIn("no work to do", again.stdout)

    def test_profiles_share_steps(self):
        other = self.profile_text.replace('name = "app"', 'name = "other"').replace('literal = "names"', 'literal = "x"')
        self.write("other.toml", other)
        done = self.build_checked("profile.toml", "other.toml")
        shared = [s for s in done["steps"] if s["rule"] == "extract-appimage"]
        self.assertEqual([s["profiles"] for s in shared], [["app", "other"]])
        self.assertEqual(self.rules(done, "executed"), ["step:count"])
        alone = self.build_checked("other.toml")
        self.assertEqual(alone["executed"], 0)

    def test_only_builds_what_is_needed(self):
        lib.remove_tree(self.tmp / "cache")
        done = self.build(options=["--only", "names"])
        self.assertEqual(self.rules(done, "executed"), ["extract-appimage", "step:names"])

    def test_dry_run_changes_nothing(self):
        self.replace_app({"usr/e": "e"})
        before = lib.listing(self.tmp / "cache")
        self.orch("build", "--dry-run")
        self.assertEqual(lib.listing(self.tmp / "cache"), before)


@lib.needs_tool("mksquashfs", "ninja")
class Killed(StalenessCase):
    """kill -9 at bad moments."""

    SLOW = """
schema = 1
name = "slow"
extends = "native"
[app]
appimage = "app.AppImage"
[stack]
base = "base.erofs"
compat = "off"
finish = "off"
[verify]
mode = "off"
[[step]]
name = "slow"
command = ["sh", "-c", 'echo begun >> "$3"; while [ ! -e "$2" ]; do sleep 0.02; done; cp "$1/AppRun" "$4"', "x",
           "{in.tree}", "TMP/go", "TMP/begun", "{out.copy}"]
inputs.tree = { value = "app.tree" }
outputs.copy = { kind = "file" }
"""

    def setUp(self):
        tree = lib.make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\n", "big": os.urandom(48 << 20)})
        lib.make_appimage(self.tmp / "app.AppImage", tree, compressor="xz", options=("-Xbcj", "x86"))
        lib.make_erofs(self.tmp / "base.erofs", lib.make_tree(self.tmp / "base", {"etc/x": "x"}))
        self.write("profile.toml", self.SLOW.replace("TMP", str(self.tmp)))

    def start(self):
        return subprocess.Popen([lib.shared_copy()[0], "build"], env=self.environment(), cwd=self.tmp,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def wait_for(self, condition, what):
        end = time.monotonic() + 60
        while not condition():
            if time.monotonic() > end:
                self.fail(f"waited in vain for {what}")
            time.sleep(0.005)

    def temporary(self):
        folder = self.tmp / "cache/appimage-orch/store/tmp"
        return [p for p in folder.iterdir() if p.is_dir()] if folder.exists() else []

    def test_kill_in_the_middle_of_the_extraction(self):
        self.write("go", "")
        child = self.start()
        self.wait_for(self.temporary, "a step at work")
        # The whole group of processes at once, as a power cut or an OOM killer would.
        for pid in [child.pid, *self.descendants(child.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        child.communicate()
        # A step that began while they were listed has its end like them.
        while escaped := self.at_work():
            for pid in escaped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        done = self.build_checked()
        self.assertIn("extract-appimage", self.rules(done, "executed"))
        self.assertEqual(self.temporary(), [])

    def descendants(self, pid):
        out = []
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            if parent == pid:
                out += [int(entry), *self.descendants(int(entry))]
        return out

    def at_work(self):
        """Processes that work below this test's folder."""
        out = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{entry}/cwd").startswith(str(self.tmp)):
                    out.append(int(entry))
            except OSError:
                continue
        return out

    def runs(self, pid):
        """Whether a process is there and not a zombie that its new parent has yet to reap."""
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def test_the_next_build_waits_for_an_orphan(self):
        child = self.start()
        self.wait_for((self.tmp / "begun").exists, "the slow step")
        child.kill()  # the tool only: its ninja and the step run on
        child.communicate()
        second = self.start()
        line = second.stderr.readline().decode()
        self.assertIn("waiting", line)
        self.write("go", "")
        rest = second.communicate()[1].decode()
        self.assertEqual(second.returncode, 0, line + rest)
        # The orphan finished the step; the build that waited for it did not run it again.
        self.assertEqual((self.tmp / "begun").read_text(), "begun\n")
        self.assertEqual(self.build_checked()["executed"], 0)

    def test_interrupt_ends_the_steps(self):
        child = self.start()
        self.wait_for((self.tmp / "begun").exists, "the slow step")
        steps = self.descendants(child.pid)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)
        self.assertEqual(child.returncode, 130)
        self.wait_for(lambda: not any(self.runs(pid) for pid in steps), "the end of the steps' processes")
        self.write("go", "")
        self.assertIn("step:slow", self.rules(self.build_checked(), "executed"))


if __name__ == "__main__":
    unittest.main()
