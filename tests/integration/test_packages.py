"""Packages: the distribution's own archive through apt in a private root, and a small archive of the test's own."""

import hashlib
import json
import os
import tomllib
import unittest

from tests.integration import lib
from tests.integration.repository import Repository, base_files, driver, snapshot

HOST_STATE = ("/etc/apt", "/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt")


class Driven(lib.TestCase):
    def setUp(self):
        self.cache, self.lock, self.source = self.tmp / "cache", self.tmp / "x.lock.toml", self.tmp / "source.toml"

    def drive(self, *args, ok=True, **options):
        ran = lib.run_command([driver(), *args], env=self.environment(), cwd=self.tmp, **options)
        self.assertNotIn("runtime error:", ran.stderr)
        self.assertEqual(ran.status == 0, ok, msg=str(ran))
        return ran

    def resolve(self, *layers, scope="missing", source=None, **options):
        return self.drive("lock", self.cache, self.lock, scope, source or self.source, *layers, **options)

    def image(self, layer, role, name, source=None, **options):
        return self.drive("image", self.cache, self.lock, source or self.source, layer, role, self.tmp / name, "2", **options)

    def layers(self):
        return {layer["name"]: layer for layer in tomllib.loads(self.lock.read_text())["layer"]}


@lib.needs_tool("apt-get", "mkfs.erofs", "fsck.erofs")
class TheDistributionsOwn(Driven):
    def test_the_closure_of_jq_is_split_over_base_and_overlay_and_the_host_is_left_alone(self):
        before = {folder: snapshot(folder) for folder in HOST_STATE}
        self.resolve("base=libc6,dash,coreutils", "deps=libjq1", source="auto")
        base, deps = (self.layers()[name] for name in ("base", "deps"))
        named = {p["name"]: p for p in base["package"]}
        self.assertLessEqual({"libc6", "dash", "coreutils", "libgcc-s1"}, set(named))
        self.assertEqual([n for n in sorted(named) if named[n]["reason"] == "asked"], ["coreutils", "dash", "libc6"])
        self.assertEqual([p["name"] for p in deps["package"]], ["libjq1", "libonig5"])
        self.assertIn("libc6", [p["name"] for p in deps["provided"]])
        for package in named.values():
            self.assertRegex(package["sha256"], "^[0-9a-f]{64}$")
            self.assertTrue(package["path"].startswith("pool/"), msg=package)

        self.image("base", "base", "base", source="auto")
        self.image("deps", "deps", "deps", source="auto")
        for package in base["package"]:
            file = f"{package['name']}_{package['version'].replace(':', '%3a')}_{package['architecture']}.deb"
            data = (self.tmp / "base/archives" / file).read_bytes()
            self.assertEqual((hashlib.sha256(data).hexdigest(), len(data)), (package["sha256"], package["size"]))
        manifest = json.loads((self.tmp / "base/manifest").read_text())
        files = {f["path"]: f for f in manifest["files"]}
        self.assertEqual(files["usr/bin/sh"]["target"], "dash")
        self.assertEqual(files["usr/bin/dash"]["package"], "dash")
        self.assertEqual({n: files[n].get("target") for n in ("bin", "sbin", "lib", "lib64")},
                         {n: f"usr/{n}" for n in ("bin", "sbin", "lib", "lib64")})
        deps_files = [f["path"] for f in json.loads((self.tmp / "deps/manifest").read_text())["files"]]
        self.assertIn("usr/lib/x86_64-linux-gnu/libjq.so.1", deps_files)
        self.assertNotIn("usr/bin", deps_files)
        self.assertEqual({folder: snapshot(folder) for folder in HOST_STATE}, before)

    def test_a_wrong_name_gets_the_nearest_one(self):
        ran = self.resolve("base=coreutilz", source="auto", ok=False)
        self.assertIn("source 'auto' has no package 'coreutilz'", ran.stderr)
        self.assertIn("did you mean 'coreutils'?", ran.stderr)


