"""Finished images: made on one machine by `lock --images`, taken on another that could not make them."""

import functools
import hashlib
import http.server
import shutil
import threading
import tomllib
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.repository import Repository, base_files


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@lib.needs_tool("apt-get", "mkfs.erofs")
class FinishedImages(lib.TestCase):
    LAYERS = {"base", "deps-x"}

    def setUp(self):
        repository = Repository(self.tmp / "repository")
        repository.add("base-one", "1.0", base_files())
        self.repository = repository.add("lib-x", "1.0", {"./usr/lib/libx.so.1": b"x" * 9000}).publish()
        self.profile, self.images = self.write_profile(), self.tmp / "images"
        self.orch("lock", self.profile, "--images", "--export", self.images)
        self.locked = {i["name"]: i for i in tomllib.loads((self.tmp / "p.lock.toml").read_text())["image"]}

    def write_profile(self, sources="[]", compressor="lz4"):
        return self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\n'
                                    f'image_sources = {sources}\nbase = {{ packages = ["base-one"], source = "own" }}\n'
                                    f'[[stack.deps]]\nname = "x"\nsource = "own"\npackages = ["lib-x"]\ncompressor = "{compressor}"\n'
                                    f'[source.own]\n{self.repository.table()}')

    def elsewhere(self):
        """The environment of a machine with nothing in its cache, no archive and another mkfs.erofs."""
        shutil.rmtree(self.tmp / "cache")
        if self.repository.folder.exists():
            self.repository.folder.rename(self.tmp / "away")
        mkfs = self.tmp / "bin/mkfs.erofs"
        mkfs.parent.mkdir(exist_ok=True)
        mkfs.write_text("#!/bin/sh\necho 'mkfs.erofs 0.1' >&2\nexit 1\n")
        mkfs.chmod(0o755)
        return {"PATH": f"{mkfs.parent}:{lib.os.environ['PATH']}", "no_proxy": "127.0.0.1"}

    def build(self, env, *options, **wanted):
        ran = self.orch("build", self.profile, "--locked", "--format", "json", *options, env=env, **wanted)
        return {s["id"].rsplit("-", 1)[0]: s for s in ran.json["steps"]} if ran.status == 0 else ran

    def check_taken(self, env):
        steps = self.build(env)
        self.assertEqual({n for n in steps if n not in ("index-image", "check-stack")}, {"take-image"})
        store = self.tmp / "cache/appimage-orch/store/cas/image"
        self.assertEqual({hashlib.sha256(p.read_bytes()).hexdigest() for p in store.glob("*/*/*.erofs")},
                         {image["sha256"] for image in self.locked.values()})

    def test_they_are_exported_under_their_digests(self):
        self.assertEqual(set(self.locked), self.LAYERS)
        self.assertEqual({p.name: hashlib.sha256(p.read_bytes()).hexdigest() + ".erofs" for p in self.images.iterdir()},
                         {f"{i['sha256']}.erofs": f"{i['sha256']}.erofs" for i in self.locked.values()})

    def test_a_machine_that_cannot_build_takes_them_out_of_a_folder(self):
        self.write_profile('["images"]')
        self.check_taken(self.elsewhere())

    def test_or_from_a_server_the_first_of_two_having_none(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(self.tmp)))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            at = f"http://127.0.0.1:{server.server_port}"
            self.write_profile(f'["{at}/none", "{at}/images/"]')
            self.check_taken(self.elsewhere())
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def test_a_folder_with_an_odd_name_and_a_server_that_is_not_there(self):
        self.images.rename(self.tmp / "a folder, 100% #1")
        self.write_profile('["http://127.0.0.1:9/none", "a folder, 100% #1"]')
        self.check_taken(self.elsewhere())

    def test_where_there_is_none_the_way_out_is_named(self):
        self.write_profile('["http://127.0.0.1:9/none"]')
        ran = self.build(self.elsewhere(), ok=False)
        self.assertIn("'--rebuild' makes the image here", ran.stdout + ran.stderr)

    def test_or_out_of_the_shared_cache(self):
        env = self.elsewhere()
        downloads = self.tmp / "cache/appimage-orch/downloads/sha256"
        downloads.mkdir(parents=True)
        for image in self.images.iterdir():
            shutil.copy(image, downloads / image.stem)
        self.check_taken(env)

    def test_rebuild_insists_and_says_what_is_wrong(self):
        self.write_profile('["images"]')
        ran = self.build(self.elsewhere(), "--rebuild", ok=False)
        self.assertNotIn("take-image", ran.stdout)

    def test_an_image_that_is_another_one_is_refused(self):
        self.write_profile('["images"]')
        for image in self.images.iterdir():
            image.chmod(0o644)
            image.write_bytes(image.read_bytes() + b"more")
        ran = self.build(self.elsewhere(), ok=False)
        self.assertIn("is not what", ran.stdout + ran.stderr)

    def test_a_layer_that_would_be_another_one_is_built(self):
        self.write_profile('["images"]', compressor="none")
        steps = self.build({})
        self.assertIn("deps-overlay", steps)
        self.assertIn("take-image", steps)

    def test_without_sources_it_is_built_and_another_result_is_said(self):
        lock = self.tmp / "p.lock.toml"
        self.assertNotIn("warning", self.orch("build", self.profile).stderr)
        lock.write_text(lock.read_text().replace(self.locked["deps-x"]["sha256"], "0" * 64))
        ran = self.orch("build", self.profile)
        self.assertIn("warning: the image of layer 'deps-x' is not the one of the lock file", ran.stderr)
        self.assertNotIn("layer 'base'", ran.stderr)


