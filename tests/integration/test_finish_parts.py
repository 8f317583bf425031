"""The parts of finish-stack one by one, on made-up stacks: the caches are what the distribution's own tools make of the
same merged tree, and what is not made is said with the reason."""

import os
import re
import shutil
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.stacks import StackTestCase
from tests.integration.test_finish_stack import blocks, libraries
from tests.integration.test_inspect import elf

HOST_LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
QUERY_LOADERS = HOST_LIBRARIES / "gdk-pixbuf-2.0/gdk-pixbuf-query-loaders"
LOADER = "usr/lib64/ld-linux-x86-64.so.2"
SCHEMAS = "usr/share/glib-2.0/schemas"
MULTIARCH = "usr/lib/x86_64-linux-gnu"
MIME = "usr/share/mime"
ICONS = "usr/share/icons/hicolor"
PIXBUF = "usr/lib64/gdk-pixbuf-2.0/2.10.0"
GTK3 = "usr/lib64/gtk-3.0/3.0.0"
GTK2 = f"{MULTIARCH}/gtk-2.0/2.10.0"


def schema(name, default="'x'"):
    return (f'<schemalist><schema id="org.test.{name}" path="/org/test/{name}/"><key name="value" type="s"><default>{default}'
            "</default></key></schema></schemalist>\n")


def mime(name, *extensions):
    globs = "".join(f'<glob pattern="*.{extension}"/>' for extension in extensions)
    return (f'<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info"><mime-type type="application/x-{name}">'
            f'<comment>{name}</comment><comment xml:lang="de">{name} auf Deutsch</comment><magic><match type="string" offset="0" '
            f'value="{name}"/></magic><alias type="text/x-{name}"/>{globs}</mime-type></mime-info>\n')


def module(*words):
    """A library that has these words in it."""
    return elf(needed=["libc.so.6"]) + b"".join(b"\0" + word.encode() for word in words) + b"\0"


def entry(path, *lines):
    return f'"{path}"\n' + "".join(f"{line}\n" for line in lines) + "\n"


# Something for every part, in two layers. The base has caches of its own files, as its maker would have made them.
BASE = {
    f"{SCHEMAS}/org.test.one.gschema.xml": schema("one"), f"{SCHEMAS}/gschemas.compiled": b"the base's",
    f"{MIME}/packages/one.xml": mime("one", "one", "uno"), f"{MIME}/mime.cache": b"the base's",
    f"{ICONS}/index.theme": "[Icon Theme]\nName=Hicolor\nDirectories=16x16/apps,scalable/apps\n",
    f"{ICONS}/16x16/apps/one.png": b"png", f"{ICONS}/scalable/apps/one.svg": b"<svg/>", f"{ICONS}/icon-theme.cache": b"the base's",
    f"{PIXBUF}/loaders/libpixbufloader-png.so": module("png"),
    f"{PIXBUF}/loaders.cache": "# the base's\n" + entry(f"/{PIXBUF}/loaders/libpixbufloader-png.so", '"png" 5 "gdk-pixbuf" "PNG" "LGPL"',
                                                        '"image/png" ""', '"png" ""', '"\\211PNG\\r\\n\\032\\n" "" 100'),
    f"{GTK3}/immodules/im-own.so": module("own"),
    f"{GTK3}/immodules.cache": entry(f"/{GTK3}/immodules/im-own.so", '"own" "Own" "gtk30" "/usr/share/locale" "ko:ja"'),
    "usr/share/fonts/x.ttf": b"font", "lib64": ("link", "usr/lib64"), f"{MULTIARCH}/libone.so.1": elf(soname="libone.so.1"),
}
UPPER = {
    f"{SCHEMAS}/org.test.two.gschema.xml": schema("two"), f"{SCHEMAS}/10_two.gschema.override": "[org.test.one]\nvalue='changed'\n",
    f"{MIME}/packages/two.xml": mime("two", "two"),
    f"{ICONS}/16x16/apps/two.png": b"png", f"{ICONS}/16x16/apps/three.png": ("link", "two.png"), f"{ICONS}/48x48/apps/two.png": b"png",
    f"{PIXBUF}/loaders/libpixbufloader-bmp.so": module("bmp"),
    f"{GTK3}/immodules/im-xim.so": module("xim"), f"{GTK2}/immodules/im-ipa.so": module("ipa"),
    f"{MULTIARCH}/libtwo.so.2": elf(soname="libtwo.so.2"), "usr/lib64/gio/modules/libgiotwo.so": module("gio"),
}


