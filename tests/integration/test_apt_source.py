"""Sources of Debian packages: signed archives, folders and addresses of .deb files, and what the host has or has not."""

import functools
import hashlib
import http.server
import shutil
import unittest
import urllib.parse

from tests.integration import lib
from tests.integration.keys import KeyRing
from tests.integration.repository import PackagesCase, Repository
from tests.integration.test_fetch import Served

LIBRARY = "usr/lib/x86_64-linux-gnu/libtool.so.1"


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(400)

    def log_message(self, *_):
        pass


class WithRepository(PackagesCase):
    def setUp(self):
        self.repository = Repository(self.tmp / "repository")
        self.repository.add("tool", "1:2.0", {"./usr/bin/tool": b"#!/bin/sh\n", f"./{LIBRARY}": b"t"},
                            depends="data | nothing, absent")
        self.repository.add("data", "1.0", {"./usr/share/data": b"d"})
        self.repository.add("absent", "1.0", {"./usr/share/absent": b"a"}).publish()
        self.pool = self.repository.folder / "pool"
        self.lock = self.tmp / "p.lock.toml"

    def profile(self, table, base='{ packages = ["tool"], source = "own" }', deps=None):
        more = f'[[stack.deps]]\nname = "x"\nsource = "own"\npackages = {deps}\n' if deps else ""
        return self.write("p.toml", f'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\nbase = {base}\n'
                                    f"{more}[source.own]\n{table}")

    def told(self, ran):
        """The error and its hint, without what apt said (it differs with its version)."""
        return "\n".join(line for line in ran.stderr.splitlines() if line.startswith(("p.toml:", "  hint: "))) + "\n"


@lib.needs_tool("apt-get", "gpg", "gpgv", "mkfs.erofs")
class Signed(WithRepository):
    def setUp(self):
        super().setUp()
        self.keys = KeyRing(self.tmp / "keys")
        self.addCleanup(self.keys.close)
        self.key, self.fingerprint = self.keys.make_key("key")

    def table(self, more=""):
        return self.repository.table(f'signed_by = "{self.key}"\nfingerprints = ["{self.fingerprint}"]\n{more}')

    def recorded(self):
        """What lock file and manifest say of unsigned packages."""
        layer, = self.layers()
        return layer.get("allow_unsigned"), {p["allow_unsigned"] for p in self.manifest()["packages"]}

    def test_lists_that_the_key_has_signed_pass_and_nothing_says_unsigned(self):
        self.repository.sign(self.keys, self.fingerprint)
        self.orch("build", self.profile(self.table()))
        self.assertEqual(sorted(p["name"] for p in self.manifest()["packages"]), ["absent", "data", "tool"])
        self.assertEqual(self.recorded(), (None, {False}))
        self.assertNotIn("unsigned", self.lock.read_text())

    def test_unsigned_lists_are_refused_until_the_source_says_otherwise(self):
        ran = self.orch("lock", self.profile(self.table()), ok=False)
        self.golden("apt/unsigned.txt", self.told(ran))
        self.assertFalse(self.lock.exists())
        self.orch("build", self.profile(self.table("allow_unsigned = true\n")))
        self.assertEqual(self.recorded(), (True, {True}))
        # What one source let through, another refuses, although everything is in the cache.
        ran = self.orch("build", self.profile(self.table()), ok=False)
        self.assertIn("the package lists of source 'own' are not signed", ran.stderr)
        self.assertIn("does not fit the profile", self.orch("build", self.profile(self.table()), "--locked", status=2).stderr)

    def test_lists_that_cannot_be_had_are_not_called_unsigned(self):
        server = Served.serve(self, Refusing)
        table = self.table().replace(f"file:{self.repository.folder}", f"http://127.0.0.1:{server.server_port}/none")
        ran = self.orch("lock", self.profile(table), ok=False, env={"no_proxy": "127.0.0.1"})
        self.assertIn("the package lists of source 'own' cannot be updated", ran.stderr)
        self.assertNotIn("allow_unsigned", ran.stderr)

    def test_lists_that_another_key_has_signed_are_refused(self):
        _, other = self.keys.make_key("other")
        self.repository.sign(self.keys, other)
        ran = self.orch("lock", self.profile(self.table()), ok=False)
        self.golden("apt/another-key.txt", self.told(ran))
        self.assertIn(other[-16:], ran.stderr)
        self.assertFalse(self.lock.exists())
        # Nor does a permission to have no signature let a wrong one through, as long as there is a key.
        ran = self.orch("lock", self.profile(self.table("allow_unsigned = true\n")), ok=False)
        self.assertIn("are not signed by a key of", ran.stderr)
        self.orch("build", self.profile(self.repository.table("allow_unsigned = true\n")))
        self.assertEqual(self.recorded(), (True, {True}))

    def test_without_a_key_file_the_keys_of_the_host_count(self):
        self.repository.sign(self.keys, self.fingerprint)
        ran = self.orch("lock", self.profile(self.repository.table("")), ok=False)
        self.assertIn("the package lists of source 'own' are not signed by a key that this machine's apt trusts", ran.stderr)

    def test_lists_that_were_changed_behind_the_signature_are_refused(self):
        self.repository.sign(self.keys, self.fingerprint)
        signed = self.repository.folder / "InRelease"
        signed.write_text(signed.read_text().replace("Origin: Own", "Origin: Owm"))
        for more in ("", "", "allow_unsigned = true\n", "allow_unsigned = true\n"):  # nor the second time
            with self.subTest(more=more):
                ran = self.orch("lock", self.profile(self.table(more)), ok=False)
                self.golden("apt/changed.txt", self.told(ran))

    def test_a_package_that_the_signed_list_does_not_name_is_refused_by_name(self):
        self.repository.sign(self.keys, self.fingerprint)
        self.orch("lock", self.profile(self.table()))
        path = self.pool / "data_1.0_amd64.deb"
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        ran = self.orch("build", self.profile(self.table()), ok=False)
        self.assertIn("package 'data' 1.0 is not what the lock file names", ran.stderr)