@lib.needs_tool("apt-get", "mkfs.erofs")
class WholeStack(FinishedImages):
    """With the layers that are made of the stack: the link to the loader, and the caches."""

    LINK = "/usr/lib64"  # absolute: FEX would follow it to the host

    def write_profile(self, sources="[]", compressor="lz4"):
        tree = lib.make_tree(self.tmp / "tree", {"usr/lib64/ld-linux-x86-64.so.2": Path("/lib64/ld-linux-x86-64.so.2").read_bytes(),
                                                 "lib64": ("link", self.LINK), "usr/lib/libx.so.0": b"x"})
        lib.make_erofs(self.tmp / "base.erofs", tree)
        shutil.rmtree(tree)
        return self.write("p.toml", f'schema = 1\nextends = "native"\n[stack]\nimage_sources = {sources}\nbase = "base.erofs"\n'
                                    f'[[stack.deps]]\nname = "x"\nsource = "own"\npackages = ["lib-x"]\ncompressor = "{compressor}"\n'
                                    f'[source.own]\n{self.repository.table()}')

    LAYERS = {"compat", "deps-x", "finish"}

    def test_another_base_has_other_layers(self):
        self.write_profile('["images"]')
        self.check_taken(self.elsewhere())
        WholeStack.LINK = "/usr/./lib64"
        self.addCleanup(setattr, WholeStack, "LINK", "/usr/lib64")
        self.write_profile('["images"]')
        steps = self.build({})
        self.assertLessEqual({"take-image", "rootfs-compat", "finish-stack"}, set(steps))

    def test_another_stack_has_another_finish_layer(self):
        self.write_profile('["images"]')
        profile = self.profile.read_text()
        self.profile.write_text(profile.replace("[stack]\n", '[stack]\ncompat = "off"\n'))
        self.assertIn("finish-stack", self.build({}))
        self.profile.write_text(profile + '[[step]]\nname = "own"\ncommand = ["/bin/sh", "-c", "cp \\"$0\\" \\"$1\\"", "{in.image}", "{out.image}"]\n'
                                'inputs.image = { value = "layers[0].image" }\noutputs.image = { kind = "image", provides = "layers[0].image" }\n')
        self.assertIn("finish-stack", self.build({}))

    def test_the_images_of_a_stack_without_packages_stay_locked(self):
        self.write_profile()
        self.profile.write_text(self.profile.read_text().split("[[stack.deps]]")[0])
        self.orch("lock", self.profile, "--images")
        before = (self.tmp / "p.lock.toml").read_text()
        self.assertIn('name = "finish"', before)
        self.orch("lock", self.profile)
        self.assertEqual((self.tmp / "p.lock.toml").read_text(), before)


if __name__ == "__main__":
    unittest.main()
