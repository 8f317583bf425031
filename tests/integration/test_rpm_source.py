"""Sources of RPM packages: a signed repository of the test's own through dnf, and reading .rpm files."""

import hashlib
import shutil
import subprocess
import tomllib
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.repository import PackagesCase, driver
from tests.integration.rpm_repository import RpmRepository, needs_rpm_tools


def debian_library():
    """A real library of this machine's distribution."""
    return next(Path("/usr/lib/x86_64-linux-gnu").glob("libz.so.1.*"))


# Stands in for dnf 5: what its sources say of command line, cache and table, and nothing more.
DNF5 = """#!/usr/bin/env python3
import configparser, os, shutil, sys
args = sys.argv[1:]
if "--version" in args:
    sys.exit(print("{version}"))
options = dict(a.split("=", 1) for a in args if a.startswith("--") and "=" in a)
assert options["--forcearch"] == "x86_64" and options["--releasever"] == "42", args
assert int(os.environ["DNF5_FORCE_COLUMNS"]) > 1000 and os.environ["LC_ALL"].startswith("C")
conf = configparser.ConfigParser(interpolation=None)
conf.read(options["--config"])
assert conf["main"]["system_cachedir"] == "/cache" and "--verbose" not in args
if "makecache" in args:
    place = options["--installroot"] + "/cache/repo-1-0123456789abcdef/repodata"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(conf["repo-1"]["baseurl"].removeprefix("file://") + "repodata", place)
elif args[-3:] == ["install", "--assumeno", "tool"]:
    print("Package  Arch   Version      Repository  Size\\nInstalling:\\n tool    x86_64 0:2.0-1.fc42 repo-1 10.0   B")
    print("Installing dependencies:\\n data    noarch 0:1.0-1.fc42 repo-1  1.0   B")
    print(" zlib    x86_64 1:1.2-1.fc42 repo-1 99.0 KiB\\n\\nTransaction Summary:\\n Installing: 3 packages\\n")
    sys.exit("Operation aborted by the user.")
else:
    sys.exit("No match for argument: " + args[-1])
"""


class WithRepository(PackagesCase):
    def setUp(self):
        self.repository = RpmRepository(self.tmp / "repository")
        self.addCleanup(self.repository.close)
        library = debian_library()
        self.repository.add("zlib", "1.2", {f"/usr/lib64/{library.name}": library, "/usr/lib64/libz.so.1": ("link", library.name)},
                            lines="Epoch: 1\nProvides: libz.so.1()(64bit)")
        self.repository.add("tool", "2.0", {"/usr/bin/tool": b"#!/bin/sh\n"},
                            lines="Requires: libz.so.1()(64bit)\nRequires: data\nRecommends: extra")
        self.repository.add("data", "1.0", {"/usr/share/data/a": b"a"}, architecture="noarch")
        self.repository.add("extra", "1.0", {"/usr/share/extra": b"e"}, architecture="noarch")
        self.repository.publish()
        self.lock = self.tmp / "p.lock.toml"

    def profile(self, table=None, base='["tool"]', deps=None, folder=None):
        more = f'[[stack.deps]]\nname = "x"\nsource = "own"\npackages = {deps}\n' if deps else ""
        return self.write(f"{folder or '.'}/p.toml", 'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\n'
                          f'base = {{ packages = {base}, source = "own" }}\n{more}'
                          f'[source.own]\n{table or self.repository.table()}')


