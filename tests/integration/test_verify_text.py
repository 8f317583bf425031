"""What `verify` prints, for each kind of thing that it finds: a golden for each."""

import json
import shutil
import struct
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.repository import Repository
from tests.integration.stacks import StackTestCase
from tests.integration.test_inspect import elf

LOADER = "/lib64/ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


def program(*needed, interpreter=LOADER, **options):
    return elf(needed=[*needed, "libc.so.6"], interpreter=interpreter, **options)


@lib.needs_tool("apt-get", "mksquashfs", "mkfs.erofs")
@unittest.skipUnless(Path("/usr/lib/x86_64-linux-gnu").is_dir(), "the C library of this machine is not where Debian has it")
class VerifyText(StackTestCase):
    """A base of this machine's loader and C library; programs and libraries are made up."""

    def setUp(self):
        libc = next(line.split()[2] for line in lib.run_command(["ldd", "/bin/sh"]).stdout.splitlines() if "libc.so.6" in line)
        self.base = {"usr/lib64/ld-linux-x86-64.so.2": Path(LOADER).read_bytes(), f"{LIBRARIES}/libc.so.6": Path(libc).read_bytes(),
                     "lib64": ("link", "usr/lib64"), "lib": ("link", "usr/lib"), "etc/os-release": "ID=own\nVERSION_ID=1\n"}
        self.repository = Repository(self.tmp / "repository")
        self.repository.add("libknown4", "1.0", {f"./{LIBRARIES}/libknown.so.4": elf(soname="libknown.so.4")})
        self.repository.add("libplain1", "1.0", {f"./{LIBRARIES}/libplain.so.1": elf(soname="libplain.so.1")}).publish()
        # The source of the base's distribution: who has what is missing is asked there.
        self.write("config/appimage-orch/profiles/sources/base.toml", f'schema = 1\ndistribution = "own"\nrelease = "1"\n{self.repository.table()}')

    def verify(self, app, *, status, images=(), more="", verify=""):
        """The text of verify for an application of these files; AppRun is a program unless given."""
        tree = lib.make_tree(self.tmp / "app", {"AppRun": program(), **app})
        lib.make_appimage(self.tmp / "Hello.AppImage", tree)
        shutil.rmtree(tree)
        base = lib.make_tree(self.tmp / "base", self.base)
        lib.make_erofs(self.tmp / "base.erofs", base)
        shutil.rmtree(base)
        listed = ", ".join(f'"{image}"' for image in images)
        self.write("p.toml", 'schema = 1\nname = "hello"\nextends = "native"\n[app]\nappimage = "Hello.AppImage"\n[stack]\nbase = "base.erofs"\n'
                   f'images = [{listed}]\n{more}[[stack.deps]]\nname = "own"\nsource = "own"\npackages = ["libplain1"]\n'
                   f"{verify}[source.own]\n{self.repository.table()}")
        return self.orch("verify", "p.toml", status=status).stdout

    def image(self, name, files):
        return lib.make_erofs(self.tmp / f"{name}.erofs", lib.make_tree(self.tmp / f"tree-{name}", files))

    def test_all_is_well(self):
        self.golden("verify/fine.txt", self.verify({"usr/lib/libown.so.1": elf(soname="libown.so.1", needed=["libplain.so.1"])}, status=0))

    def test_missing_libraries(self):
        self.golden("verify/missing-library.txt", self.verify({
            "AppRun": program("libabsent.so.9", "libknown.so.4"), "usr/bin/other": program("libknown.so.4"),
            "usr/lib/plugins/plugin.so": elf(soname="plugin.so", needed=["libplugin.so.2"])}, status=1))

    def test_of_what_is_only_noted_the_first_of_a_kind(self):
        images = [self.image(name, {f"usr/share/own/{i}": f"{name} {i}" for i in range(5)}) for name in ("lower", "upper")]
        self.golden("verify/noted.txt", self.verify({}, status=0, images=images))
        self.assertEqual(self.orch("--verbose", "verify", "p.toml").stdout.count("  noted     'usr/share/own/"), 5)

    def test_a_missing_version(self):
        self.golden("verify/missing-version.txt", self.verify({"AppRun": program(versions=["GLIBC_2.2.5", "GLIBC_9.99"])}, status=1))

    @lib.needs_tool("cc")
    def test_a_program_for_a_newer_processor_than_fex_is(self):
        for level in (3, 4):
            self.write(f"v{level}.c", "int main(void) { return 0; }\n")
            ran = lib.run_command(["cc", "-o", self.tmp / f"v{level}", self.tmp / f"v{level}.c", f"-Wl,-z,x86-64-v{level}"])
            self.assertEqual(ran.status, 0, ran)
        self.verify({"AppRun": (self.tmp / "v3").read_bytes()}, status=0)
        self.golden("verify/isa-level.txt", self.verify({"AppRun": (self.tmp / "v4").read_bytes()}, status=1))

    def test_a_library_of_another_architecture(self):
        self.base[f"{LIBRARIES}/libforeign.so.1"] = elf(machine=lib.MACHINE_AARCH64, soname="libforeign.so.1")
        self.golden("verify/other-architecture.txt", self.verify({"AppRun": program("libforeign.so.1")}, status=1))

    def test_a_program_of_another_architecture(self):
        self.golden("verify/other-program.txt", self.verify({"AppRun": program(machine=lib.MACHINE_AARCH64)}, status=1))

    def test_a_missing_interpreter(self):
        self.golden("verify/missing-interpreter.txt", self.verify({"AppRun": program(interpreter="/lib/ld-musl-x86_64.so.1")}, status=1))

    def test_a_script_without_its_interpreter(self):
        self.golden("verify/missing-script-interpreter.txt", self.verify({"AppRun": "#!/usr/bin/python9\nprint()\n"}, status=1))
        self.assertIn("hint: programs come from the base: take a base that has '/usr/bin/python9'; ", self.orch("run", "p.toml", status=125).stderr)
        text = self.verify({"AppRun": "#!/usr/bin/python9\nprint()\n"}, status=1, verify='[verify]\nmode = "off"\n')
        self.assertIn("required  missing program: /usr/bin/python9", text)  # it was asked for

    def test_a_directory_over_lib64(self):
        images = [self.image("hiding", {"lib64/libx.so.1": elf(soname="libx.so.1")})]
        more = 'compat = "off"\nallow = ["type-conflict:lib64"]\n'
        self.golden("verify/directory-over-lib64.txt", self.verify({}, status=1, images=images, more=more))

    def test_the_library_path_of_the_profile_counts(self):
        self.verify({"AppRun": program("libown.so.1"), "usr/private/libown.so.1": elf(soname="libown.so.1")}, status=1)
        for path, provider in (("${appdir}/usr/private", "/AppDir/usr/private/libown.so.1"), ("/absent:${appdir}/usr/private", "/AppDir/usr/private/libown.so.1"),
                               ("${appdir}/usr", ""), ("/usr/private", "")):
            with self.subTest(path=path):
                self.write("q.toml", f'schema = 1\nextends = "./p.toml"\n[app]\nenv = {{ LD_LIBRARY_PATH = "{path}" }}\n')
                report = self.orch_json("verify", "q.toml", status=0 if provider else 1)
                (needed,) = [o for o in report["objects"] if o["path"] == "/AppDir/AppRun"]
                self.assertEqual({n["soname"]: n["provider"] for n in needed["needs"]}["libown.so.1"], provider)

    def test_a_link_that_leads_fex_to_the_host(self):
        self.base["lib64"] = ("link", "/usr/lib64")
        self.verify({}, status=0)  # rootfs-compat mends it
        self.verify({}, status=0, more='compat = "off"\n')  # the native launcher starts it all the same
        self.golden("verify/escaping-interpreter.txt", self.verify({}, status=1, more='compat = "off"\n[launch]\nlauncher = "muvm"\n'))

    def test_hints_are_counted_and_shown_on_request(self):
        data = program() + b"\0libmaybe.so.7\0libperhaps.so\0"
        data = data[:64 + 32] + struct.pack("<QQ", len(data), len(data)) + data[64 + 48:]  # the segment has it, too
        self.golden("verify/hints.txt", self.verify({"AppRun": data}, status=0))
        ran = self.orch("--verbose", "verify", "p.toml", status=0)
        self.golden("verify/hints-verbose.txt", ran.stdout)

    def overlay(self, files):
        """What the overlay of every profile here has beside its library."""
        self.repository.add("libplain1", "1.0", {f"./{LIBRARIES}/libplain.so.1": elf(soname="libplain.so.1"), **files}).publish()

    def test_what_lies_in_an_overlay_is_looked_at_too(self):
        self.overlay({f"./{LIBRARIES}/own/helper": program("libhelper.so.1"), f"./{LIBRARIES}/own/plugin.so": elf(needed=["libplain.so.1", "libgone.so.3"]),
                      f"./{LIBRARIES}/own/whole.so": elf(needed=["libplain.so.1"]), f"./{LIBRARIES}/own/hidden.so": elf(needed=["libhidden.so.1"])})
        images = [self.image("upper", {f"{LIBRARIES}/own/hidden.so": elf()})]
        self.golden("verify/overlay.txt", self.verify({}, status=0, images=images))
        listed = {o["path"]: o["severity"] for o in json.loads(self.orch("verify", "p.toml", "--format", "json").stdout)["objects"]}
        self.assertEqual({path for path in listed if "/own/" in path}, {f"/{LIBRARIES}/own/helper", f"/{LIBRARIES}/own/plugin.so"})

    def test_who_provides_what_is_shown_on_request(self):
        self.verify({"AppRun": program("libown.so.1"), "usr/lib/libown.so.1": elf(soname="libown.so.1", needed=["libplain.so.1"])}, status=1)
        self.golden("verify/found-verbose.txt", self.orch("--verbose", "verify", "p.toml", status=1).stdout)

    def test_what_the_profile_requires_is_required_with_all_that_it_loads(self):
        app = {"usr/lib/plugins/platform.so": elf(needed=["libdeep.so.1"]), f"usr/lib/plugins/other.so": elf(needed=["libother.so.1"])}
        self.base[f"{LIBRARIES}/libdeep.so.1"] = elf(soname="libdeep.so.1", needed=["libdeeper.so.2"])
        self.verify(app, status=0)
        required = ["usr/lib/plugins/platform.so", "usr/lib/absent.so", "libabsent.so.7", "libplain.so.1", f"/{LIBRARIES}/absent.so"]
        more = f"[verify]\nrequire = {json.dumps(required)}\n"
        self.golden("verify/required.txt", self.verify(app, status=1, verify=more))
        ran = self.orch("run", "p.toml", status=125)
        self.assertIn("cannot start on its stack: missing program: usr/lib/absent.so (and 3 more)", ran.stderr)

    def test_required_names_are_libraries_wherever_they_are_found(self):
        """By soname, by a link, behind ld.so.cache: what they load is required, too."""
        self.base["opt/lib/libfar.so.1.2"] = elf(soname="libfar.so.1")
        self.base["opt/lib/libfar.so.1"] = ("link", "libfar.so.1.2")
        app = {"AppRun": program("libfar.so.1"), "lib/libplug.so.1": elf(soname="libplug.so.1", needed=["libgone.so.9"]),
               "lib/plugin.so": ("link", "libplug.so.1")}
        path = "[app.env]\nLD_LIBRARY_PATH = \"/opt/lib\"\n"
        self.verify(app, status=0, verify=path + '[verify]\nrequire = ["libfar.so.1"]\n')
        for name in ("libplug.so.1", "lib/plugin.so", "lib/libplug.so.1"):
            text = self.verify(app, status=1, verify=path + f'[verify]\nrequire = ["{name}"]\n')
            self.assertIn("required  missing library: libgone.so.9, needed by lib/libplug.so.1\n", text)

    def test_what_the_profile_ignores_is_not_missing(self):
        app = {"AppRun": program("libabsent.so.9"), "usr/lib/plugins/plugin.so": elf(needed=["libother.so.1"])}
        text = self.verify(app, status=0, verify='[verify]\nignore = ["libabsent.so.9", "usr/lib/plugins/plugin.so"]\n')
        self.assertNotIn("missing library", text)

    def test_one_requirement_has_a_singular(self):
        self.assertIn("hello: cannot start: 1 requirement is not met\n", self.verify({"AppRun": program("libabsent.so.9")}, status=1))


if __name__ == "__main__":
    unittest.main()
