"""The rules for stacks: one poisoned package or image for each, refused by package, path and layer, and built where allowed.

Rules that concern a layer alone are test_invariants.py's.
"""

import json
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.repository import Entry, Repository
from tests.integration.stacks import StackTestCase
from tests.integration.test_inspect import elf
from tests.integration.test_invariants import OF_THE_STACK, message_of

BASE = {"./usr/bin/tool": b"#!/bin/sh\n", "./usr/lib/libbase.so.1": b"the base's", "./usr/lib/data-1/x": b"x", "./usr/lib/data": ("link", "data-1"),
        "./usr/share/themes/one": b"one", "./usr/share/icon": b"png", "./usr/share/fonts/": Entry(type=b"5", mode=0o755)}

# name: (rule, package, its files, the path that is found). All of them hold for packages of the class deps.
POISON = {
    "base-override": ("base-override", "lib-other", {"./usr/lib/libbase.so.1": b"another's"}, "usr/lib/libbase.so.1"),
    "base-override-link": ("base-override", "lib-link", {"./usr/lib/data": ("link", "data-2")}, "usr/lib/data"),
    "base-duplicate": ("base-duplicate", "lib-same", {"./usr/lib/libbase.so.1": b"the base's"}, "usr/lib/libbase.so.1"),
    "directory-over-symlink": ("type-conflict", "lib-directory", {"./usr/lib/data/y": b"y"}, "usr/lib/data"),
    "file-over-directory": ("type-conflict", "lib-file", {"./usr/share/themes": b"x"}, "usr/share/themes"),
    "symlink-over-file": ("type-conflict", "lib-symlink", {"./usr/lib/libbase.so.1": ("link", "libbase.so.2")}, "usr/lib/libbase.so.1"),
    "absolute-link": ("absolute-directory-link", "lib-absolute", {"./usr/lib/themes": ("link", "/usr/share/themes")}, "usr/lib/themes"),
}
# A program of an overlay, its interpreter, and what is wrong with that.
INTERPRETERS = {
    "missing": ("/lib64/ld-musl-x86_64.so.1", "which is not in the stack"),
    "no-program": ("/usr/share/icon", "which is no ELF file"),
    "other-machine": ("/usr/lib/ld-arm.so.1", "which is for aarch64, expected x86_64"),
    "folder": ("/usr/share/fonts", "which is a directory"),
    "escaping": ("/usr/lib/absolute/ld.so", "which leads out of the stack, to '/usr/lib/real/ld.so' of the host"),
}
NOTED = {"other-override", "directory-attributes"}


