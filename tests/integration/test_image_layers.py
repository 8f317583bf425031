"""Images out of packages, of FEX's list, and the step that hides property notes, as builds make them."""

import hashlib
import json
import os
import struct
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.repository import Repository
from tests.integration.stacks import StackTestCase

OFF = 'gpu = []\ncompat = "off"\nfinish = "off"\n'


def make_program(level=4):
    """An x86_64 ELF program with a property note that asks for an ISA level (bit number), and data behind its end."""
    note = struct.pack("<III4sIIII", 4, 16, 5, b"GNU\0", 0xC0008002, 4, 1 << level, 0)
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    place = 64 + 2 * 56
    segments = b"".join(struct.pack("<IIQQQQQQ", kind, 4, place, place, place, len(note), len(note), 8) for kind in (0x6474E553, 4))
    return header + segments + note + b"appended"


@lib.needs_tool("mkfs.erofs")
class ImageLayers(StackTestCase):
    def image(self):
        return lib.make_erofs(self.tmp / "rootfs.erofs", lib.make_tree(self.tmp / "tree", {"etc/os-release": "ID=x\n"}))

    def test_what_is_no_image_is_named_by_its_layer(self):
        junk = self.write("junk.erofs", "hello\n")
        ran = self.orch("build", self.write("p.toml", f'[stack]\nbase = "{junk}"\n{OFF}'), status=1)
        self.assertIn(f"  '{junk}' (layer 'base') is no image of a stack: expected EROFS, SquashFS or a directory, found a text file\n", ran.stderr)
        sha256 = hashlib.sha256(junk.read_bytes()).hexdigest()
        profile = self.write("q.toml", f'[stack]\nbase = {{ url = "file://{junk}", sha256 = "{sha256}" }}\n{OFF}')
        ran = self.orch("build", profile, status=1)
        self.assertIn("  the image of layer 'base' is no image of a stack: expected", ran.stderr)
        profile = self.write("r.toml", f'[stack]\nbase = "{self.image()}"\n{OFF}[[step]]\nname = "own"\ncommand = ["sh", "-c", "echo x > {{out.image}}"]\n'
                             '[step.outputs]\nimage = { kind = "image", provides = "layers+" }\n')
        ran = self.orch("build", profile, status=1)
        self.assertIn("  the image of layer 'step:own.image' is no image of a stack: expected", ran.stderr)

    def test_a_plan_names_what_is_not_built_yet(self):
        lib.make_appimage(self.tmp / "x.AppImage", lib.make_tree(self.tmp / "app", {"AppRun": "#!/bin/sh\n"}))
        profile = self.write("p.toml", f'extends = "native"\n[app]\nappimage = "x.AppImage"\n[stack]\nbase = {{ url = "file:///absent", sha256 = "{"0" * 64}" }}\n')
        ran = self.orch("plan", profile)
        for line in ("  image   base    (layer 'base', not built yet)\n", "  image   finish  (layer 'finish', not built yet)\n"):
            self.assertIn(line, ran.stdout)
        self.assertNotIn("images[", ran.stdout)

    def test_the_layer_of_a_step_lies_below_what_finishes_the_stack_and_is_called_so(self):
        lib.make_appimage(self.tmp / "x.AppImage", lib.make_tree(self.tmp / "app", {"AppRun": "#!/bin/sh\n"}))
        base = lib.make_base_image(self.tmp / "base.erofs", ["/bin/sh"])
        own = lib.make_erofs(self.tmp / "own.erofs", lib.make_tree(self.tmp / "own", {"etc/own": "own"}))
        profile = self.write("p.toml", f'extends = "native"\n[app]\nappimage = "x.AppImage"\n[stack]\nbase = "{base}"\ncompat = "off"\n'
                             f'[[step]]\nname = "own"\ncommand = ["cp", "{own}", "{{out.image}}"]\n'
                             '[step.outputs]\nimage = { kind = "image", provides = "layers+" }\n')
        self.assertIn("  image   step    (the layer of a step, not built yet)\n", self.orch("plan", profile).stdout)
        self.orch("build", profile)
        shown = self.orch("run", profile, "--dry-run", "--format", "json").json["images"]
        self.assertEqual([image["role"] for image in shown], ["base", "step", "finish"])
        self.assertEqual(Path(shown[1]["path"]).read_bytes(), own.read_bytes())

    @lib.needs_tool("apt-get")
    def test_an_image_inside_a_package(self):
        image = self.image()
        repository = Repository(self.tmp / "repo").add("rootfs", "1", {"./usr/share/r/default.erofs": image.read_bytes()}).publish()

        def text(path):
            return (f'[stack]\nbase = {{ package = "rootfs", source = "own", path = "{path}" }}\n{OFF}'
                    f"[source.own]\n{repository.table()}")
        layers = self.build_layers("p.toml", text("/usr/share/r/default.erofs"))
        self.assertEqual(layers["image-from-package"]["image"].read_bytes(), image.read_bytes())
        self.assertFalse(layers["convert-image"]["conversion"]["converted"])
        profile = self.write("q.toml", text("usr/share/absent"))
        self.orch("lock", profile)
        self.assertIn('name = "rootfs"', (self.tmp / "q.lock.toml").read_text())
        ran = self.orch("build", profile, "--locked", status=1)
        self.assertIn("package 'rootfs' has no file 'usr/share/absent'", ran.stderr)
        self.assertIn("the package has: usr/share/r/default.erofs", ran.stderr)

    @lib.needs_tool("apt-get")
    def test_packages_are_chosen_by_what_an_image_inside_a_package_has(self):
        library = "usr/lib/x86_64-linux-gnu/libhave.so.1"
        image = lib.make_erofs(self.tmp / "rootfs.erofs", lib.make_tree(self.tmp / "tree", {"etc/os-release": "ID=x\n", library: "y"}))
        repository = Repository(self.tmp / "repo").add("rootfs", "1", {"./usr/share/r/default.erofs": image.read_bytes()})
        repository.add("have", "1", {f"./{library}": b"y"})
        repository.add("want", "1", {"./usr/lib/x86_64-linux-gnu/libwant.so.1": b"z"}, depends="have").publish()
        profile = self.write("p.toml", f'[stack]\nbase = {{ package = "rootfs", source = "own", path = "usr/share/r/default.erofs" }}\n{OFF}'
                             f'[[stack.deps]]\nname = "x"\nsource = "own"\npackages = ["want"]\n[source.own]\n{repository.table()}')
        self.orch("build", profile)
        layers = {layer["name"]: layer for layer in self.orch_json("lock", profile)["profiles"][0]["layers"]}
        self.assertEqual([p["name"] for p in layers["base"]["packages"]], ["rootfs"])
        self.assertEqual([p["name"] for p in layers["deps-x"]["packages"]], ["want"])
        self.assertEqual([(p["name"], p["layer"]) for p in layers["deps-x"]["provided"]], [("have", "base")])
        self.assertEqual(self.orch_json("build", "--locked", profile)["executed"], 0)

    def test_an_image_of_fexs_list_waits_for_the_lock_and_then_is_fetched(self):
        image = self.image()
        profile = self.write("p.toml", f'[stack]\nbase = {{ fex = "Fedora 42" }}\n{OFF}')
        ran = self.orch("build", "--locked", profile, ok=False)
        self.assertIn("the image of layer 'base' is not locked", ran.stderr)
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        self.write("p.lock.toml", f'version = 2\n\n[[image]]\nname = "base"\nsha256 = "{digest}"\nsize = {image.stat().st_size}\n'
                   f'fex = "Fedora 42"\nurl = "file://{image}"\nxxh3 = "0000000000000001"\n')
        steps = {s["rule"]: s for s in self.orch_json("build", profile)["steps"]}
        self.assertEqual(Path(steps["fetch-fex"]["artifact"]).read_bytes(), image.read_bytes())
        self.assertIn("convert-image", steps)

    @lib.needs_tool("mksquashfs")
    def test_property_notes_are_hidden_only_if_the_profile_says_so(self):
        program = make_program()
        tree = lib.make_tree(self.tmp / "app", {"AppRun": program, "usr/lib/libx.so": program, "usr/share/text": b"x"})
        os.link(tree / "AppRun", tree / "usr/again")
        app = lib.make_appimage(self.tmp / "x.AppImage", tree)

        def build(name, more):
            profile = self.write(name, f'[app]\nappimage = "{app}"\n[extract]\n{more}[stack]\nbase = "{self.image()}"\n{OFF}')
            return {s["rule"]: s for s in self.orch_json("build", "--only", "sanitize-elf" if more else "extract-appimage",
                                                         profile)["steps"]}
        self.assertNotIn("sanitize-elf", build("p.toml", ""))
        step = build("q.toml", "strip_gnu_property = true\n")["sanitize-elf"]
        files = self.documents(step)["sanitized"]["files"]
        self.assertEqual([f["path"] for f in files], ["AppRun", "usr/lib/libx.so"])
        made = Path(step["artifact"])
        self.assertEqual(files[0]["before"], hashlib.sha256(program).hexdigest())
        self.assertEqual(files[0]["after"], hashlib.sha256((made / "AppRun").read_bytes()).hexdigest())
        after = (made / "AppRun").read_bytes()
        changed = [i for i, (a, b) in enumerate(zip(program, after)) if a != b]
        self.assertEqual((len(after), changed), (len(program), [64, 65, 66, 67, 184]))
        self.assertEqual((made / "usr/again").stat().st_ino, (made / "AppRun").stat().st_ino)
        self.assertEqual((made / "AppRun").stat().st_mode & 0o111, 0o111)
        self.assertEqual(json.dumps(self.documents(step)["sanitized"]["schema"]), '"appimage-orch/sanitize/1"')


if __name__ == "__main__":
    unittest.main()