@lib.needs_tool("apt-get", "mkfs.erofs")
class OwnArchive(Driven):
    def setUp(self):
        super().setUp()
        self.repository = Repository(self.tmp / "repository")
        self.repository.add("base-one", "1:1.0", base_files(), depends="base-two")
        self.repository.add("base-two", "2.0~rc1", {"./usr/share/two": b"two"})
        self.repository.add("lib-x", "1.0", {"./usr/lib/libx.so.1": b"x"}, depends="base-two").publish()
        self.source.write_text(self.repository.table())

    def test_versions_with_epoch_and_tilde_go_all_the_way(self):
        self.resolve("base=base-one", "deps=lib-x")
        self.assertEqual([(p["name"], p["version"]) for p in self.layers()["base"]["package"]],
                         [("base-one", "1:1.0"), ("base-two", "2.0~rc1")])
        self.image("base", "base", "out")
        self.assertEqual(sorted(os.listdir(self.tmp / "out/archives")),
                         ["base-one_1%3a1.0_amd64.deb", "base-two_2.0~rc1_amd64.deb"])

    def test_the_lock_is_the_same_whatever_the_order_of_names(self):
        self.resolve("base=base-one,lib-x")
        first = self.lock.read_bytes()
        self.lock.unlink()
        self.resolve("base=lib-x,base-one,lib-x")
        self.assertEqual(self.lock.read_bytes(), first)

    def test_what_is_locked_stays_until_it_is_asked_to_move(self):
        self.resolve("base=base-one")
        first = self.lock.read_bytes()
        self.repository.add("base-two", "2.0", {"./usr/share/two": b"new"}).publish()
        self.resolve("base=base-one")
        self.assertEqual(self.lock.read_bytes(), first)
        self.resolve("base=base-one", scope="all")
        self.assertIn("2.0", [p["version"] for p in self.layers()["base"]["package"]])

    def test_libraries_are_found_in_the_index_of_contents(self):
        self.repository.add("x-compat", "1.0", {"./usr/lib/libx.so.1": b"y", "./usr/lib/private/libp.so": b"p"}).publish()
        ran = self.drive("providers", self.cache, self.source, "libx.so.1", "libp.so")
        self.assertEqual(ran.stdout, "libp.so: \nlibx.so.1: lib-x x-compat\n")
        (self.repository.folder / "Contents-amd64").unlink()
        release = self.repository.folder / "Release"
        release.write_text("".join(line for line in release.read_text().splitlines(True) if "Contents" not in line))
        ran = self.drive("providers", self.tmp / "other", self.source, "libx.so.1", ok=False)
        self.assertIn("source 'test' has no Contents index, which says what packages hold", ran.stderr)

    def test_only_the_package_that_changed_is_downloaded(self):
        self.resolve("base=base-one")
        self.assertIn("downloading 2 packages", self.image("base", "base", "first").stderr)
        self.assertNotIn("downloading", self.image("base", "base", "again").stderr)
        self.repository.add("base-two", "2.1", {"./usr/share/two": b"new"}).publish()
        self.resolve("base=base-one", scope="all")
        self.assertIn("downloading 1 package ", self.image("base", "base", "second").stderr)

    def test_a_package_in_the_cache_that_was_damaged_is_brought_again(self):
        self.resolve("base=base-one")
        self.image("base", "base", "first")
        for file in (self.cache / "downloads/sha256").iterdir():
            file.chmod(0o644)
            file.write_bytes(b"damaged")
        self.assertIn("downloading 2 packages", self.image("base", "base", "second").stderr)
        self.assertEqual((self.tmp / "first/image").read_bytes(), (self.tmp / "second/image").read_bytes())

    def test_bytes_that_the_lock_does_not_name_are_refused(self):
        self.resolve("base=base-one")
        self.repository.add("base-two", "2.0~rc1", {"./usr/share/two": b"TWO"}).publish()
        ran = self.image("base", "base", "out", ok=False)
        self.assertIn("package 'base-two' 2.0~rc1 is not what the lock file names: expected ", ran.stderr)
        self.assertIn("lock --update", ran.stderr)
        self.assertFalse((self.tmp / "out/image").exists())

    def test_an_archive_that_has_moved_on_is_named_with_what_to_do(self):
        self.resolve("base=base-one")
        self.repository.remove("base-two").add("base-two", "3.0", {"./usr/share/two": b"3"}).publish()
        self.resolve("other=base-two")  # takes the new lists
        self.resolve("base=base-one", scope="missing")
        text = self.lock.read_text()
        self.lock.write_text(text.replace('version = "3.0"', 'version = "2.0~rc1"').replace("_3.0_", "_2.0~rc1_"))
        ran = self.image("base", "base", "out", ok=False)
        self.assertIn("no longer has package 'base-two' 2.0~rc1", ran.stderr)
        self.assertIn("appimage-orch lock --update", ran.stderr)

    def test_an_archive_that_cannot_be_reached_is_an_error(self):
        self.source.write_text(f'kind = "apt"\nuris = ["file:{self.tmp}/absent"]\nsuites = ["./"]\ntrusted = true\n')
        ran = self.resolve("base=base-one", ok=False)
        self.assertIn("the package lists of source 'test' cannot be updated", ran.stderr)
        self.assertFalse(self.lock.exists())

    def test_without_apt_the_package_to_install_is_named(self):
        env = {**self.environment(), "PATH": str(self.tmp / "empty")}
        (self.tmp / "empty").mkdir()
        ran = lib.run_command(["unshare", "-m", "sh", "-c", 'mount --bind /dev/null "$(command -v apt-get)" && exec "$@"', "x",
                               "env", f"PATH={env['PATH']}", driver(), "lock", self.cache, self.lock, "missing", self.source,
                               "base=base-one"], env=self.environment()) if lib.is_root() else None
        if ran is None:
            self.skipTest("needs root to hide apt-get")
        self.assertEqual(ran.status, 1, msg=str(ran))
        self.assertIn("'apt-get' is not installed", ran.stderr)
        self.assertIn("install the package 'apt'", ran.stderr)

    def test_a_deps_overlay_with_a_c_library_is_refused_by_package_and_path(self):
        self.repository.add("lib-c", "1.0", {"./lib/x86_64-linux-gnu/libc.so.6": b"c"}).publish()
        self.resolve("base=base-one", "deps=lib-c")
        ran = self.image("deps", "deps", "out", ok=False)
        self.assertIn("'usr/lib/x86_64-linux-gnu/libc.so.6' (package 'lib-c') in layer 'deps' has the name of a library of the ABI boundary", ran.stderr)
        self.assertFalse((self.tmp / "out/image").exists())
        self.resolve("base=base-one", "deps=lib-c")
        self.image("deps", "base-refresh", "fresh")

    def test_a_hostile_package_changes_nothing_outside(self):
        for number, files in enumerate(({"../../escaped": b"x"}, {"/escaped": b"x"}, {"./usr/../../../escaped": b"x"})):
            with self.subTest(files=files):
                self.repository.add("evil", f"{number}.1", files).publish()
                self.resolve("base=evil", scope="all")
                ran = self.image("base", "base", f"out{number}", ok=False)
                self.assertIn(f"unpacking package 'evil' {number}.1", ran.stderr)
                self.assertFalse((self.tmp / f"out{number}/image").exists())
        self.assertEqual([], list(self.tmp.rglob("escaped")))
        self.assertFalse(os.path.exists("/escaped"))


if __name__ == "__main__":
    unittest.main()