@lib.needs_tool("apt-get", "mkfs.erofs")
class Heaps(WithRepository, Served):
    """A folder, and a server, of .deb files; the base is a folder."""

    def setUp(self):
        super().setUp()
        self.root = lib.make_tree(self.tmp / "root", {"etc/os-release": "ID=x\nVERSION_ID=1\n"})
        (self.pool / "absent_1.0_amd64.deb").unlink()

    def build(self, table, *args, deps='["tool"]', **options):
        return self.orch("build", self.profile(table, '"root"', deps), *args, env={"no_proxy": "127.0.0.1"}, **options)

    def check_overlay(self, origin):
        layer, = self.layers()
        self.assertEqual({p["name"]: (p["version"], p["architecture"], p["origin"], p["reason"]) for p in layer["package"]},
                         {"tool": ("1:2.0", "amd64", origin, "asked"), "data": ("1.0", "amd64", origin, "required by tool")})
        manifest = self.manifest("deps")
        self.assertEqual([(p["name"], p["version"]) for p in manifest["packages"]], [("data", "1.0"), ("tool", "1:2.0")])
        files = {f["path"]: f.get("package") for f in manifest["files"] if f["type"] == "file"}
        self.assertEqual(files, {LIBRARY: "tool", "usr/share/data": "data"})

    def test_an_overlay_of_a_folder(self):
        table = f'kind = "dir"\npath = "{self.pool}"\n'
        ran = self.build(table)
        self.assertIn("layer 'deps-x': 'tool' needs 'absent', which source 'own' has not", ran.stderr)
        self.check_overlay("dir")
        first = self.manifest("deps")["image"]["sha256"]
        shutil.rmtree(self.tmp / "cache")
        self.build(table, "--locked")
        self.assertEqual(self.manifest("deps")["image"]["sha256"], first)
        self.repository.add("data", "1.10", {"./usr/share/data": b"e"}).add("data", "1.9", {"./usr/share/data": b"f"})
        ran = self.orch("lock", self.profile(table, '"root"', '["tool"]'), "--update")
        self.assertIn("  ~ data 1.0 -> 1.10 (deps-x)\n", ran.stdout)

    def test_a_package_of_the_folder_that_is_not_the_locked_one_is_refused_by_name(self):
        table = f'kind = "dir"\npath = "{self.pool}"\n'
        self.orch("lock", self.profile(table, '"root"', '["tool"]'))
        shutil.rmtree(self.tmp / "cache")
        self.repository.add("data", "1.0", {"./usr/share/data": b"D"})
        self.assertIn("package 'data' 1.0 is not what the lock file names", self.build(table, ok=False).stderr)
        self.repository.remove("data")
        self.assertIn("source 'own' no longer has package 'data' 1.0", self.build(table, ok=False).stderr)

    def files(self, **sums):
        """The table of the pool's files on the server; `sums`: for a package another SHA-256 than its own."""
        listed = ", ".join(f'{{ url = "http://127.0.0.1:{self.server.server_port}/{urllib.parse.quote(p.name)}", '
                           f'sha256 = "{sums.get(p.name.split("_")[0]) or hashlib.sha256(p.read_bytes()).hexdigest()}" }}'
                           for p in sorted(self.pool.iterdir()))
        return f'kind = "files"\nfiles = [{listed}]\n'

    def test_an_overlay_of_addresses(self):
        self.server = self.serve(functools.partial(Pool, directory=self.pool))
        table = self.files()
        self.build(table)
        self.check_overlay("files")
        self.assertEqual(sorted(self.server.requests), ["/data_1.0_amd64.deb", "/tool_1%253a2.0_amd64.deb"])
        shutil.rmtree(self.tmp / "cache")
        self.build(table, "--locked")
        self.assertEqual(len(self.server.requests), 4)

    def test_an_address_with_another_digest_is_refused_by_name(self):
        self.server = self.serve(functools.partial(Pool, directory=self.pool))
        digest = "0" * 64
        ran = self.build(self.files(data=digest), ok=False)
        self.assertIn(f"/data_1.0_amd64.deb' is not what the profile names: expected sha256 {digest}, found ", ran.stderr)
        self.assertFalse(self.lock.exists())
        table = self.files()
        self.build(table)
        shutil.rmtree(self.tmp / "cache")
        self.repository.add("data", "1.0", {"./usr/share/data": b"D"})
        ran = self.build(table, "--locked", ok=False)
        self.assertIn("downloading package 'data' 1.0: '", ran.stderr)
        self.assertIn("/data_1.0_amd64.deb' is not what the profile names: expected sha256 ", ran.stderr)
        self.assertEqual(list((self.tmp / "cache/appimage-orch/downloads/sha256").iterdir()), [])


