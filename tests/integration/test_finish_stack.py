"""The last layer of a stack: real programs see the caches in it, and they are what the distribution's own tools make."""

import functools
import re
import shutil
import tempfile
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.stacks import StackTestCase, run_in_stack

MULTIARCH = "usr/lib/x86_64-linux-gnu"
LOADERS = f"{MULTIARCH}/gdk-pixbuf-2.0/2.10.0"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="#ff0000"/></svg>\n'
REAL = """
[stack]
gpu = []
base = { packages = ["coreutils", "dash", "libc6", "libc-bin", "libglib2.0-0", "libglib2.0-bin", "libgdk-pixbuf2.0-bin"], source = "auto" }

[[stack.deps]]
name = "schemas"
packages = ["gsettings-desktop-schemas", "shared-mime-info", "librsvg2-common", "libgtk-3-0"]
"""


class FinishTestCase(StackTestCase):
    def finish(self, text, profile="p.toml"):
        """(image, {part: report}) of a profile's finish layer."""
        layer = self.build_layers(profile, text)["finish-stack"]
        return layer["image"], {part["id"]: part for part in layer["finish"]["parts"]}

    def extract(self, image, name="out"):
        folder = self.tmp / name
        ran = lib.run_command(["fsck.erofs", f"--extract={folder}", image])
        self.assertEqual(ran.status, 0, msg=str(ran))
        return folder


@lib.needs_tool("apt-get", "mkfs.erofs", "glib-compile-schemas", "update-mime-database")
@lib.needs_erofs_mounts
class RealPackages(FinishTestCase):
    """One stack for all: base, overlay and finish layer of real packages."""

    @classmethod
    def setUpClass(cls):
        cls.home = Path(tempfile.mkdtemp(prefix="orch-finish-"))

    @classmethod
    def tearDownClass(cls):
        lib.remove_tree(cls.home)

    @functools.lru_cache(None)
    def stack(self):
        profile = self.home / "p.toml"
        profile.write_text(REAL)
        self.orch("lock", profile, home=self.home)
        steps = {s["rule"]: s for s in self.orch_json("build", profile, home=self.home)["steps"]}
        tmp, self.tmp = self.tmp, self.home
        try:
            finish = self.documents(steps["finish-stack"])["finish"]
        finally:
            self.tmp = tmp
        images = [Path(steps[rule]["artifact"]) for rule in ("base-image", "deps-overlay", "finish-stack")]
        return images, {part["id"]: part for part in finish["parts"]}

    def see(self, *argv, images=None):
        ran = run_in_stack(self.tmp, images or self.stack()[0], argv)
        self.assertEqual(ran.status, 0, msg=str(ran))
        return ran.stdout

    def test_what_was_made(self):
        parts = self.stack()[1]
        self.assertEqual({name: part["status"] for name, part in parts.items()}, {
            "ld-so-cache": "made", "gsettings-schemas": "made", "mime-database": "made", "gdk-pixbuf-loaders": "made",
            "gtk-immodules": "made", "icon-themes": "not-needed", "fontconfig": "not-needed", "gio-modules": "not-needed",
            "desktop-entries": "not-needed"})
        self.assertEqual([n for n in parts["gdk-pixbuf-loaders"]["notes"] if "left out" in n], [])
        self.assertEqual([n for n in parts["gtk-immodules"]["notes"] if "left out" in n], [])

    def test_gsettings_lists_the_schemas_of_every_layer(self):
        names = self.see("/usr/bin/gsettings", "list-schemas").split()
        self.assertIn("org.gnome.desktop.interface", names)
        self.assertIn("org.gtk.Settings.FileChooser", names)
        self.assertEqual(self.see("/usr/bin/gsettings", "get", "org.gnome.desktop.interface", "gtk-theme").strip(), "'Adwaita'")
        without = run_in_stack(self.tmp, self.stack()[0][:2], ["/usr/bin/gsettings", "list-schemas"])
        self.assertNotIn("org.gnome.desktop.interface", without.stdout)

    def test_gio_knows_the_types_of_files(self):
        self.assertIn("standard::content-type: image/svg+xml", self.see(
            "/bin/sh", "-c", f"echo '{SVG}' > /tmp/x.svg; gio info -a standard::content-type /tmp/x.svg"))

    def test_the_loaders_cache_is_what_the_query_program_prints(self):
        made = self.see("/usr/bin/cat", f"/{LOADERS}/loaders.cache")
        asked = self.see("/bin/sh", "-c", f"/{MULTIARCH}/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders")
        self.assertEqual(blocks(made), blocks(asked))
        self.assertIn(f'"/{LOADERS}/loaders/libpixbufloader-svg.so"', made)

    def test_the_immodules_cache_is_what_the_query_program_prints(self):
        made = self.see("/usr/bin/cat", f"/{MULTIARCH}/gtk-3.0/3.0.0/immodules.cache")
        asked = self.see(f"/{MULTIARCH}/libgtk-3-0/gtk-query-immodules-3.0")
        self.assertEqual(blocks(made), blocks(asked))
        self.assertIn('"xim" "X Input Method"', made)

    def test_gdk_pixbuf_loads_an_svg(self):
        script = (f"echo '{SVG}' > /tmp/x.svg && gdk-pixbuf-thumbnailer -s 32 /tmp/x.svg /tmp/x.png && "
                  "head -c 24 /tmp/x.png | od -An -tx1")
        self.assertEqual("".join(self.see("/bin/sh", "-c", script).split())[:16], "89504e470d0a1a0a")
        without = run_in_stack(self.tmp, self.stack()[0][:2], ["/bin/sh", "-c", script])
        self.assertNotEqual("".join(without.stdout.split())[:16], "89504e470d0a1a0a")

    def test_the_library_cache_is_what_ldconfig_makes(self):
        ours = self.see("/sbin/ldconfig", "-p")
        theirs = self.see("/bin/sh", "-c", "/sbin/ldconfig -X -C /tmp/cache && /sbin/ldconfig -p -C /tmp/cache",
                          images=self.stack()[0][:2])
        self.assertEqual(libraries(ours), libraries(theirs))
        self.assertGreater(len(libraries(ours)), 100)
        self.assertIn("Cache generated by: appimage-orch", ours)


def blocks(text):
    """A cache of modules as {path: lines}, without comments."""
    out, lines = {}, None
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("#"):
            continue
        if re.fullmatch(r'"/.*\.so"', line):
            lines = out[line] = []
        elif line and lines is not None:
            lines.append(line)
    return out


def libraries(text):
    return [line.strip() for line in text.splitlines() if "=>" in line]


if __name__ == "__main__":
    unittest.main()
