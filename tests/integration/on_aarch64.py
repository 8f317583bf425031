"""The aarch64 program says and makes what the one of this machine does. Run by the stage "aarch64" of tests/runner.py, which
gives the command in ORCH_AARCH64 (qemu-user and the cross-built binary); beside it ORCH_BINARY as for every test."""

import os
import random
import shlex
import shutil
import unittest
from pathlib import Path

from tests.integration import erofs_large_blocks, lib, test_inspect

OTHER = shlex.split(os.environ.get("ORCH_AARCH64", ""))
COMPRESSORS = ("gzip", "xz", "zstd", "lz4")
DAMAGES = int(os.environ.get("ORCH_DAMAGES", "24"))


@unittest.skipUnless(OTHER, "ORCH_AARCH64 is not set: tests/runner.py --stages aarch64 sets it")
@lib.needs_tool("mksquashfs", "mkfs.erofs", "xorriso")
class OnAarch64(lib.TestCase):
    def both(self, *args, **options):
        """Runs both programs; gives what they agree on."""
        here = self.orch(*args, ok=None, **options)
        there = lib.run_command([*OTHER, *args], env=self.environment(**options.get("env", {})), cwd=options.get("cwd") or self.tmp)
        self.assertEqual((there.status, there.stdout, there.stderr), (here.status, here.stdout, here.stderr), msg=str(there))
        return here

    def tree(self, **files):
        """An application with an odd name, a library, and data that compresses and that does not."""
        noise = random.Random(lib.chosen_seed()).randbytes(300_000)
        return lib.make_tree(self.tmp / "tree", {
            "AppRun": "#!/bin/sh -eu\nexec true\n", "hello.desktop": test_inspect.DESKTOP,
            "usr/lib/liba.so.1": test_inspect.elf(soname="liba.so.1", needed=["libb.so.2", "libc.so.6"], versions=["GLIBC_2.4"]),
            "usr/bin/true": Path("/bin/true").read_bytes(), "usr/lib/liba.so": ("link", "liba.so.1"),
            "usr/share/h\xe9llo \x1b[31m\U0001f600": "text\n" * 20_000, "usr/share/noise": noise, "usr/share/empty": b"", **files})

    def images(self):
        tree = self.tree()
        made = [lib.make_appimage(self.tmp / f"{c}.AppImage", tree, compressor=c) for c in COMPRESSORS]
        made.append(lib.make_appimage(self.tmp / "other.AppImage", tree, runtime=lib.make_runtime(machine=lib.MACHINE_AARCH64)))
        made.append(lib.make_type1_appimage(self.tmp / "type1.AppImage", tree))
        made.append(lib.make_erofs(self.tmp / "plain.erofs", tree))
        made.append(lib.make_erofs(self.tmp / "lz4.erofs", tree, options=["-zlz4hc", "-C65536"]))
        made.append(erofs_large_blocks.make(self.tmp / "16k.erofs", tree))
        return made

    def test_inspect_says_the_same(self):
        for path in self.images():
            with self.subTest(path.name):
                for options in (["--files", "--format", "json"], []):
                    self.assertEqual(self.both("inspect", path, *options).status, 0)
        for path in (Path("/bin/true"), self.tmp / "tree", self.tmp / "tree/usr/lib/liba.so.1", self.tmp / "absent"):
            with self.subTest(path.name):
                self.both("inspect", path, "--format", "json")

    def test_damaged_images_are_refused_with_the_same_words(self):
        chance, refused, count = random.Random(lib.chosen_seed()), 0, 0
        for path in self.images():
            sound = path.read_bytes()
            for _ in range(max(1, DAMAGES // 9)):
                data = bytearray(sound)
                for _ in range(chance.choice((1, 8, 64))):  # headers lie at the start, tables at the end
                    at = chance.choice((chance.randrange(4096), len(data) - 1 - chance.randrange(4096)))
                    data[at] = chance.randrange(256)
                damaged = self.write(f"damaged-{path.name}", bytes(data))
                refused += self.both("inspect", damaged, "--files", "--format", "json").status != 0
                count += 1
        self.assertGreater(refused, 0)
        self.note(f"{count} damaged images, {refused} refused, seed {lib.chosen_seed()}")

    def project(self, home):
        """A profile with an application to extract, a layer to convert, and a step of one's own."""
        folder = self.tmp / home / "project"
        folder.mkdir(parents=True)
        shutil.copy(self.tmp / "gzip.AppImage", folder / "Hello.AppImage")
        for name in ("base.erofs", "layer.sqsh"):
            shutil.copy(self.tmp / name, folder / name)
        (folder / "word").write_text("Gr\xfc\xdfe\n")
        (folder / "profile.toml").write_text("""schema = 1
name = "hello"
extends = "native"
[app]
appimage = "Hello.AppImage"
[stack]
base = "base.erofs"
gpu = ["layer.sqsh"]
[[step]]
name = "own"
command = ["sh", "-c", "cp {in.word} {out.copy}"]
inputs.word = { file = "word" }
outputs.copy = { kind = "file" }
""")
        return folder

    def make_inputs(self):
        tree = self.tree()
        lib.make_appimage(self.tmp / "gzip.AppImage", tree)
        lib.make_base_image(self.tmp / "base.erofs")
        layer = lib.make_tree(self.tmp / "layer", {"usr/share/layer/text": "layer\n" * 5000, "usr/lib/libx.so.1": test_inspect.elf()})
        ran = lib.run_command(["mksquashfs", layer, self.tmp / "layer.sqsh", "-noappend", "-no-progress", "-quiet", "-all-root",
                               "-comp", "zstd"])
        self.assertEqual(ran.status, 0, msg=str(ran))

    def test_plans_and_keys_are_the_same(self):
        self.make_inputs()
        project = self.project("one")
        plan = ["plan", "--launcher", "native", "--format", "json"]
        self.assertIn('"stale"', self.both(*plan, cwd=project).stdout)
        built = self.orch_json("build", "--launcher", "native", cwd=project)
        self.assertEqual(built["failed"], 0)
        # Every digest, tool and key was made by the one program, and must be what the other computes.
        fresh = self.both(*plan, cwd=project).json
        self.assertEqual({step["status"] for step in fresh["steps"]}, {"fresh", "always"})

    def test_what_it_builds_is_the_same(self):
        self.make_inputs()
        # The kernel does not start programs of another machine, so ninja is given a script in place of the program.
        self.write("orch", f'#!/bin/sh\necho >>{self.tmp}/steps\nexec {shlex.join(OTHER)} "$@"\n', 0o755)
        self.write("bin/ninja", f'#!/bin/sh\nln -sf {self.tmp}/orch orch\nexec {shutil.which("ninja")} "$@"\n', 0o755)
        made = []
        for name, program, path in (("here", [lib.shared_copy()[0]], ""), ("there", OTHER, f"{self.tmp}/bin:")):
            home = self.tmp / name
            env = self.environment(home, PATH=path + os.environ["PATH"])
            ran = lib.run_command([*program, "build", "--launcher", "native", "--format", "json"], env=env, cwd=self.project(name))
            self.assertEqual(ran.status, 0, str(ran))
            self.assertEqual({step["result"] for step in ran.json["steps"]}, {"executed"}, str(ran))
            made.append(({step["id"]: (step["key"], step["digest"]) for step in ran.json["steps"]},
                         lib.listing(home / "cache/appimage-orch/store/cas")))
        self.assertEqual(made[0], made[1])
        self.assertEqual(len((self.tmp / "steps").read_text().splitlines()), len(made[0][0]))
        self.note(f"{len(made[0][0])} steps, {len(made[0][1])} files in the store")