class Pool(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@lib.needs_tool("apt-get", "mkfs.erofs", "unshare", "mount")
class Hosts(WithRepository):
    """Folders of the host with others bound over them, in a mount namespace of the program's own."""

    def orch_on(self, mounts, *args, status):
        binds = "".join(f'mount --bind "{source}" "{target}" && ' for source, target in mounts.items())
        user = [] if lib.is_root() else ["--user", "--map-root-user"]
        if lib.run_command(["unshare", *user, "--mount", "true"]).status != 0:
            self.skipTest("needs a mount namespace")
        ran = lib.run_command(["unshare", *user, "--mount", "sh", "-c", f'{binds}exec "$@"', "x", lib.shared_copy()[0], *args],
                              env=self.environment(), cwd=self.tmp)
        self.assertEqual(ran.status, status, msg=str(ran))
        return ran

    def arm_host(self):
        """An /etc/apt that serves arm64 only, in both forms of entries."""
        uri = "http://127.0.0.1:9/"
        return {lib.make_tree(self.tmp / "etc-apt", {
            "sources.list": f"deb [arch=arm64 trusted=yes] {uri} test main\n# deb [arch=amd64] {uri} test main\n",
            "sources.list.d/more.sources": f"Types: deb\nURIs: {uri}\nSuites: test\nComponents: main\n"
                                           "Architectures: arm64 armhf\n",
            "apt.conf.d/arch": 'APT::Architecture "arm64";\nAPT::Architectures { "arm64"; };\n',
            "trusted.gpg.d": None, "preferences.d": None}): "/etc/apt"}

    def test_a_source_of_ones_own_serves_a_host_that_has_arm64_only(self):
        host = self.arm_host()
        self.orch_on(host, "build", self.profile(self.repository.table(), deps='["data"]'), status=0)
        layers = {layer["name"]: layer for layer in self.layers()}
        self.assertEqual({(p["name"], p["architecture"]) for p in layers["base"]["package"]},
                         {("tool", "amd64"), ("data", "amd64"), ("absent", "amd64")})
        self.assertEqual([p["name"] for p in layers["deps-x"]["provided"]], ["data"])
        self.assertIn("usr/bin/tool", [f["path"] for f in self.manifest()["files"]])
        before = self.lock.read_bytes()
        shutil.rmtree(self.tmp / "cache")
        self.lock.unlink()
        self.orch("build", self.profile(self.repository.table(), deps='["data"]'))
        self.assertEqual(self.lock.read_bytes(), before)

    def test_auto_on_such_a_host_says_what_to_do(self):
        debian = self.write("os-release", "ID=debian\nVERSION_ID=12\n")
        profile = self.profile(self.repository.table(), '{ packages = ["tool"], source = "auto" }')
        for command in ("lock", "build"):
            with self.subTest(command=command):
                ran = self.orch_on({**self.arm_host(), debian: "/etc/os-release"}, command, profile, status=1)
                self.golden("apt/arm64-host.txt", self.told(ran))
                self.assertFalse(self.lock.exists())
                shutil.rmtree(self.tmp / "etc-apt")

    def archives(self):
        """A folder with the packages as the host's apt keeps them, and none left in the archive."""
        folder = self.tmp / "archives"
        shutil.copytree(self.pool, folder)
        for path in self.pool.iterdir():
            path.unlink()
        return folder

    def test_packages_that_the_hosts_apt_has_are_taken_from_there(self):
        profile = self.profile(self.repository.table())
        self.orch("lock", profile)
        archives = self.archives()
        self.assertTrue((archives / "tool_1%3a2.0_amd64.deb").exists())
        before = {p.name: p.stat() for p in archives.iterdir()}
        self.assertIn("package 'absent' 1.0 cannot be downloaded", self.orch("build", profile, "--locked", ok=False).stderr)
        self.orch_on({archives: "/var/cache/apt/archives"}, "build", profile, "--locked", status=0)
        self.assertEqual(sorted(p["name"] for p in self.manifest()["packages"]), ["absent", "data", "tool"])
        for path in archives.iterdir():  # neither changed nor linked
            self.assertEqual((path.stat().st_mtime_ns, path.stat().st_nlink, path.stat().st_mode),
                             (before[path.name].st_mtime_ns, 1, before[path.name].st_mode))

    def test_other_bytes_in_the_hosts_cache_are_not_taken(self):
        profile = self.profile(self.repository.table())
        self.orch("build", profile)
        image = self.manifest()["image"]["sha256"]
        shutil.rmtree(self.tmp / "cache")
        archives = self.tmp / "archives"
        shutil.copytree(self.pool, archives)
        data, tool = archives / "data_1.0_amd64.deb", archives / "tool_1%3a2.0_amd64.deb"
        data.write_bytes(data.read_bytes()[:-1] + b"!")  # of the right size
        tool.write_bytes(tool.read_bytes()[:100])
        (archives / "absent_1.0_amd64.deb").unlink()
        (archives / "absent_1.0_amd64.deb").mkdir()
        self.orch_on({archives: "/var/cache/apt/archives"}, "build", profile, "--locked", status=0)
        self.assertEqual(self.manifest()["image"]["sha256"], image)


if __name__ == "__main__":
    unittest.main()
