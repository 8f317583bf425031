"""The layer for a missing loader path: made only where the path does not resolve, and then programs start."""

import os
import shutil
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.stacks import StackTestCase, run_in_stack

LOADER = "ld-linux-x86-64.so.2"
HELLO = ["/usr/bin/echo", "started"]


@lib.needs_tool("mkfs.erofs")
class Compat(StackTestCase):
    def base(self, change):
        """A base image out of this machine's programs, changed by `change` (a function of the folder)."""
        folder = lib.copy_programs(self.tmp / "base", ["/bin/echo", "/bin/sh"])
        real = folder / "usr/lib64"
        if not (real / LOADER).exists():
            shutil.copy(os.path.realpath(f"/lib64/{LOADER}"), real / LOADER)
        change(folder)
        return lib.make_erofs(self.tmp / "base.erofs", folder)

    def compat(self, *images):
        more = "".join(f', "{name}"' for name in images[1:])
        return self.build_layers("p.toml", f'[stack]\nbase = "{images[0]}"\ngpu = [{more[2:]}]\nfinish = "off"\n'
                                           'allow = ["type-conflict:lib64"]\n')["rootfs-compat"]

    def starts(self, *images):
        return run_in_stack(self.tmp, images, HELLO)

    def mended(self, *images):
        """The observation of x86_64, and the links, of a stack that starts with the layer and not without."""
        layer = self.compat(*images)
        if lib.can_mount_erofs():
            self.assertNotEqual(self.starts(*images).status, 0)
            ran = self.starts(*images, layer["image"])
            self.assertEqual((ran.status, ran.stdout), (0, "started\n"), msg=str(ran))
        seen = layer["observation"]["loaders"][0]
        return seen["decision"], seen["outcome"], [(link["path"], link["target"]) for link in seen["links"]]

    def test_a_base_whose_loader_resolves_gets_nothing(self):
        base = self.base(lambda folder: None)
        layer = self.compat(base)
        self.assertEqual(layer["image"].stat().st_size, 0)
        self.assertFalse(layer["observation"]["needed"])
        self.assertEqual([(one["arch"], one["decision"]) for one in layer["observation"]["loaders"]],
                         [("x86_64", "resolves"), ("i386", "no-loader")])
        self.assertEqual(layer["observation"]["layers"], ["base"])
        if lib.can_mount_erofs():
            self.assertEqual(self.starts(base, layer["image"]).stdout, "started\n")

    def test_a_top_directory_that_is_absent(self):
        self.assertEqual(self.mended(self.base(lambda folder: (folder / "lib64").unlink())),
                         ("linked", "missing", [("lib64", "usr/lib64")]))

    def test_a_real_directory_of_a_gpu_layer_over_the_link(self):
        base = self.base(lambda folder: None)
        gpu = lib.make_erofs(self.tmp / "gpu.erofs", lib.make_tree(self.tmp / "gpu", {"lib64/libgl.so.1": b"gl"}))
        self.assertEqual(self.mended(base, gpu), ("linked", "missing", [(f"lib64/{LOADER}", f"../usr/lib64/{LOADER}")]))

    def test_the_layer_keeps_the_directory_that_it_links_in(self):
        base = self.base(lambda folder: None)
        tree = lib.make_tree(self.tmp / "gpu", {"lib64/libgl.so.1": b"gl"})
        (tree / "lib64").chmod(0o711)
        gpu = lib.make_erofs(self.tmp / "gpu.erofs", tree)
        layer = self.compat(base, gpu)
        if lib.can_mount_erofs():
            ran = run_in_stack(self.tmp, [base, gpu, layer["image"]], ["/bin/sh", "-c", "read x < /lib64/libgl.so.1; echo $x"])
            self.assertEqual(ran.stdout.strip(), "gl", msg=str(ran))
        ran = lib.run_command(["fsck.erofs", f"--extract={self.tmp / 'out'}", layer["image"]])
        self.assertEqual(ran.status, 0, msg=str(ran))
        self.assertEqual((self.tmp / "out/lib64").stat().st_mode & 0o777, 0o711)

    def test_an_absolute_link_is_followed_by_the_kernel_in_a_root_but_not_by_fex(self):
        def absolute(folder):
            (folder / "lib64").unlink()
            (folder / "lib64").symlink_to("/usr/lib64")
        seen = self.compat(self.base(absolute))["observation"]["loaders"][0]
        self.assertEqual((seen["decision"], seen["outcome"], seen["at"]), ("linked", "escapes", f"/usr/lib64/{LOADER}"))
        self.assertEqual(seen["links"], [{"path": "lib64", "target": "usr/lib64"}])

    def test_a_stack_without_a_loader_is_said_and_not_refused(self):
        image = lib.make_erofs(self.tmp / "none.erofs", lib.make_tree(self.tmp / "none", {"etc/x": b"x"}))
        layer = self.compat(image)
        self.assertEqual(layer["image"].stat().st_size, 0)
        self.assertEqual({one["decision"] for one in layer["observation"]["loaders"]}, {"no-loader"})

    def test_the_same_stack_gives_the_same_bytes_elsewhere(self):
        base = self.base(lambda folder: (folder / "lib64").unlink())
        first = self.compat(base)["image"].read_bytes()
        profile = self.write("q.toml", f'[stack]\nbase = "{base}"\ngpu = []\nfinish = "off"\n')
        second = self.orch_json("build", profile, "-j1", home=self.tmp / "other", cwd=self.tmp)
        image = next(Path(s["artifact"]) for s in second["steps"] if s["rule"] == "rootfs-compat")
        self.assertEqual(image.read_bytes(), first)

    def test_off_makes_no_layer(self):
        profile = self.write("p.toml", f'[stack]\nbase = "{self.base(lambda folder: None)}"\ncompat = "off"\nfinish = "off"\n')
        rules = {step["rule"] for step in self.orch_json("build", profile)["steps"]}
        self.assertEqual(rules & {"rootfs-compat", "finish-stack"}, set())


if __name__ == "__main__":
    unittest.main()