@lib.needs_tool("apt-get", "mksquashfs", "mkfs.erofs")
class CheckStack(StackTestCase):
    def setUp(self):
        self.repository = Repository(self.tmp / "repository")
        self.repository.add("base-one", "1.0", BASE)
        lib.make_appimage(self.tmp / "Hello.AppImage", lib.make_tree(self.tmp / "app", {
            "AppRun": "#!/bin/sh\n", "hello.desktop": "[Desktop Entry]\nName=Hello\nExec=AppRun\nIcon=x\n"}))

    def publish(self, package, files):
        self.repository.add(package, "1.0", {**files, f"./usr/lib/own/lib{package}.so": b"own"}).publish()

    def profile(self, *overlays, more=""):
        """Of overlays (name, package, allow), above a base made from a package."""
        deps = "".join(f'[[stack.deps]]\nname = "{name}"\nsource = "own"\npackages = ["{package}"]\nallow = {json.dumps(list(allow))}\n'
                       for name, package, allow in overlays)
        return self.write("p.toml", 'schema = 1\nname = "hello"\nextends = "native"\n[app]\nappimage = "Hello.AppImage"\n[stack]\n'
                          f'base = {{ packages = ["base-one"], source = "own" }}\n{more}{deps}[source.own]\n{self.repository.table()}')

    def check(self, profile):
        """The document of a stack that is not refused."""
        done = self.orch_json("build", profile, "--only", "check-stack")
        (step,) = [s for s in done["steps"] if s["rule"] == "check-stack"]
        return self.documents(step)["check"]

    def refused_then_allowed(self, name):
        rule, package, files, path = POISON[name]
        self.publish(package, files)
        ran = self.orch("build", self.profile(("app", package, ())), status=1)
        self.golden(f"invariants/stack-{name}.txt", message_of(ran.stderr))
        for word in (f"'{path}'", f"(package '{package}')", "layer 'deps-app'"):
            self.assertIn(word, ran.stderr)
        document = self.check(self.profile(("app", package, [f"{rule}:{path}"])))
        (finding,) = document["findings"]
        self.assertEqual([finding[key] for key in ("rule", "path", "package", "layer", "severity", "overridden")],
                         [rule, path, package, "deps-app", "refused", True])
        self.assertEqual(document["layers"], ["base", "deps-app"])

    def base_of_interpreters(self):
        self.repository.add("base-one", "1.0", {**BASE, "./usr/lib/real/ld.so": elf()})
        gpu = self.image("gpu", {"usr/lib/absolute": ("link", "/usr/lib/real"), "usr/lib/ld-arm.so.1": elf(machine=lib.MACHINE_AARCH64)})
        return f'gpu = ["{gpu}"]\nallow = ["absolute-directory-link"]\n'

    def test_programs_of_an_overlay_need_their_interpreter(self):
        more = self.base_of_interpreters()
        self.publish("lib-good", {"./usr/libexec/good": elf(interpreter="/usr/lib/real/ld.so"), "./usr/lib/ld.so": elf(interpreter="/none", soname="ld.so")})
        self.check(self.profile(("app", "lib-good", ()), more=more))
        for name, (interpreter, what) in INTERPRETERS.items():
            with self.subTest(name):
                self.publish(f"lib-{name}", {"./usr/libexec/helper": elf(interpreter=interpreter)})
                ran = self.orch("build", self.profile(("app", f"lib-{name}", ()), more=more), status=1)
                self.assertIn(f"'usr/libexec/helper' (package 'lib-{name}') in layer 'deps-app' is a program with the interpreter '{interpreter}', {what}: "
                              "nothing can start it", ran.stderr)
        self.golden("invariants/stack-interpreter.txt", message_of(ran.stderr))
        findings = self.check(self.profile(("app", f"lib-{name}", ["interpreter:usr/libexec/helper"]), more=more))["findings"]
        self.assertEqual([(f["rule"], f["path"], f["package"], f["overridden"]) for f in findings if f["rule"] == "interpreter"],
                         [("interpreter", "usr/libexec/helper", f"lib-{name}", True)])

    def test_overlays_without_a_base_need_no_interpreter(self):
        self.publish("lib-first", {})
        self.publish("lib-second", {"./usr/libexec/helper": elf(interpreter="/lib64/ld-linux-x86-64.so.2")})
        profile = self.profile(("first", "lib-first", ()), ("second", "lib-second", ()))
        profile.write_text(profile.read_text().replace('[app]\nappimage = "Hello.AppImage"\n', "")
                           .replace('base = { packages = ["base-one"], source = "own" }\n', ""))
        self.assertEqual(self.check(profile)["layers"], ["deps-first", "deps-second"])

    def test_every_rule_of_the_stack_has_a_poisoned_package_here(self):
        self.assertEqual({rule for rule, *_ in POISON.values()} | NOTED | {"interpreter"}, OF_THE_STACK | {"absolute-directory-link"})

    def test_an_override_is_for_its_path_and_its_overlay(self):
        self.publish("lib-other", {**POISON["base-override"][2], "./usr/share/icon": b"other"})
        self.publish("lib-clean", {})
        ran = self.orch("build", self.profile(("app", "lib-other", ["base-override:usr/lib/*"])), status=1)
        self.assertIn("'usr/share/icon' (package 'lib-other') in layer 'deps-app' replaces the one of layer 'base'", ran.stderr)
        self.assertNotIn("libbase", message_of(ran.stderr))
        self.orch("build", self.profile(("app", "lib-other", []), ("b", "lib-clean", ["base-override"])), status=1)
        self.assertEqual(len(self.check(self.profile(("app", "lib-other", ["base-override"])))["findings"]), 2)

    def test_one_is_not_called_many(self):
        self.publish("lib-clean", {})
        self.assertIn("hello: 2 packages in 2 layers, written\n", self.orch("lock", self.profile(("app", "lib-clean", ()))).stdout)
        self.assertIn("hello: 1 package in 1 layer, written\n", self.orch("lock", self.profile()).stdout)

    def test_what_overlays_do_to_each_other_is_noted(self):
        self.publish("lib-first", {"./usr/share/new": b"first"})
        self.publish("lib-second", {"./usr/share/new": b"second", "./usr/share/fonts/": Entry(type=b"5", mode=0o711)})
        document = self.check(self.profile(("first", "lib-first", ()), ("second", "lib-second", ())))
        self.assertEqual([(f["rule"], f["path"], f["package"], f["layer"], f["severity"], f["overridden"]) for f in document["findings"]], [
            ("directory-attributes", "usr/share/fonts", "lib-second", "deps-second", "noted", False),
            ("other-override", "usr/share/new", "lib-second", "deps-second", "noted", False)])

    def test_directories_of_another_overlay_must_not_be_hidden_either(self):
        self.publish("lib-first", {"./usr/lib/new": ("link", "data-1")})
        self.publish("lib-second", {"./usr/lib/new/x": b"x"})
        ran = self.orch("build", self.profile(("first", "lib-first", ()), ("second", "lib-second", ())), status=1)
        self.assertIn("'usr/lib/new' (package 'lib-second') in layer 'deps-second' is a directory over a symlink of layer 'deps-first'", ran.stderr)
        self.check(self.profile(("first", "lib-first", ()), ("second", "lib-second", ["type-conflict:usr/lib/new"])))

    def image(self, name, files):
        tree = lib.make_tree(self.tmp / f"tree-{name}", files)
        return lib.make_erofs(self.tmp / f"{name}.erofs", tree)

    def test_a_poisoned_ready_made_image_is_refused_and_with_the_override_taken(self):
        self.publish("lib-clean", {})
        images = f'images = ["{self.image("ready", {"usr/lib/data/y": b"y", "usr/lib/libbase.so.1": b"newer"})}"]\n'
        ran = self.orch("build", self.profile(more=images), status=1)
        self.golden("invariants/stack-image.txt", message_of(ran.stderr))
        allowed = images + 'allow = ["type-conflict:usr/lib/data"]\n'
        findings = self.check(self.profile(more=allowed))["findings"]
        self.assertEqual([(f["rule"], f["path"], f["package"], f["layer"], f["overridden"]) for f in findings],
                         [("type-conflict", "usr/lib/data", None, "ready", True)])
        self.golden("invariants/stack-image-unknown-rule.txt", message_of(self.orch(
            "build", self.profile(more=images + 'allow = ["type-conflicts"]\n'), status=1).stderr))

    def test_a_poisoned_gpu_layer_is_refused_and_with_the_override_taken(self):
        self.publish("lib-clean", {"./usr/lib/libbase.so.2": b"the gpu layer's is below"})
        gpu = self.image("mesa", {"usr/lib/data/y": b"y", "usr/lib/libbase.so.1": b"newer", "usr/lib/libgpu.so.1": b"gpu"})
        other = self.image("more", {"usr/lib/libgpu.so.1/x": b"x"})
        overlay = ("app", "lib-clean", ())
        ran = self.orch("build", self.profile(overlay, more=f'gpu = ["{gpu}"]\n'), status=1)
        self.golden("invariants/stack-gpu.txt", message_of(ran.stderr))
        self.assertIn("'usr/lib/data' in layer 'mesa' is a directory over a symlink of layer 'base'", ran.stderr)
        self.assertNotIn("libbase", message_of(ran.stderr))  # they are there to replace what the base has
        allowed = 'allow = ["type-conflict:usr/lib/data"]\n'
        document = self.check(self.profile(overlay, more=f'gpu = ["{gpu}"]\n' + allowed))
        self.assertEqual([(f["rule"], f["path"], f["layer"], f["overridden"]) for f in document["findings"]],
                         [("type-conflict", "usr/lib/data", "mesa", True)])
        ran = self.orch("build", self.profile(overlay, more=f'gpu = ["{gpu}", "{other}"]\n' + allowed), status=1)
        self.assertIn("'usr/lib/libgpu.so.1' in layer 'more' is a directory over a file of layer 'mesa'", ran.stderr)

    def test_what_gpu_layers_have_is_the_bases(self):
        self.publish("lib-other", {"./usr/lib/libgpu.so.1": b"another's"})
        gpu = self.image("mesa", {"usr/lib/libgpu.so.1": b"gpu"})
        ran = self.orch("build", self.profile(("app", "lib-other", ()), more=f'gpu = ["{gpu}"]\n'), status=1)
        self.assertIn("'usr/lib/libgpu.so.1' (package 'lib-other') in layer 'deps-app' replaces the one of layer 'mesa'", ran.stderr)

    def test_a_stack_without_an_application_is_held_to_the_rules_too(self):
        self.publish("lib-directory", POISON["directory-over-symlink"][2])
        profile = self.profile(("app", "lib-directory", ()))
        profile.write_text(profile.read_text().replace('[app]\nappimage = "Hello.AppImage"\n', ""))
        ran = self.orch("build", profile, status=1)
        self.assertIn("'usr/lib/data' (package 'lib-directory') in layer 'deps-app' is a directory over a symlink", ran.stderr)
        self.assertEqual(self.orch_json("plan", "native")["steps"], [])  # and without layers there is nothing to hold

    def test_what_is_allowed_for_images_is_not_for_overlays(self):
        self.publish("lib-directory", POISON["directory-over-symlink"][2])
        overlay = ("app", "lib-directory", ())
        images = f'images = ["{self.image("ready", {"usr/share/themes": b"y"})}"]\n'
        ran = self.orch("build", self.profile(overlay, more=images + 'allow = ["type-conflict:usr/lib/*"]\n'), status=1)
        self.assertIn('in the profile: allow = ["type-conflict:usr/lib/data"]\n', ran.stderr)
        ran = self.orch("build", self.profile(("app", "lib-directory", ["type-conflict"]), more=images), status=1)
        self.assertIn('in the profile: [stack] allow = ["type-conflict:usr/share/themes"]\n', ran.stderr)

    def test_the_tools_own_layers_may_mend_what_they_are_for(self):
        self.publish("lib-clean", {"./usr/lib64/libclean.so.1": elf(soname="libclean.so.1")})
        base = lib.make_erofs(self.tmp / "base.erofs", lib.make_tree(self.tmp / "base", {
            "usr/lib64/ld-linux-x86-64.so.2": Path("/lib64/ld-linux-x86-64.so.2").read_bytes(), "usr/lib64/libx.so.1": elf(soname="libx.so.1"),
            "etc/ld.so.cache": b"old", "lib64": ("link", "/usr/lib64")}))
        profile = self.profile(("app", "lib-clean", ()))
        profile.write_text(profile.read_text().replace('{ packages = ["base-one"], source = "own" }', f'"{base}"'))
        document = self.check(profile)
        self.assertEqual(document["layers"], ["base", "compat", "deps-app", "finish"])
        self.assertEqual([f for f in document["findings"] if f["severity"] == "refused"], [])


def add_test(name):
    def test(self):
        self.refused_then_allowed(name)
    test.__name__ = "test_" + name.replace("-", "_") + "_is_refused_and_with_the_override_built"
    setattr(CheckStack, test.__name__, test)


for _name in POISON:
    add_test(_name)

if __name__ == "__main__":
    unittest.main()
