"""From nothing to a window: a GTK application that carries no library runs on a stack of packages, found by --auto-deps.

Once with Debian's packages, once with RPM packages of a signed repository. What counts is what is to be seen: the
window's title, and a picture of the screen.
"""

import collections
import hashlib
import json
import tomllib
import unittest

from tests.integration import debian
from tests.integration import gui
from tests.integration import lib
from tests.integration.display import Display
from tests.integration.rpm_of_debian import add_debian_packages
from tests.integration.rpm_repository import RpmRepository, needs_rpm_tools

BASE = ("dash", "libc-bin", "libc6", "libstdc++6")
# Services that no library needs; with them Debian's closure of GTK has an init system in it.
NOT_IN_RPM = ("dconf-gsettings-backend", "debconf", "dpkg")
# What the application says that it needs and the base has not, and which packages have it.
SONAMES = {"libcairo.so.2": "libcairo2", "libepoxy.so.0": "libepoxy0", "libgdk-3.so.0": "libgtk-3-0",
           "libgdk_pixbuf-2.0.so.0": "libgdk-pixbuf-2.0-0", "libgio-2.0.so.0": "libglib2.0-0",
           "libglib-2.0.so.0": "libglib2.0-0", "libgobject-2.0.so.0": "libglib2.0-0", "libgtk-3.so.0": "libgtk-3-0",
           "libharfbuzz.so.0": "libharfbuzz0b", "libpango-1.0.so.0": "libpango-1.0-0",
           "libpangocairo-1.0.so.0": "libpangocairo-1.0-0"}


@lib.needs_tool("Xvfb", "apt-get", "dpkg-deb", "mksquashfs", "mkfs.erofs")
class GuiCase(lib.TestCase):
    def setUp(self):
        if not lib.is_root() and not lib.user_namespaces():
            self.skipTest("unprivileged user namespaces are off")
        self.archive = debian.Archive(self.tmp / "archive")
        self.display = Display()
        self.addCleanup(self.display.close)
        gui.make_gtk_demo(self.tmp / "Demo.AppImage", self.archive.download_one("gtk-3-examples"), self.tmp / "demo")

    def profile(self, source, more=""):
        """A profile with the application and a base, and nothing else."""
        names = ", ".join(f'"{name}"' for name in BASE)
        return self.write("demo.toml", 'schema = 1\nextends = "native"\n[app]\nappimage = "Demo.AppImage"\n'
                                       f'[stack]\nbase = {{ packages = [{names}], source = "{source}" }}\n{more}')

    def see(self, title, profile, *arguments):
        """Runs the demonstration `title`; gives what the program printed, after a look at the screen."""
        blank = self.display.picture()
        self.assertEqual(len({pixel for row in blank for pixel in row}), 1, "the screen was not empty")
        running = gui.Running(self, self.display, profile, *arguments)
        self.addCleanup(running.end)
        window = running.wait_for_window(title)
        try:
            self.look(running.wait_for_picture(window, 100))
        except AssertionError:
            gui.save_picture(self.tmp / "screen.ppm", self.display)
            raise
        self.display.close_windows()
        self.assertEqual(running.wait(), 0, running.output())
        return running.output()

    def look(self, picture):
        """Widgets and text on them, all over the window."""
        width, height = len(picture[0]), len(picture)
        self.assertGreater(min(width, height), 100)
        colours = collections.Counter(pixel for row in picture for pixel in row)
        self.assertLess(max(colours.values()), 0.9 * width * height, "one colour is nearly all of the window")
        drawn = sum(len(set(row)) > 8 for row in picture)
        self.assertGreater(drawn, height / 4, "few rows have anything on them")

    def lock(self):
        return {layer["name"]: layer for layer in tomllib.loads((self.tmp / "demo.lock.toml").read_text())["layer"]}

    def check_first_run(self, ran):
        """The overlay was found, locked and added, and what the stack's caches are made of says nothing of this machine."""
        self.assertIn('[[stack."+deps"]]\nname = "auto"\nauto = true\n', (self.tmp / "demo.toml").read_text())
        layer = self.lock()["deps-auto"]
        found = {item["soname"]: item["package"] for item in layer["auto"]}
        self.assertEqual(found, SONAMES)
        names = {package["name"] for package in layer["package"]}
        self.assertLessEqual(set(SONAMES.values()) | {"libpango-1.0-0", "libgtk-3-common"}, names)
        self.assertFalse(names & {"libc6", "libstdc++6", "libgcc-s1"}, "the base has these")
        self.assertNotIn("No GSettings schemas", ran)
        finish = self.finish()
        self.assertEqual([part["status"] for part in finish["parts"] if part["id"] in ("ld-so-cache", "gdk-pixbuf-loaders")],
                         ["made", "made"])
        self.assertNotIn(str(self.tmp), json.dumps(finish))
        self.check_manifests(names, finish)
        verify = self.orch_json("verify", "demo.toml")
        self.assertTrue(verify["ok"], verify["missing"])
        again = self.orch_json("build", "demo.toml", "--locked")
        self.assertEqual((again["executed"], again["cached"]), (0, 0))

    def check_manifests(self, names, finish):
        """The evidence says how each image was made: the store's documents but for their lists of files."""
        inputs = self.orch_json("evidence", "show", "demo")["inputs"]
        self.assertEqual([m["image"] for m in inputs["manifests"]], [i["digest"] for i in inputs["launch"]["images"]])
        manifests = {m["role"]: m["content"] for m in inputs["manifests"]}
        self.assertEqual({package["name"] for package in manifests["deps"]["packages"]}, names)
        self.assertEqual(manifests["finish"], finish)
        digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in self.documents()}
        self.assertLessEqual({m["sha256"] for m in inputs["manifests"]}, digests)
        self.assertRegex(self.orch("evidence", "show", "demo").stdout, f" of {len(names)} packages, by mkfs.erofs ")

    def documents(self):
        return (self.tmp / "cache/appimage-orch/store/cas/document").glob("*/*/document.json")

    def newest(self, count):
        """Directories of that many runs, the newest last."""
        return [run["directory"] for run in self.orch_json("evidence", "list", "--app", "demo")["runs"]][count - 1::-1]

    def finish(self):
        """The report of the finish layer with the most layers below it."""
        documents = [json.loads(path.read_text()) for path in self.documents()]
        return max((d for d in documents if d.get("schema") == "appimage-orch/finish/1"), key=lambda d: d["entries"])