@needs_rpm_tools
class Dnf(WithRepository):
    def test_the_lock_has_the_exact_closure_with_origin_and_reasons(self):
        profile = self.profile()
        ran = self.orch("lock", profile)
        self.assertIn("  + data 1.0-1.fc42 (base), required by tool\n", ran.stdout)
        found = self.packages()
        self.assertEqual({n: (p["version"], p["architecture"], p["origin"], p["reason"]) for n, p in found.items()},
                         {"tool": ("2.0-1.fc42", "x86_64", "repo-1", "asked"),
                          "zlib": ("1:1.2-1.fc42", "x86_64", "repo-1", "required by tool"),
                          "data": ("1.0-1.fc42", "noarch", "repo-1", "required by tool")})
        for package in found.values():
            data = (self.repository.folder / package["path"]).read_bytes()
            self.assertEqual((hashlib.sha256(data).hexdigest(), len(data)), (package["sha256"], package["size"]))
        self.assertNotIn("\nallow_unsigned", self.lock.read_text())
        before = self.lock.read_bytes()
        self.assertIn("unchanged", self.orch("lock", profile, "--update").stdout)
        self.assertEqual(self.lock.read_bytes(), before)

    def test_build_makes_an_image_of_the_packages_that_were_locked(self):
        self.orch("build", self.profile())
        files = {f["path"]: f for f in self.manifest()["files"]}
        library = debian_library()
        self.assertEqual(files[f"usr/lib64/{library.name}"]["size"], library.stat().st_size)
        self.assertEqual(files["usr/lib64/libz.so.1"]["target"], library.name)
        self.assertEqual(files["usr/bin/tool"]["package"], "tool")
        self.assertNotIn("usr/share/extra", files)

    def test_an_ordinary_user_gets_the_same_lock_and_image(self):
        if not lib.is_root() or not lib.user_namespaces():
            self.skipTest("needs root, to be two users, and user namespaces")
        self.orch("build", self.profile())
        user, home = self.as_user()
        lib.run_command(["cp", "-a", self.repository.work / "key.asc", home / "key.asc"])
        own = self.profile(folder="user")
        lib.run_command(["chown", str(user), own])
        self.repository.work.chmod(0o755)
        self.orch("build", own, user=user, home=home)
        self.assertEqual((home / "p.lock.toml").read_bytes(), self.lock.read_bytes())
        self.assertEqual(self.manifest(home=home)["image"]["sha256"], self.manifest()["image"]["sha256"])

    def test_an_overlay_leaves_out_what_the_base_has(self):
        self.orch("build", self.profile(base='["zlib"]', deps='["tool"]'))
        layers = {layer["name"]: layer for layer in tomllib.loads(self.lock.read_text())["layer"]}
        self.assertEqual([p["name"] for p in layers["deps-x"]["package"]], ["data", "tool"])
        self.assertEqual(layers["deps-x"]["provided"], [{"name": "zlib", "version": "1:1.2-1.fc42", "layer": "base"}])
        self.assertEqual(self.manifest(role="deps")["provided"], [{"name": "zlib", "layer": "base"}])

    def test_an_unsigned_package_is_refused_until_the_source_says_otherwise(self):
        self.repository.add("bare", "1.0", {"/usr/share/bare": b"b"}, sign=False, architecture="noarch")
        self.repository.publish()
        ran = self.orch("build", self.profile(base='["bare"]'), ok=False)
        self.golden("rpm/unsigned.txt", self.failure(ran))
        self.orch("build", self.profile(self.repository.table("allow_unsigned = true\n"), base='["bare"]'))
        layer, = tomllib.loads(self.lock.read_text())["layer"]
        self.assertIs(layer["allow_unsigned"], True)
        self.assertEqual([(p["name"], p.get("allow_unsigned")) for p in self.manifest()["packages"]], [("bare", True)])

    def test_what_one_source_let_through_unsigned_another_refuses(self):
        self.repository.add("bare", "1.0", {"/usr/share/bare": b"b"}, sign=False, architecture="noarch")
        self.repository.publish()
        self.orch("build", self.profile(self.repository.table("allow_unsigned = true\n"), base='["bare"]'))
        kept = list((self.tmp / "cache/appimage-orch/downloads/sha256").iterdir())
        self.assertEqual(len(kept), 1)
        ran = self.orch("build", self.profile(base='["bare"]'), ok=False)
        self.assertIn("package 'bare' 1.0-1.fc42 of source 'own' is not signed", ran.stderr)
        self.assertEqual(list((self.tmp / "cache/appimage-orch/downloads/signed").glob("*")), [])
        # The same for addresses, whose bytes the user has named.
        url = f"file://{self.repository.folder}/Packages/bare-1.0-1.fc42.noarch.rpm"
        digest = hashlib.sha256(kept[0].read_bytes()).hexdigest()
        self.orch("build", self.profile(f'kind = "files"\nfiles = [{{ url = "{url}", sha256 = "{digest}" }}]\n', base='["bare"]'))
        self.assertIn("is not signed", self.orch("build", self.profile(base='["bare"]'), ok=False).stderr)

    def test_what_was_checked_with_one_key_is_checked_with_another(self):
        self.orch("build", self.profile(base='["data"]'))
        other, fingerprint = self.repository.make_key("other")
        mine = self.repository.table()
        table = mine.replace(str(self.repository.key), str(other)).replace(self.repository.fingerprint, fingerprint)
        ran = self.orch("build", self.profile(table, base='["data"]'), "--locked", ok=False)
        self.assertIn("is not signed by a key of", ran.stderr)
        both = self.tmp / "both.asc"
        both.write_text(self.repository.key.read_text() + other.read_text())
        table = mine.replace(str(self.repository.key), str(both))
        ran = self.orch("build", self.profile(table, base='["zlib"]'), ok=False)
        self.assertIn(f"has the key {fingerprint}, expected none but {self.repository.fingerprint}", ran.stderr)
        table = table.replace(f'"{self.repository.fingerprint}"', f'"{self.repository.fingerprint}", "{fingerprint}"')
        self.orch("build", self.profile(table, base='["data"]'), "--locked")
        self.assertEqual(len(list((self.tmp / "cache/appimage-orch/downloads/signed").iterdir())), 1)

    def test_a_replaced_key_file_checks_anew(self):
        other, fingerprint = self.repository.make_key("other")
        table = self.repository.table().replace(f'"{self.repository.fingerprint}"', f'"{self.repository.fingerprint}", "{fingerprint}"')
        profile, key = self.profile(table, base='["data"]'), self.repository.key
        self.orch("build", profile)
        mine = key.read_bytes()
        key.write_bytes(other.read_bytes())
        ran = self.orch("build", profile, "--locked", ok=False)
        self.assertIn("package 'data' 1.0-1.fc42 of source 'own' is not signed by a key of", ran.stderr)
        explained = self.orch("plan", profile, "--explain", "fetch-packages", ok=None).stdout
        self.assertIn("keys", explained)
        key.unlink()
        ran = self.orch("build", profile, "--locked", ok=False)
        self.assertIn("hint: install the package that has the key file", ran.stderr)
        key.write_bytes(mine)
        self.assertEqual(self.orch_json("build", profile, "--locked")["executed"], 0)

    def test_what_was_checked_once_needs_no_rpmkeys_again(self):
        self.orch("build", self.profile())
        shutil.rmtree(self.tmp / "cache/appimage-orch/store")
        self.write("bin/rpmkeys", "#!/bin/sh\nexit 1\n", mode=0o755)
        without = {"PATH": f"{self.tmp}/bin:{self.environment()['PATH']}"}
        self.orch("build", self.profile(), "--locked", env=without)
        shutil.rmtree(self.tmp / "cache/appimage-orch/store")
        shutil.rmtree(self.tmp / "cache/appimage-orch/downloads/signed")
        self.assertIn("cannot be imported", self.orch("build", self.profile(), "--locked", env=without, ok=False).stderr)

    def test_a_key_that_the_package_is_not_signed_with_is_refused(self):
        other, fingerprint = self.repository.make_key("other")
        table = self.repository.table().replace(str(self.repository.key), str(other))
        ran = self.orch("lock", self.profile(table), ok=False)
        self.golden("rpm/wrong-fingerprint.txt", ran.stderr, {self.repository.fingerprint: "KEY", fingerprint: "OTHER"})
        table = table.replace(self.repository.fingerprint, fingerprint)
        ran = self.orch("build", self.profile(table, base='["data"]'), ok=False)
        self.golden("rpm/wrong-key.txt", self.failure(ran))

    def test_allow_unsigned_does_not_let_a_wrong_signature_through(self):
        other, fingerprint = self.repository.make_key("other")
        self.repository.sign(fingerprint, next(self.repository.folder.glob("Packages/data-*")))
        self.repository.publish()
        ran = self.orch("build", self.profile(self.repository.table("allow_unsigned = true\n"), base='["data"]'), ok=False)
        self.assertIn("is not signed by a key of", ran.stderr)

    def test_a_repository_that_moved_on_is_named_with_the_package(self):
        self.orch("lock", self.profile())
        self.keep_old()
        self.repository.remove("data")
        self.repository.add("data", "1.1", {"/usr/share/data/a": b"b"}, architecture="noarch")
        self.repository.publish()
        ran = self.orch("build", self.profile(), "--locked", ok=False)
        self.golden("rpm/moved-on.txt", self.failure(ran))
        # Where old packages are kept, the lock still builds.
        table = self.repository.table(f'archive_uris = ["file://{self.tmp}/old"]\n')
        self.orch("build", self.profile(table), "--locked")
        ran = self.orch("lock", self.profile(), "--update")
        self.assertIn("  ~ data 1.0-1.fc42 -> 1.1-1.fc42 (base)\n", ran.stdout)

    def keep_old(self):
        shutil.copytree(self.repository.folder / "Packages", self.tmp / "old/Packages")

    def test_a_package_whose_bytes_differ_from_the_lock_is_refused_by_name(self):
        self.orch("lock", self.profile(base='["data"]'))
        path = next(self.repository.folder.glob("Packages/data-*"))
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        ran = self.orch("build", self.profile(base='["data"]'), ok=False)
        self.assertIn("package 'data' 1.0-1.fc42 is not what the lock file names", ran.stderr)

    def test_an_unknown_package_gets_the_nearest_name(self):
        ran = self.orch("lock", self.profile(base='["tol"]'), status=2)
        self.golden("rpm/unknown-package.txt", ran.stderr)

    def test_a_contradiction_says_what_dnf_says(self):
        self.repository.add("broken", "1.0", {"/usr/share/broken": b"b"}, lines="Requires: nobody-has-this")
        self.repository.publish()
        ran = self.orch("lock", self.profile(base='["broken"]'), ok=False)
        self.assertIn("the packages cannot be resolved in source 'own'", ran.stderr)
        self.assertIn("nothing provides nobody-has-this needed by broken-1.0-1.fc42.x86_64", ran.stderr)

    def test_lists_that_cannot_be_had_are_an_error(self):
        shutil.rmtree(self.repository.folder / "repodata")
        ran = self.orch("lock", self.profile(), ok=False)
        self.assertIn("the package lists of source 'own' cannot be updated", ran.stderr)
        self.assertFalse(self.lock.exists())

    def test_libraries_are_found_by_what_packages_provide(self):
        source = self.write("source.toml", self.repository.table())
        ran = lib.run_command([driver(), "providers", self.tmp / "cache", source, "libz.so.1", "libnone.so.1"],
                              env=self.environment(), cwd=self.tmp)
        self.assertEqual(ran.stdout, "libnone.so.1: \nlibz.so.1: zlib\n", msg=str(ran))

    def test_one_package_is_found_for_another_architecture_too(self):
        for version in ("1.10", "1.9"):  # as numbers, not as text
            self.repository.add("data", version, {"/usr/share/data/a": b"a"}, architecture="noarch")
        self.repository.add("rootfs", "1", {"/usr/share/rootfs": b"r"}, architecture="aarch64")
        self.repository.publish()
        source = self.write("source.toml", self.repository.table())

        def exact(name, architecture):
            return lib.run_command([driver(), "exact", self.tmp / "cache", source, name, architecture],
                                   env=self.environment(), cwd=self.tmp)
        self.assertEqual(exact("rootfs", "aarch64").stdout, "rootfs 1-1.fc42 aarch64 repo-1\n")
        self.assertEqual(exact("data", "x86_64").stdout, "data 1.10-1.fc42 noarch repo-1\n")
        self.assertIn("source 'test' has no package 'rootfs' for x86_64", exact("rootfs", "").stderr)

    def test_an_image_inside_a_package_for_another_architecture(self):
        image = lib.make_erofs(self.tmp / "rootfs.erofs", lib.make_tree(self.tmp / "tree", {"etc/os-release": "ID=x\nVERSION_ID=1\n"}))

        def profile(name, more='arch = "aarch64", '):
            return self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\n'
                              f'base = {{ package = "{name}", source = "own", {more}path = "usr/share/fex/default.erofs" }}\n'
                              f'[[stack.deps]]\nname = "x"\nsource = "own"\npackages = ["data"]\n[source.own]\n{self.repository.table()}')
        archives = {}
        for name, architecture in (("rootfs", "aarch64"), ("neutral", "noarch"), ("bare", "aarch64")):
            archives[name] = self.repository.add(name, "1", {"/usr/share/fex/default.erofs": image}, sign=name != "bare",
                                                 architecture=architecture)
        self.repository.publish()
        for name, architecture in (("rootfs", "aarch64"), ("neutral", "noarch")):
            with self.subTest(name=name):
                self.orch("lock", profile(name))
                data, package = archives[name].read_bytes(), self.packages()[name]
                self.assertEqual((package["version"], package["architecture"], package["reason"]), ("1-1.fc42", architecture, "asked"))
                self.assertEqual((package["sha256"], package["size"]), (hashlib.sha256(data).hexdigest(), len(data)))
                self.assertEqual(self.packages()["data"]["architecture"], "noarch")
                steps = {s["rule"]: s for s in self.orch_json("build", profile(name), "--locked")["steps"]}
                self.assertEqual(Path(steps["image-from-package"]["artifact"]).read_bytes(), image.read_bytes())
                self.assertEqual(self.orch_json("build", profile(name), "--locked")["executed"], 0)
        self.assertIn("source 'own' has no package 'rootfs' for x86_64", self.orch("lock", profile("rootfs", ""), ok=False).stderr)
        self.assertIn("package 'bare' 1-1.fc42 of source 'own' is not signed", self.orch("build", profile("bare"), ok=False).stderr)

    def test_signed_lists_are_checked_where_the_source_says_so(self):
        table = self.repository.table("repo_gpgcheck = true\n")
        ran = self.orch("lock", self.profile(table), ok=False)
        self.assertIn("the package lists of source 'own' cannot be updated", ran.stderr)
        self.repository.sign_lists()
        self.orch("lock", self.profile(table))
        self.assertIn("tool", self.packages())

    def test_a_folder_of_packages_is_a_source_too(self):
        table = f'kind = "dir"\npath = "{self.repository.folder}/Packages"\n'
        for version in ("1.10", "1.9"):
            self.repository.add("data", version, {"/usr/share/data/a": b"a"}, architecture="noarch")
        self.repository.publish()
        self.orch("build", self.profile(table))
        found = self.packages()
        self.assertEqual(found["data"]["version"], "1.10-1.fc42")
        self.assertEqual({n: (p["origin"], p["reason"]) for n, p in found.items()},
                         {"tool": ("dir", "asked"), "zlib": ("dir", "required by tool"), "data": ("dir", "required by tool")})
        for path in self.repository.folder.glob("Packages/data-*"):
            path.unlink()
        ran = self.orch("lock", self.profile(table), "--update")
        self.assertIn("layer 'base': 'tool' needs 'data', which source 'own' has not", ran.stderr)
        self.assertIn("  - data 1.10-1.fc42 (base)\n", ran.stdout)

    def test_addresses_with_digests_are_a_source_too(self):
        files = ", ".join(f'{{ url = "file://{p}", sha256 = "{hashlib.sha256(p.read_bytes()).hexdigest()}" }}'
                          for p in sorted(self.repository.folder.glob("Packages/*.rpm")))
        self.orch("build", self.profile(f'kind = "files"\nfiles = [{files}]\n'))
        self.assertEqual(sorted(self.packages()), ["data", "tool", "zlib"])
        digest = "0" * 64
        wrong = files.replace(files.split('"')[3], digest)
        ran = self.orch("lock", self.profile(f'kind = "files"\nfiles = [{wrong}]\n'), "--update", ok=False)
        self.assertIn("is not what the profile names: expected sha256 " + digest, ran.stderr)

    def with_dnf5(self, version="dnf5 version 5.2.8.1"):
        self.write("bin/dnf", DNF5.replace("{version}", version), mode=0o755)
        return {"PATH": f"{self.tmp}/bin:{self.environment()['PATH']}"}

    def test_what_dnf5_answers_makes_the_same_lock(self):
        self.orch("lock", self.profile())
        expected = self.lock.read_bytes()
        self.lock.unlink()
        self.orch("--cache-dir", self.tmp / "other", "lock", self.profile(), env=self.with_dnf5())
        self.assertEqual(self.lock.read_bytes(), expected)
        ran = self.orch("lock", self.profile(base='["tol"]'), env=self.with_dnf5(), status=2)
        self.assertIn("source 'own' has no package 'tol'", ran.stderr)
        self.assertIn("did you mean 'tool'?", ran.stderr)

    def test_a_dnf_of_another_generation_is_refused(self):
        ran = self.orch("lock", self.profile(), env=self.with_dnf5("yum 3.4.3"), ok=False)
        self.golden("rpm/unknown-dnf.txt", ran.stderr)

    def failure(self, ran):
        """The message of the failed step, without its name and times."""
        text = ran.stderr[ran.stderr.index("failed: "):]
        return "\n".join(line for line in text.splitlines() if line.startswith("  ") and "log:" not in line) + "\n"