def with_loader(files):
    return {**files, LOADER: Path("/lib64/ld-linux-x86-64.so.2").read_bytes()}


def rendered(parts):
    """What is said of each part, as text."""
    out = ""
    for part in parts:
        out += f"{part['id']}: {part['status']}: {part['detail']}\n"
        out += "".join(f"  {mark} {line}\n" for mark, lines in (("file", part["files"]), ("note", part["notes"])) for line in lines)
        out += f"  remedy: {part['remedy']}\n" if part["remedy"] else ""
    return out


@lib.needs_tool("mkfs.erofs", "fsck.erofs", "glib-compile-schemas", "update-mime-database", "gtk-update-icon-cache")
class Parts(StackTestCase):
    def write_profile(self, *layers, folder=None):
        """A profile of images made from folders of files, bottom first: base, second, third, …"""
        folder = Path(folder or self.tmp)
        names = ["base", "second", "third", "fourth"][:len(layers)]
        images = []
        for name, files in zip(names, layers):
            images.append(lib.make_erofs(folder / f"{name}.erofs", lib.make_tree(folder / f"tree-{name}", files)))
            shutil.rmtree(folder / f"tree-{name}")
        more = ", ".join(f'"{image}"' for image in images[1:])
        profile = folder / "p.toml"
        profile.write_text(f'[stack]\nbase = "{images[0]}"\ngpu = []\ncompat = "off"\nimages = [{more}]\n')
        return profile

    def finish(self, *layers, **environment):
        """(the layer's files as a folder, or None where it has none; the document's parts) of a stack."""
        done = self.orch_json("build", self.write_profile(*layers), "--only", "finish-stack", env=environment)
        (step,) = [s for s in done["steps"] if s["rule"] == "finish-stack"]
        document = self.documents(step)["finish"]
        self.image = Path(step["artifact"])
        out = self.tmp / "out"
        shutil.rmtree(out, ignore_errors=True)
        if self.image.stat().st_size == 0:
            return None, document["parts"]
        ran = lib.run_command(["fsck.erofs", f"--extract={out}", self.image])
        self.assertEqual(ran.status, 0, msg=str(ran))
        files = [p for p in out.rglob("*") if p.is_file() or p.is_symlink()]
        self.assertEqual(len(files), document["entries"])
        return out, document["parts"]

    def merged(self, *layers):
        """The merged tree as a folder, for the host's tools. None of the layers removes anything."""
        folder = self.tmp / "merged"
        shutil.rmtree(folder, ignore_errors=True)
        return lib.make_tree(folder, {name: content for files in layers for name, content in files.items()})

    def part(self, parts, name):
        (found,) = [part for part in parts if part["id"] == name]
        return found

    def run_tool(self, *argv):
        ran = lib.run_command(argv, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        self.assertEqual(ran.status, 0, msg=str(ran))
        return ran.stdout

    # ---- what the tools of the host make

    def test_schemas_are_what_glib_compile_schemas_makes_of_the_merged_tree(self):
        out, parts = self.finish(BASE, UPPER)
        merged = self.merged(BASE, UPPER)
        self.run_tool("glib-compile-schemas", merged / SCHEMAS)
        made = (out / SCHEMAS / "gschemas.compiled").read_bytes()
        self.assertEqual(made, (merged / SCHEMAS / "gschemas.compiled").read_bytes())
        self.assertIn(b"changed", made)
        self.assertEqual([p.name for p in (out / SCHEMAS).iterdir()], ["gschemas.compiled"])

    def test_a_schema_that_is_broken_is_noted_and_the_others_are_compiled(self):
        broken = {f"{SCHEMAS}/org.test.bad.gschema.xml": "<schemalist><schema></schemalist>", f"{SCHEMAS}/org.test.two.gschema.xml": schema("two")}
        out, parts = self.finish(BASE, broken)
        self.assertIn(b"org.test.two", (out / SCHEMAS / "gschemas.compiled").read_bytes())
        self.golden("finish/broken-schema.txt", rendered([self.part(parts, "gsettings-schemas")]))

    def test_the_mime_database_is_what_update_mime_database_makes_of_the_merged_tree(self):
        out, parts = self.finish(BASE, UPPER)
        merged = self.merged(BASE, UPPER)
        self.run_tool("update-mime-database", merged / MIME)
        shutil.rmtree(merged / MIME / "packages")
        self.assertEqual(lib.listing(out / MIME), lib.listing(merged / MIME))
        self.assertIn("application/x-two.xml", lib.listing(out / MIME))

    def test_the_icon_cache_is_what_gtk_update_icon_cache_makes_of_the_merged_tree(self):
        out, parts = self.finish(BASE, UPPER)
        merged = self.merged(BASE, UPPER)
        self.run_tool("gtk-update-icon-cache", "--force", "--quiet", "--index-only", merged / ICONS)
        made = (out / ICONS / "icon-theme.cache").read_bytes()
        self.assertEqual(made, (merged / ICONS / "icon-theme.cache").read_bytes())
        for word in (b"one", b"two", b"three", b"16x16/apps", b"48x48/apps", b"scalable/apps"):
            self.assertIn(word + b"\0", made)
        self.assertEqual(self.part(parts, "icon-themes")["files"], [f"{ICONS}/icon-theme.cache"])

    def test_themes_that_need_no_cache_of_the_stack_get_none(self):
        other = "usr/share/icons/Other"
        base = {f"{ICONS}/16x16/apps/one.png": b"png", f"{ICONS}/icon-theme.cache": b"of its one layer",
                f"{other}/16x16/apps/one.png": b"png", f"{other}/16x16/apps/two.png": b"png"}
        out, parts = self.finish(base, {f"{other}/16x16/apps/two.png": b"other"})
        self.assertIsNone(out)
        self.assertEqual(self.part(parts, "icon-themes")["status"], "not-needed")

    def test_icons_are_made_for_each_theme(self):
        other = "usr/share/icons/Other"
        base = {**BASE, f"{other}/16x16/apps/one.png": b"png", f"{other}/icon-theme.cache": b"old"}
        out, parts = self.finish(base, {**UPPER, f"{other}/16x16/apps/own.svg": b"svg"})
        self.assertEqual(self.part(parts, "icon-themes")["files"], [f"{other}/icon-theme.cache", f"{ICONS}/icon-theme.cache"])
        self.assertIn(b"own\0", (out / other / "icon-theme.cache").read_bytes())
        self.assertNotIn(b"own\0", (out / ICONS / "icon-theme.cache").read_bytes())

    # ---- what is made here

    @unittest.skipUnless(QUERY_LOADERS.exists(), f"no {QUERY_LOADERS}")
    def test_the_loaders_cache_is_what_the_query_program_prints(self):
        modules = sorted((HOST_LIBRARIES / "gdk-pixbuf-2.0/2.10.0/loaders").glob("*.so"))
        self.assertGreater(len(modules), 8)
        half = len(modules) // 2
        layers = [{f"{PIXBUF}/loaders/{path.name}": path.read_bytes() for path in some} for some in (modules[:half], modules[half:])]
        out, parts = self.finish(*layers)
        theirs = blocks(self.run_tool(QUERY_LOADERS, *modules))
        ours = blocks((out / PIXBUF / "loaders.cache").read_text())
        self.assertEqual(ours, {f'"/{PIXBUF}/loaders/{path.strip(chr(34)).split("/")[-1]}"': lines for path, lines in theirs.items()})
        self.assertEqual(self.part(parts, "gdk-pixbuf-loaders")["detail"], "every module is entered")

    def test_modules_are_entered_from_caches_and_by_name_and_what_is_not_known_is_left_out(self):
        third = {f"{PIXBUF}/loaders/libpixbufloader-gif.so": module("another"), f"{PIXBUF}/loaders/libpixbufloader-own.so": module("own"),
                 f"{PIXBUF}/loaders/libpixbufloader-text.so": b"text", f"{GTK3}/immodules/im-unknown.so": module("unknown")}
        out, parts = self.finish(BASE, UPPER, third)
        self.golden("finish/loaders.cache", (out / PIXBUF / "loaders.cache").read_text())
        self.golden("finish/immodules.cache", (out / GTK3 / "immodules.cache").read_text())
        self.golden("finish/immodules-2.0.cache", (out / GTK2 / "immodules.cache").read_text())
        self.golden("finish/modules.txt", rendered([self.part(parts, "gdk-pixbuf-loaders"), self.part(parts, "gtk-immodules")]))

    def test_only_modules_that_nothing_knows(self):
        out, parts = self.finish({f"{PIXBUF}/loaders/libpixbufloader-own.so": module("own")})
        self.assertIsNone(out)
        self.golden("finish/unknown-modules.txt", rendered([self.part(parts, "gdk-pixbuf-loaders")]))

    def library_layers(self):
        """Libraries in every kind of place, with the links that ldconfig would make."""
        base = with_loader({"lib64": ("link", "usr/lib64"), "lib": ("link", "usr/lib"), "etc/ld.so.conf": "include ld.so.conf.d/*.conf\n",
                            "etc/ld.so.conf.d/one.conf": "/opt/one # a comment\n/usr/lib/x86_64-linux-gnu\n/opt/absent\n",
                            f"{MULTIARCH}/libone.so.1.2": elf(soname="libone.so.1"), f"{MULTIARCH}/libone.so.1": ("link", "libone.so.1.2"),
                            f"{MULTIARCH}/libone.so": ("link", "libone.so.1"), f"{MULTIARCH}/libdeb.so.3": elf(soname="libdeb.so.3"),
                            f"{MULTIARCH}/glibc-hwcaps/x86-64-v3/libone.so.1": elf(soname="libone.so.1"),
                            f"{MULTIARCH}/libarm.so.1": elf(machine=lib.MACHINE_AARCH64, soname="libarm.so.1"),
                            f"{MULTIARCH}/libother.so.7": ("link", "libone.so.1.2"), f"{MULTIARCH}/libnone.so.2.0": elf(needed=["libc.so.6"]),
                            f"{MULTIARCH}/libshort.so": elf(soname="libshort.so.6"), f"{MULTIARCH}/libshort.so.6": ("link", "libshort.so"),
                            f"{MULTIARCH}/plugin.so": elf(soname="plugin.so"), f"{MULTIARCH}/libtext.so": "/* GNU ld script */\n",
                            f"{MULTIARCH}/libdangling.so.1": ("link", "libnowhere.so")})
        upper = {"opt/one/libopt.so.4": elf(soname="libopt.so.4"), "opt/two/libtwo.so.2": elf(soname="libtwo.so.2"),
                 "etc/ld.so.conf.d/two.conf": "/opt/two\n", f"{MULTIARCH}/libone.so.1.3": elf(soname="libone.so.1"),
                 f"{MULTIARCH}/libone.so.1": ("link", "libone.so.1.3")}
        return base, upper

    def ldconfig(self, folder):
        """Runs ldconfig in a root file tree, by chroot, as the guest would."""
        shutil.copy(os.path.realpath(shutil.which("ldconfig")), folder / "ldconfig")
        self.run_tool("chroot", folder, "/ldconfig", "-X")

    @lib.needs_tool("ldconfig")
    @lib.needs_root
    def test_the_library_cache_is_what_ldconfig_makes_of_the_merged_tree(self):
        base, upper = self.library_layers()
        out, parts = self.finish(base, upper)
        merged = self.tmp / "merged"
        lib.make_tree(merged, base)
        (merged / f"{MULTIARCH}/libone.so.1").unlink()
        lib.make_tree(merged, upper)
        self.ldconfig(merged)
        theirs = libraries(self.run_tool("ldconfig", "-p", "-C", merged / "etc/ld.so.cache"))
        ours = libraries(self.run_tool("ldconfig", "-p", "-C", out / "etc/ld.so.cache"))
        self.assertEqual(ours, theirs)
        self.assertGreater(len(ours), 5, ours)
        self.assertEqual(self.part(parts, "ld-so-cache")["status"], "made")

    @lib.needs_tool("ldconfig")
    @lib.needs_root
    @lib.needs_tool("cc")
    def test_a_cache_that_lists_the_same_libraries_stays(self):
        base, _ = self.library_layers()
        # One that needs a level of the instruction set: ldconfig enters that, too.
        source = self.write("x.c", "int x(void) { return 1; }\n")
        self.run_tool("cc", "-shared", "-fPIC", "-nostdlib", "-Wl,-z,x86-64-v3", "-Wl,-soname,liblevel.so.1", "-o", self.tmp / "x.so", source)
        base[f"{MULTIARCH}/glibc-hwcaps/x86-64-v3/liblevel.so.1"] = (self.tmp / "x.so").read_bytes()
        merged = lib.make_tree(self.tmp / "merged", base)
        self.ldconfig(merged)
        out, parts = self.finish({**base, "etc/ld.so.cache": (merged / "etc/ld.so.cache").read_bytes()})
        self.assertIsNone(out)
        self.assertEqual(self.part(parts, "ld-so-cache")["status"], "current")

    # ---- what is said

    def test_what_is_said_of_a_whole_stack(self):
        _, parts = self.finish(with_loader(BASE), UPPER)
        self.golden("finish/all.txt", rendered(parts))

    def test_what_is_said_of_an_empty_stack(self):
        out, parts = self.finish({"etc/x": b"x"})
        self.assertIsNone(out)
        self.golden("finish/nothing.txt", rendered(parts))

    def test_what_is_said_where_each_layer_has_made_its_caches(self):
        base = {name: content for name, content in BASE.items() if not name.startswith("usr/lib64")}
        out, parts = self.finish(base, {"usr/share/other": b"x"})
        self.assertIsNone(out)
        self.golden("finish/one-layer.txt", rendered(parts))

    def test_what_is_said_where_the_tools_are_absent(self):
        data = self.tmp / "data"
        for name in ("rules", "profiles"):
            shutil.copytree(lib.SOURCE / name, data / name)
        rule = data / "rules/finish-stack.toml"
        rule.write_text("".join(line for line in rule.read_text().splitlines(True) if '"/usr/lib/' not in line))
        (self.tmp / "bin").mkdir()
        for tool in ("ninja", "mkfs.erofs"):
            (self.tmp / "bin" / tool).symlink_to(shutil.which(tool))
        out, parts = self.finish(BASE, UPPER, PATH=self.tmp / "bin", APPIMAGE_ORCH_DATA_DIR=data)
        self.assertEqual({part["id"] for part in parts if part["status"] == "not-done"}, {"gsettings-schemas", "mime-database", "icon-themes"})
        self.golden("finish/no-tools.txt", rendered(parts))
        self.assertFalse((out / "usr/share").exists())

    def test_what_is_said_where_a_tool_fails(self):
        (self.tmp / "bin").mkdir()
        for tool in ("ninja", "mkfs.erofs"):
            (self.tmp / "bin" / tool).symlink_to(shutil.which(tool))
        for tool in ("glib-compile-schemas", "update-mime-database", "gtk-update-icon-cache"):
            self.write(f"bin/{tool}", "#!/bin/sh\ncase $1 in --version|-v) echo 1; exit 0;; esac\n"
                       "echo 'this tool is broken' >&2\nexit 7\n", 0o755)
        _, parts = self.finish(BASE, UPPER, PATH=f"{self.tmp / 'bin'}")
        self.golden("finish/failing-tools.txt", rendered([part for part in parts if part["status"] == "not-done"]))

    # ---- the same bytes everywhere

    def test_the_same_stack_gives_the_same_bytes_elsewhere(self):
        out, parts = self.finish(with_loader(BASE), UPPER)
        first, document = self.image.read_bytes(), parts
        user, home = self.as_user("somebody else")
        place = home / "a folder"
        place.mkdir()
        profile = self.write_profile(with_loader(dict(reversed(BASE.items()))), dict(reversed(UPPER.items())), folder=place)
        for path in [place, *place.iterdir()]:
            path.chmod(path.stat().st_mode | 0o555)
        done = self.orch_json("build", profile, "--only", "finish-stack", "-j1", user=user, home=home, cwd=home, preexec=lambda: os.umask(0o077),
                              env={"LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE.UTF-8", "LANGUAGE": "de", "TZ": "Asia/Kathmandu", "TMPDIR": str(home),
                                   "SOURCE_DATE_EPOCH": "12345", "XDG_DATA_DIRS": str(home)})
        (step,) = [s for s in done["steps"] if s["rule"] == "finish-stack"]
        self.assertEqual(Path(step["artifact"]).read_bytes(), first)
        tmp, self.tmp = self.tmp, home
        try:
            self.assertEqual(self.documents(step)["finish"]["parts"], document)
        finally:
            self.tmp = tmp


if __name__ == "__main__":
    unittest.main()
