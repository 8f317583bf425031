"""`lock`, and what `build` does with a lock file: a small archive of the test's own stands in for a distribution."""

import hashlib
import shutil
import tomllib
import unittest

from tests.integration import lib
from tests.integration.repository import Repository, base_files


@lib.needs_tool("apt-get", "mkfs.erofs")
class Lock(lib.TestCase):
    def setUp(self):
        self.repository = Repository(self.tmp / "repository")
        self.repository.add("base-one", "1.0", base_files(), depends="base-two")
        self.repository.add("base-two", "2.0", {"./usr/share/two": b"two"})
        self.repository.add("lib-x", "1.0", {"./usr/lib/libx.so.1": b"x"}, depends="base-two").publish()
        self.profile, self.lock = self.write_profile('["base-one"]'), self.tmp / "p.lock.toml"

    def write_profile(self, base, deps='["lib-x"]'):
        return self.write("p.toml", f'schema = 1\nextends = "native"\n[stack]\n'
                                    f'base = {{ packages = {base}, source = "own" }}\n'
                                    f'[[stack.deps]]\nname = "x"\nsource = "own"\npackages = {deps}\n'
                                    f'[source.own]\n{self.repository.table()}')

    def versions(self):
        return {p["name"]: p["version"] for layer in tomllib.loads(self.lock.read_text())["layer"]
                for p in layer.get("package", [])}

    def test_lock_writes_the_closure_and_says_what_it_added(self):
        document = self.orch_json("lock", self.profile)
        self.assertEqual(document["schema"], "appimage-orch/lock/1")
        (profile,) = document["profiles"]
        self.assertEqual((profile["lock"], profile["written"]), (str(self.lock), True))
        self.assertEqual([layer["name"] for layer in profile["layers"]], ["base", "deps-x"])
        self.assertEqual([(c["layer"], c["name"], c["before"]) for c in profile["changes"]],
                         [("base", "base-one", None), ("base", "base-two", None), ("deps-x", "lib-x", None)])
        self.assertEqual(self.versions(), {"base-one": "1.0", "base-two": "2.0", "lib-x": "1.0"})
        again = self.orch_json("lock", self.profile)["profiles"][0]
        self.assertEqual((again["written"], again["changes"]), (False, []))

    def test_the_file_has_the_documented_form(self):
        self.orch("lock", self.profile)
        self.golden("lock/p.lock.toml", self.lock.read_text(), {self.tmp.name: "NAME"})

    def test_update_takes_new_versions_and_shows_the_difference(self):
        self.orch("lock", self.profile)
        self.repository.add("base-two", "2.1", {"./usr/share/two": b"new"}).publish()
        self.assertIn("unchanged", self.orch("lock", self.profile).stdout)
        ran = self.orch("lock", self.profile, "--update")
        self.assertIn("  ~ base-two 2.0 -> 2.1 (base)\n", ran.stdout)
        self.assertEqual(self.versions()["base-two"], "2.1")

    def test_a_changed_profile_resolves_what_changed_and_keeps_the_rest(self):
        self.orch("lock", self.profile)
        self.repository.add("base-two", "2.1", {"./usr/share/two": b"new"})
        self.repository.add("lib-y", "1.0", {"./usr/lib/liby.so.1": b"y"}).publish()
        self.write_profile('["base-one"]', '["lib-x", "lib-y"]')
        self.assertIn("  + lib-y 1.0 (deps-x)\n", self.orch("lock", self.profile).stdout)
        self.assertEqual(self.versions(), {"base-one": "1.0", "base-two": "2.0", "lib-x": "1.0", "lib-y": "1.0"})

    def test_build_resolves_by_itself_and_with_locked_it_does_not(self):
        ran = self.orch("build", self.profile, "--locked", status=2)
        self.assertIn("does not fit the profile: there is no lock file", ran.stderr)
        self.assertFalse(self.lock.exists())
        self.orch("build", self.profile)
        first = self.lock.read_bytes()
        document = self.orch_json("build", self.profile, "--locked")
        self.assertEqual((document["executed"], document["cached"]), (0, 0))
        self.write_profile('["base-one", "base-two"]')
        ran = self.orch("build", self.profile, "--locked", status=2)
        self.assertIn("the packages of layer 'base' have changed", ran.stderr)
        self.assertEqual(self.lock.read_bytes(), first)

    def test_a_new_version_of_one_package_rebuilds_the_layer_it_is_in(self):
        self.orch("build", self.profile)
        self.repository.add("lib-x", "1.1", {"./usr/lib/libx.so.1": b"newer"}).publish()
        self.orch("lock", self.profile, "--update")
        document = self.orch_json("build", self.profile)
        results = {s["id"].rsplit("-", 1)[0]: s["result"] for s in document["steps"] if s["result"] == "executed"}
        self.assertEqual(set(results) & {"fetch-packages", "deps-overlay", "base-image"},
                         {"fetch-packages", "deps-overlay"})
        self.assertEqual(self.orch_json("build", self.profile)["executed"], 0)

    def test_images_are_locked_by_their_digests_until_their_packages_change(self):
        document = self.orch_json("lock", self.profile, "--images")["profiles"][0]
        images = {i["name"]: (i["sha256"], i["size"]) for i in document["images"]}
        self.assertLessEqual({"base", "deps-x"}, set(images))
        store = self.tmp / "cache/appimage-orch/store/cas/image"
        built = {hashlib.sha256(p.read_bytes()).hexdigest(): p.stat().st_size for p in store.glob("*/*/*.erofs")}
        for sha256, size in images.values():
            self.assertEqual(built[sha256], size)
        self.assertIn(("image", "base", None), [(c["kind"], c["name"], c["before"]) for c in document["changes"]])
        self.assertIn("unchanged", self.orch("lock", self.profile, "--images").stdout)
        self.repository.add("lib-x", "1.1", {"./usr/lib/libx.so.1": b"newer"}).publish()
        ran = self.orch("lock", self.profile, "--update")
        self.assertIn(f"  - image deps-x {images['deps-x'][0]}\n", ran.stdout)
        left = [i["name"] for i in tomllib.loads(self.lock.read_text())["image"]]
        self.assertEqual(left, ["base"])

    def test_a_lock_that_cannot_be_read_is_an_error_with_a_place(self):
        self.orch("lock", self.profile)
        self.lock.write_text(self.lock.read_text().replace("size = ", "size = -", 1))
        ran = self.orch("build", self.profile, status=2)
        self.assertRegex(ran.stderr, r"p\.lock\.toml:\d+:\d+: error: package 'base-one' needs 'size'")
        self.assertIn("lock --update", ran.stderr)

    def test_old_packages_are_taken_from_where_they_are_kept(self):
        self.orch("lock", self.profile)
        shutil.copytree(self.repository.folder / "pool", self.tmp / "old/pool")
        self.repository.remove("lib-x").add("lib-x", "1.1", {"./usr/lib/libx.so.1": b"newer"}).publish()
        ran = self.orch("build", self.profile, "--locked", ok=False)
        self.assertIn("source 'own' no longer has package 'lib-x' 1.0", ran.stderr)
        self.assertIn("lock --update", ran.stderr)
        self.profile.write_text(self.profile.read_text() + f'archive_uris = ["file://{self.tmp}/none", "file://{self.tmp}/old"]\n')
        self.orch("build", self.profile, "--locked")

    def test_or_from_a_place_with_all_files_in_one_folder(self):
        self.orch("lock", self.profile)
        (old,) = (self.repository.folder / "pool").glob("lib-x_*")
        (self.tmp / "flat").mkdir()
        shutil.copy(old, self.tmp / f"flat/+files {old.name}")
        self.repository.remove("lib-x").add("lib-x", "1.1", {"./usr/lib/libx.so.1": b"newer"}).publish()
        self.profile.write_text(self.profile.read_text() + f'archive_uris = ["file://{self.tmp}/flat/%2Bfiles%20{{file}}"]\n')
        self.orch("build", self.profile, "--locked")

    def test_fingerprints_are_held_against_the_key_file(self):
        key = self.write("key.gpg", b"\x98\x06\x04\x01\x02\x03\x04\x01")
        self.profile.write_text(self.profile.read_text() + f'signed_by = "{key}"\nfingerprints = ["{"0" * 40}"]\n')
        ran = self.orch("lock", self.profile, ok=False)
        self.assertIn(f"the key file '{key}' of source 'own' has the key E0EA33D8B1B7F32DA82215E46E40AFDCDAEC22C9, "
                      f"expected none but {'0' * 40}", ran.stderr)

    def refresh(self, base):
        """Builds an overlay of class base-refresh with a newer C library; its locked packages and those it left out."""
        files = {"./usr/lib/x86_64-linux-gnu/libc.so.6": b"new"}
        newer = Repository(self.tmp / "newer").add("libc6", "2.0", files, depends="libgcc-s1").add("libgcc-s1", "1.0", {"./usr/lib/g": b"g"})
        newer.add("plain", "1.0", {"./usr/share/plain": b"p"}).publish()
        self.repository.add("libc6", "1.0", {**base_files(), "./usr/lib/x86_64-linux-gnu/libc.so.6": b"old"})
        self.repository.add("plain", "1.0", {"./usr/share/plain": b"p"}).publish()
        self.write("p.toml", f'schema = 1\nextends = "native"\n[stack]\nbase = {base}\ncompat = "off"\nfinish = "off"\n'
                   '[[stack.deps]]\nname = "x"\nsource = "newer"\nclass = "base-refresh"\npackages = ["libc6"]\n'
                   f'[source.own]\n{self.repository.table()}[source.newer]\n{newer.table()}')
        self.orch("build", self.profile)
        self.assertEqual(self.orch_json("build", self.profile, "--locked")["executed"], 0)
        layer = self.orch_json("lock", self.profile)["profiles"][0]["layers"][-1]
        return {p["name"]: p["version"] for p in layer["packages"]}, [p["name"] for p in layer["provided"]]

    def test_a_base_refresh_takes_the_place_of_a_package_below(self):
        self.assertEqual(self.refresh('{ packages = ["libc6", "plain"], source = "own" }'), ({"libc6": "2.0", "libgcc-s1": "1.0"}, []))

    def test_a_base_refresh_takes_the_place_of_files_of_an_image(self):
        lib.make_tree(self.tmp / "root", {"etc/os-release": "ID=x\n", "usr/lib/x86_64-linux-gnu/libc.so.6": "old", "usr/lib/g": "g"})
        self.assertEqual(self.refresh('"root"'), ({"libc6": "2.0", "libgcc-s1": "1.0"}, []))

    def test_what_was_asked_for_and_is_there_is_said(self):
        self.write_profile('["base-one", "lib-x"]')
        self.assertIn("layer 'deps-x': package 'lib-x' is left out, layer 'base' has it", self.orch("lock", self.profile).stderr)

    def test_a_base_of_another_distribution_is_an_error_with_a_way_out(self):
        tree = lib.make_tree(self.tmp / "root", {"etc/os-release": "ID=one\nVERSION_ID=1\n"})
        self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\nbase = "root"\ncompat = "off"\nfinish = "off"\n'
                   f'[[stack.deps]]\nname = "x"\nsource = "own"\npackages = ["lib-x"]\n[source.own]\n{self.repository.table()}')
        self.orch("build", self.profile)
        (tree / "etc/os-release").write_text("ID=two\nVERSION_ID=1\n")
        ran = self.orch("build", self.profile, ok=False)
        self.assertIn("resolve for this base with 'appimage-orch lock --update'", ran.stderr)
        self.orch("lock", self.profile, "--update")
        self.orch("build", self.profile, "--locked")

    def test_an_unknown_package_is_named_with_its_layer_and_the_nearest_name(self):
        self.write_profile('["base-oen"]')
        ran = self.orch("lock", self.profile, status=2)
        self.assertIn("source 'own' has no package 'base-oen'", ran.stderr)
        self.assertIn("did you mean 'base-one'?", ran.stderr)
        self.assertFalse(self.lock.exists())


if __name__ == "__main__":
    unittest.main()