@needs_rpm_tools
@lib.needs_tool("bsdtar")
class Reading(WithRepository):
    def test_a_package_is_read_as_bsdtar_reads_it(self):
        files = {"/usr/share/deep/x": b"x" * 300000, "/usr/share/deep/link": ("link", "/absolute"), "/usr/bin/run": b"run"}
        self.repository.add("mixed", "1", files)
        self.repository.publish()
        self.orch("build", self.profile(base='["mixed", "tool"]'))
        listed = {}
        for package in self.repository.folder.glob("Packages/*.rpm"):
            if package.name.startswith("extra-"):
                continue
            with open(package, "rb") as archive:
                names = subprocess.run(["bsdtar", "-tvf", "-"], stdin=archive, capture_output=True, text=True, check=True)
            for line in names.stdout.splitlines():
                words = line.split(None, 8)
                path, _, target = words[8].partition(" -> ")
                listed[path.removeprefix("./")] = (words[0][0], int(words[4]), target or None)
        kinds = {"file": "-", "symlink": "l", "directory": "d"}
        ours = {f["path"]: (kinds[f["type"]], f["size"], f.get("target")) for f in self.manifest()["files"]}
        for path, facts in listed.items():
            self.assertEqual(ours[path], facts, msg=path)


if __name__ == "__main__":
    unittest.main()