class Apt(GuiCase):
    def test_from_nothing_to_a_window_with_the_packages_of_this_distribution(self):
        ran = self.see("Pickers", self.profile("auto"), "--auto-deps", "--", "--run=pickers")
        self.check_first_run(ran)
        self.assertRegex(ran, r"'demo' lacks 11 libraries, and source 'auto' \(\w+ [\w.]+\) has:\n  libcairo2            libcairo\.so\.2\n")
        self.assertIn("\n  libgtk-3-0           libgdk-3.so.0, libgtk-3.so.0\n", ran)
        self.assertEqual(ran.count("build the overlay"), 1, "what is found is taken at once")

        # The finish layer is what makes it run: without it no file's type is known, and no picture is read.
        layer = '[[stack.deps]]\nname = "auto"\nauto = true\npackages = {}\n'
        ran = self.orch("run", self.profile("auto", 'finish = "off"\n' + layer.format("[]")), "--timeout", "1m", "--",
                        "--run=pickers", env={"DISPLAY": self.display.name}, status=128 + 6)
        self.assertIn("Unrecognized image file format", ran.stdout + ran.stderr)

        # What no library names, a module for SVG, is a package more, and the cache of such modules is made again.
        warning = "Could not load a pixbuf from"
        ran = self.see("Font Features", self.profile("auto", layer.format("[]")), "--", "--run=font_features")
        self.assertIn(warning, ran)
        ran = self.see("Font Features", self.profile("auto", layer.format('["librsvg2-common"]')), "--", "--run=font_features")
        self.assertNotIn(warning, ran)
        document = self.orch("evidence", "diff", *self.newest(2), "--format", "json", status=1).json
        added = {d["field"] for d in document["differences"] if d["field"].startswith("inputs.manifests[deps].content.packages[")}
        self.assertIn("inputs.manifests[deps].content.packages[librsvg2-common]", added)
        self.assertFalse([field for field in added if not field.endswith(("]", ".reason"))], "of the others nothing but who wants them")


@needs_rpm_tools
class Rpm(GuiCase):
    def test_from_nothing_to_a_window_with_packages_of_an_rpm_repository(self):
        packages = self.archive.download("libgtk-3-0", *BASE)
        repository = RpmRepository(self.tmp / "repository")
        self.addCleanup(repository.close)
        names = debian.closure(packages, ["libgtk-3-0", *BASE], NOT_IN_RPM)
        add_debian_packages(repository, {name: packages[name] for name in names})
        repository.publish()
        profile = self.profile("own", f"[source.own]\n{repository.table()}")
        ran = self.see("Pickers", profile, "--auto-deps", "--", "--run=pickers")
        self.check_first_run(ran)
        self.assertEqual({p["origin"] for layer in self.lock().values() for p in layer["package"]}, {"repo-1"})
        self.assertNotIn("\nallow_unsigned", (self.tmp / "demo.lock.toml").read_text())


if __name__ == "__main__":
    unittest.main()
